#include "subject/warnings.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "base/human.hpp"
#include "program/cost.hpp"
#include "subject/samples.hpp"

namespace incite {
namespace {

constexpr double one_sided = 1.645;  // 95 % confidence

// Samples to run the model on: enough to tell 12 % from 10 %, but only some seconds' worth for a large model.
constexpr int64_t most_samples = 1'000;
constexpr int64_t least_samples = 50;
constexpr double most_multiply_adds = 1e11;

// Mean recall, rescaled so that a constant has 0 and a perfect classifier 1. Accuracy alone is not enough: a detector
// of a rare class may be no more accurate than "always no" and still find the class.
constexpr double tells_apart = 0.25;

// On data like their training data, uncalibrated networks are up to 0.17 too confident (C. Guo et al., "On Calibration
// of Modern Neural Networks", ICML 2017, table 1).
constexpr double most_overconfidence = 0.3;

// A constant, and a guess, have 0.5.
constexpr double least_auc = 0.6;

// A head knows its class only from these samples, and a fifth of them choose its penalty. The recall of LeNet-5's
// module for the digit 3 on MNIST is 0.48 with 2 samples, 0.89 with 10, 0.92 with 20, 0.93 with 40
// (docs/performance.md).
constexpr int64_t few_samples = 20;
constexpr size_t most_named = 3;

const char* const advice =
    "check the inputs' scale (--input-scale), the order of their axes and the order of the labels";

/// What a set's points are called.
const char* points_of(const TestSet& set) {
  return set.data->positions.defined() ? "positions" : "samples";
}

std::optional<std::string> classifier_warning(const at::Tensor& all, OutputKind kind, const at::Tensor& known,
                                              const char* points) {
  const auto [outputs, truth] = labelled(all, known);
  const int64_t n = truth.size(0);
  const at::Tensor right_ones = outputs.argmax(1) == truth;
  const at::Tensor support = at::bincount(truth, {}, outputs.size(1));
  const at::Tensor hits = at::bincount(truth.masked_select(right_ones), {}, outputs.size(1));
  const at::Tensor present = support > 0;
  const auto classes = present.sum().item<double>();
  if (classes < 2) return std::nullopt;
  const double accuracy = right_ones.sum().item<double>() / static_cast<double>(n);
  const auto right = [&] {
    return fmt::format("the model is right on {} of {} {}", human_percent(accuracy), human_count(n), points);
  };
  const auto largest = support.argmax().item<int64_t>();
  const double share = support[largest].item<double>() / static_cast<double>(n);
  const double recall = (hits.to(at::kDouble) / support).masked_select(present).mean().item<double>();
  const double apart = (recall - 1 / classes) / (1 - 1 / classes);
  if (wilson_interval(accuracy, n, one_sided).low <= share && apart < tells_apart) {
    return fmt::format("{}, no better than always predicting class {} ({}); {}", right(), largest, human_percent(share),
                       advice);
  }
  if (kind == OutputKind::sigmoid || kind == OutputKind::other) return std::nullopt;
  const double confidence = mean_confidence(outputs, kind);
  if (confidence - wilson_interval(accuracy, n, one_sided).high > most_overconfidence) {
    return fmt::format("{}, but its mean confidence is {}; {}", right(), human_percent(confidence), advice);
  }
  return std::nullopt;
}

std::optional<std::string> label_warning(const at::Tensor& outputs, OutputKind kind, const at::Tensor& truth,
                                         const char* points) {
  double sum = 0;
  int64_t defined = 0;
  for (const ClassMeasures& label : measure_labels(label_log_odds(outputs, kind), truth).classes) {
    if (std::isnan(label.auc)) continue;
    sum += label.auc;
    ++defined;
  }
  if (defined == 0 || sum / static_cast<double>(defined) > least_auc) return std::nullopt;
  return fmt::format("the model ranks samples by its labels no better than a guess (mean AUC {:.3g} on {} {}); {}",
                     sum / static_cast<double>(defined), human_count(truth.size(0)), points, advice);
}

std::optional<std::string> regression_warning(const at::Tensor& outputs, const at::Tensor& truth, const char* points) {
  double sum = 0, bounded = 0;
  int64_t defined = 0;
  for (const ErrorMeasures& own : measure_regression(outputs, truth).errors) {
    if (!std::isfinite(own.r2)) continue;
    ++defined;
    sum += own.r2;
    bounded += std::max(own.r2, -1.0);  // so that one bad output does not decide for all
  }
  if (defined == 0 || bounded > 0) return std::nullopt;
  return fmt::format(
      "the model predicts the targets no better than their mean (R2 {:.3g} on {} {}); check the inputs' scale "
      "(--input-scale), the order of their axes, and the targets' scale and order",
      sum / static_cast<double>(defined), human_count(truth.size(0)), points);
}

/// The samples to run the model on: the first of the set, whose order is random.
at::Tensor samples_to_run(const Program& program, const TestSet& fit) {
  const double each = multiply_adds(program, first_samples(*fit.data, program.device));
  const auto affordable = static_cast<int64_t>(most_multiply_adds / std::max(each, 1.0));
  const int64_t count = std::clamp(affordable, least_samples, most_samples);
  return fit.samples.narrow(0, 0, std::min(count, fit.samples.size(0)));
}

}  // namespace

std::optional<std::string> guessing_warning(const at::Tensor& outputs, OutputKind kind, Task task, const TestSet& set) {
  const char* points = points_of(set);
  if (task == Task::classification) return classifier_warning(outputs, kind, set.own_classes(), points);
  const at::Tensor truth = set.own_values();
  return task == Task::multilabel ? label_warning(outputs, kind, truth, points)
                                  : regression_warning(outputs, truth, points);
}

std::optional<std::string> few_samples_warning(const TestSet& fit, const std::vector<int64_t>& modules) {
  const at::Tensor counts = support(fit, *std::max_element(modules.begin(), modules.end()) + 1);
  const std::string_view points = points_of(fit);
  std::vector<std::string> named;
  size_t few = 0;
  for (const int64_t output : modules) {
    const auto count = counts[output].item<int64_t>();
    if (count >= few_samples) continue;
    if (++few <= most_named)
      named.push_back(fmt::format("{} ({} {})", output, count, points.substr(0, points.size() - (count == 1 ? 1 : 0))));
  }
  if (few == 0) return std::nullopt;
  std::string last = few > most_named ? fmt::format("{} more", few - most_named) : named.back();
  if (few <= most_named) named.pop_back();
  const std::string list = named.empty() ? last : fmt::format("{} and {}", fmt::join(named, ", "), last);
  const bool labels = !fit.classes.defined();
  return fmt::format("{}{} {} {} fewer than {} {} to fit on, so {} may do worse on other data; add samples",
                     labels ? "label" : "class",
                     few == 1 ? ""
                     : labels ? "s"
                              : "es",
                     list, few == 1 ? "has" : "have", few_samples, points, few == 1 ? "its module" : "their modules");
}

std::vector<std::string> warnings_before_scoring(const Subject& subject) {
  const Program& program = subject.model.program;
  const TestSet& fit = subject.fit;
  std::vector<std::string> warnings;
  const auto add = [&](std::optional<std::string> warning) {
    if (warning) warnings.push_back(std::move(*warning));
  };
  if (fit.data->target.defined()) {
    TestSet part = fit;
    part.samples = samples_to_run(program, fit);
    const at::Tensor outputs = outputs_for(program, *fit.data, part.samples);
    add(guessing_warning(outputs, subject.model.kind, subject.task, part));
  }
  if (subject.task != Task::regression) add(few_samples_warning(fit, subject.outputs));
  if (!subject.absent.empty()) {
    warnings.push_back(fmt::format("there are no samples of {}, so {} of {} outputs get no module",
                                   subject.task == Task::multilabel ? human_list(subject.absent, "label", "labels")
                                                                    : human_list(subject.absent, "class", "classes"),
                                   human_count(static_cast<int64_t>(subject.absent.size())),
                                   human_count(subject.model.outputs)));
  }
  return warnings;
}

}  // namespace incite
