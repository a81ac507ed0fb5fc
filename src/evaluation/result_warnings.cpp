#include "evaluation/result_warnings.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/human.hpp"

namespace incite {
namespace {

constexpr double most_points = 5;         // of accuracy
constexpr double most_error_gain = 0.25;  // of mean absolute error
constexpr size_t most_named = 3;
constexpr double compression_tolerance = 0.01;

std::string range_text(double low, double high) {
  const std::string text = human_ratio(low);
  return text == human_ratio(high) ? text : text + " to " + human_ratio(high);
}

/// What else the user may ask for.
std::string remedy(const DecomposeOptions& options) {
  std::vector<std::string> ways;
  const bool by_loss = std::holds_alternative<MaxLoss>(options.size);
  if (!by_loss) ways.emplace_back("--max-loss");
  if (options.finetune == 0 && options.head != HeadMethod::original) ways.emplace_back("--finetune");
  if (std::holds_alternative<Keep>(options.size)) {
    ways.emplace_back("a larger --keep");
  } else {
    ways.emplace_back(by_loss ? "a smaller --max-loss" : "a smaller --target-compression");
  }
  if (ways.size() == 1) return "pass " + ways[0];
  const std::string last = ways.back();
  ways.pop_back();
  return fmt::format("pass {} or {}", fmt::join(ways, ", "), last);
}

}  // namespace

std::optional<std::string> loss_warning(const Evaluation& evaluation, const std::string& remedy) {
  if (evaluation.task == Task::regression) {
    const double gain = evaluation.combined.score / evaluation.original.score - 1;
    if (!std::isfinite(gain) || gain <= most_error_gain) return std::nullopt;
    return fmt::format("the modules' mean absolute error is {:.0f} % above the original's; {}", 100 * gain, remedy);
  }
  const bool one = evaluation.modules.size() == 1;
  const bool labels = evaluation.task == Task::multilabel;
  const bool question = one && !labels && evaluation.modules[0].classes.size() == 1;
  const double before = question ? evaluation.originals[0].balanced_accuracy : evaluation.original.score;
  const double after = question ? evaluation.modules[0].balanced_accuracy : evaluation.combined.score;
  const double points = 100 * (before - after);
  if (!std::isfinite(points) || points <= most_points) return std::nullopt;
  return fmt::format("the module{} {:.2f} points of {}; {}", one ? " loses" : "s together lose", points,
                     labels     ? "mean average precision"
                     : question ? "balanced accuracy"
                                : "accuracy",
                     remedy);
}

std::optional<std::string> unmeasured_warning(const Evaluation& evaluation, const std::vector<ModuleResult>& modules) {
  std::vector<std::string> named;
  size_t count = 0;
  for (size_t m = 0; m < std::min(modules.size(), evaluation.modules.size()); ++m) {
    for (size_t i = 0; i < modules[m].set.outputs.size(); ++i) {
      if (evaluation.modules[m].classes[i].support > 0) continue;
      if (++count <= most_named) named.push_back(std::to_string(modules[m].set.outputs[i]));
    }
  }
  if (count == 0) return std::nullopt;
  const std::string more = count > most_named ? fmt::format(" and {} more", count - most_named) : "";
  return fmt::format(
      "the samples to measure on hold none of {} {}{}, so measures that need them are missing; measure with "
      "'incite evaluate' on other data, or pass --test",
      evaluation.task == Task::multilabel ? (count == 1 ? "label" : "labels") : (count == 1 ? "class" : "classes"),
      fmt::join(named, ", "), more);
}

std::optional<std::string> compression_warning(const std::vector<ModuleResult>& modules, double target,
                                               Allocation allocation) {
  std::vector<double> missed;
  for (const ModuleResult& module : modules) {
    if (module.compression < target * (1 - compression_tolerance)) missed.push_back(module.compression);
  }
  if (missed.empty()) return std::nullopt;
  const auto [low, high] = std::minmax_element(missed.begin(), missed.end());
  const std::string who =
      modules.size() == 1 ? "the module reaches" : fmt::format("{} of {} modules reach", missed.size(), modules.size());
  const std::string why = allocation == Allocation::uniform
                              ? "--allocation uniform keeps a cluster of each group; global may remove more"
                              : "pinned units, one unit of each layer and the head must stay; 'incite inspect' lists "
                                "what is pinned";
  return fmt::format("{} {}, not {} as asked: {}", who, range_text(*low, *high), human_ratio(target), why);
}

std::vector<std::string> warnings_after(const DecomposeOptions& options, const Decomposition& result) {
  std::vector<std::string> warnings;
  if (const auto* size = std::get_if<Compression>(&options.size)) {
    if (auto missed = compression_warning(result.modules, size->times, options.allocation)) warnings.push_back(*missed);
  }
  if (auto unmeasured = unmeasured_warning(result.evaluation, result.modules)) warnings.push_back(*unmeasured);
  if (auto loss = loss_warning(result.evaluation, remedy(options))) warnings.push_back(*loss);
  return warnings;
}

}  // namespace incite
