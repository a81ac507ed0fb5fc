#include "warnings.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "incite/base/error.hpp"
#include "incite/program/cost.hpp"
#include "incite/report/table.hpp"
#include "samples.hpp"

namespace incite {
namespace {

constexpr double one_sided = 1.645;  // 95 % confidence

// Samples to run the model on: enough to tell 12 % from 10 %, and in large models no more than some seconds' worth.
constexpr int64_t most_samples = 1'000;
constexpr int64_t least_samples = 50;
constexpr double most_multiply_adds = 1e11;

// Between a constant's mean recall (0) and a perfect one (1): a detector of a rare class may be no more accurate than
// "always no", and yet find the class.
constexpr double tells_apart = 0.25;

// On data like those that they were trained on, uncalibrated networks are up to 0.17 too confident (C. Guo et al., "On
// Calibration of Modern Neural Networks", ICML 2017, table 1).
constexpr double most_overconfidence = 0.3;

// The head's class is known by these alone, and a fifth of them choose its penalty. Of LeNet-5's module for the 3, on
// MNIST, the recall is 0.70 with 2 samples, 0.86 with 10, 0.91 with 20, 0.95 with 40 (means of three draws).
constexpr int64_t few_samples = 20;
constexpr size_t most_named = 3;

constexpr double most_points = 5;         // of accuracy
constexpr double most_error_gain = 0.25;  // of mean absolute error
constexpr double compression_tolerance = 0.01;

const char* const advice =
    "check the inputs' scale (--input-scale), the order of their axes and the order of the labels";

std::optional<std::string> classifier_warning(const at::Tensor& outputs, OutputKind kind, const at::Tensor& truth) {
  const int64_t n = truth.size(0);
  const at::Tensor right_ones = outputs.argmax(1) == truth;
  const at::Tensor support = at::bincount(truth, {}, outputs.size(1));
  const at::Tensor hits = at::bincount(truth.masked_select(right_ones), {}, outputs.size(1));
  const at::Tensor present = support > 0;
  const auto classes = present.sum().item<double>();
  if (classes < 2) return std::nullopt;
  const double accuracy = right_ones.sum().item<double>() / static_cast<double>(n);
  const auto right = [&] {
    return fmt::format("the model is right on {} of {} samples", human_percent(accuracy), human_count(n));
  };
  const auto largest = support.argmax().item<int64_t>();
  const double share = support[largest].item<double>() / static_cast<double>(n);
  const double recall = (hits.to(at::kDouble) / support).masked_select(present).mean().item<double>();
  const double apart = (recall - 1 / classes) / (1 - 1 / classes);
  if (wilson_interval(accuracy, n, one_sided).low <= share && apart < tells_apart) {
    return fmt::format("{}, no better than always saying class {} ({}); {}", right(), largest, human_percent(share),
                       advice);
  }
  if (kind == OutputKind::sigmoid || kind == OutputKind::other) return std::nullopt;
  const double confidence = mean_confidence(outputs, kind);
  if (confidence - wilson_interval(accuracy, n, one_sided).high > most_overconfidence) {
    return fmt::format("{}, but its mean confidence is {}; {}", right(), human_percent(confidence), advice);
  }
  return std::nullopt;
}

std::optional<std::string> regression_warning(const at::Tensor& outputs, const at::Tensor& truth) {
  double sum = 0, bounded = 0;
  int64_t defined = 0;
  for (const ErrorMeasures& own : measure_regression(outputs, truth).errors) {
    if (!std::isfinite(own.r2)) continue;
    ++defined;
    sum += own.r2;
    bounded += std::max(own.r2, -1.0);  // so that one bad output does not speak for all
  }
  if (defined == 0 || bounded > 0) return std::nullopt;
  return fmt::format(
      "the model predicts the targets no better than their mean does (R2 {:.3g} on {} samples); check the inputs' "
      "scale (--input-scale), the order of their axes, and the targets' scale and order",
      sum / static_cast<double>(defined), human_count(truth.size(0)));
}

/// Of the set's samples, which are in a seeded order, those to run the model on.
at::Tensor samples_to_run(const Program& program, const TestSet& fit) {
  const double each = multiply_adds(program, first_samples(*fit.data, program.device));
  const auto affordable = static_cast<int64_t>(most_multiply_adds / std::max(each, 1.0));
  const int64_t count = std::clamp(affordable, least_samples, most_samples);
  return fit.samples.narrow(0, 0, std::min(count, fit.samples.size(0)));
}

std::string range_text(double low, double high) {
  const std::string text = human_ratio(low);
  return text == human_ratio(high) ? text : text + " to " + human_ratio(high);
}

/// What else the user may ask for.
std::string remedy(const DecomposeOptions& options) {
  std::vector<std::string> ways;
  if (!options.max_loss) ways.emplace_back("--max-loss");
  if (options.finetune == 0 && options.head != HeadMethod::original) ways.emplace_back("--finetune");
  if (options.keep) {
    ways.emplace_back("a larger --keep");
  } else {
    ways.emplace_back(options.max_loss ? "a smaller --max-loss" : "a smaller --target-compression");
  }
  if (ways.size() == 1) return "pass " + ways[0];
  const std::string last = ways.back();
  ways.pop_back();
  return fmt::format("pass {} or {}", fmt::join(ways, ", "), last);
}

}  // namespace

std::optional<std::string> guessing_warning(const at::Tensor& outputs, OutputKind kind, Task task, const TestSet& set) {
  if (task == Task::classification) return classifier_warning(outputs, kind, set.classes.index_select(0, set.samples));
  return regression_warning(outputs, set.values.index_select(0, set.samples));
}

std::optional<std::string> few_samples_warning(const TestSet& fit, const std::vector<int64_t>& modules) {
  const int64_t classes = *std::max_element(modules.begin(), modules.end()) + 1;
  const at::Tensor counts = at::bincount(fit.classes.index_select(0, fit.samples), {}, classes);
  std::vector<std::string> named;
  size_t few = 0;
  for (const int64_t output : modules) {
    const auto count = counts[output].item<int64_t>();
    if (count >= few_samples) continue;
    if (++few <= most_named) named.push_back(fmt::format("{} ({} sample{})", output, count, count == 1 ? "" : "s"));
  }
  if (few == 0) return std::nullopt;
  std::string last = few > most_named ? fmt::format("{} more", few - most_named) : named.back();
  if (few <= most_named) named.pop_back();
  const std::string list = named.empty() ? last : fmt::format("{} and {}", fmt::join(named, ", "), last);
  return fmt::format("class{} {} {} fewer than {} samples to fit on, so {} may do worse on other data; add samples",
                     few == 1 ? "" : "es", list, few == 1 ? "has" : "have", few_samples,
                     few == 1 ? "its module" : "their modules");
}

std::vector<std::string> warnings_before_scoring(const Program& program, OutputKind kind, Task task, const TestSet& fit,
                                                 const std::vector<int64_t>& modules) {
  std::vector<std::string> warnings;
  const auto add = [&](std::optional<std::string> warning) {
    if (warning) warnings.push_back(std::move(*warning));
  };
  if (fit.data->target.defined()) {
    TestSet part = fit;
    part.samples = samples_to_run(program, fit);
    add(guessing_warning(outputs_for(program, *fit.data, part.samples), kind, task, part));
  }
  if (task == Task::classification) add(few_samples_warning(fit, modules));
  return warnings;
}

std::optional<std::string> loss_warning(const Evaluation& evaluation, const std::string& remedy) {
  if (evaluation.task == Task::regression) {
    const double gain = evaluation.combined.score / evaluation.original.score - 1;
    if (!std::isfinite(gain) || gain <= most_error_gain) return std::nullopt;
    return fmt::format("the modules' mean absolute error is {:.0f} % above the original's; {}", 100 * gain, remedy);
  }
  const bool one = evaluation.modules.size() == 1;
  const double before = one ? evaluation.originals[0].balanced_accuracy : evaluation.original.score;
  const double after = one ? evaluation.modules[0].balanced_accuracy : evaluation.combined.score;
  const double points = 100 * (before - after);
  if (!std::isfinite(points) || points <= most_points) return std::nullopt;
  return fmt::format("the module{} {:.2f} points of {}; {}", one ? " loses" : "s together lose", points,
                     one ? "balanced accuracy" : "accuracy", remedy);
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
  if (!options.keep && !options.max_loss) {
    const double target = options.target_compression.value_or(default_compression);
    if (auto missed = compression_warning(result.modules, target, options.allocation)) warnings.push_back(*missed);
  }
  if (auto loss = loss_warning(result.evaluation, remedy(options))) warnings.push_back(*loss);
  return warnings;
}

}  // namespace incite
