#include "evaluation/measures.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <tuple>

#include "base/batch.hpp"
#include "base/fail.hpp"

namespace incite {
namespace {

double ratio(double part, double all) {
  return all > 0 ? part / all : undefined;
}

ClassMeasures from_counts(double true_positives, double said, double positives, double all) {
  const double errors = said + positives - 2 * true_positives;
  ClassMeasures measures;
  measures.support = static_cast<int64_t>(positives);
  measures.accuracy = ratio(all - errors, all);
  measures.precision = ratio(true_positives, said);
  measures.recall = ratio(true_positives, positives);
  measures.f1 = ratio(2 * true_positives, said + positives);
  measures.balanced_accuracy = (measures.recall + ratio(all - positives - said + true_positives, all - positives)) / 2;
  measures.claims = static_cast<int64_t>(said);
  measures.samples = static_cast<int64_t>(all);
  return measures;
}

/// Of a module that says yes where `yes` is set, and whose scores rank the samples. All [n].
ClassMeasures answers_measured(const at::Tensor& yes, const at::Tensor& positive, const at::Tensor& scores) {
  const auto count = [](const at::Tensor& of) { return of.sum().item<double>(); };
  ClassMeasures measures =
      from_counts(count(yes.logical_and(positive)), count(yes), count(positive), static_cast<double>(yes.size(0)));
  measures.auc = roc_auc(scores, positive);
  return measures;
}

/// What a softmax over the classes needs of each row. So it is made one class at a time, without another matrix.
struct Rows {
  at::Tensor top;   ///< [n] int64: the class of the largest output
  at::Tensor own;   ///< [n]: its logarithm
  at::Tensor sum;   ///< [n]: logarithm of the sum over all classes
  at::Tensor rest;  ///< [n]: of the sum over all others, which `sum` would round away
};

Rows rows_of(const at::Tensor& outputs, OutputKind kind) {
  const int64_t n = outputs.size(0);
  const int64_t block = std::max<int64_t>((int64_t{1} << 20) / outputs.size(1), 1);
  std::vector<at::Tensor> own, sum, rest;
  Rows rows;
  rows.top = outputs.argmax(1);
  in_batches(n, block, [&](int64_t first, int64_t count) {
    const at::Tensor logs = logarithms(outputs.narrow(0, first, count), kind);
    const at::Tensor top = rows.top.narrow(0, first, count).unsqueeze(1);
    own.push_back(logs.gather(1, top).squeeze(1));
    sum.push_back(logs.logsumexp(1));
    rest.push_back(logs.scatter(1, top, -std::numeric_limits<double>::infinity()).logsumexp(1));
  });
  rows.own = at::cat(own);
  rows.sum = at::cat(sum);
  rows.rest = at::cat(rest);
  return rows;
}

/// The log-odds of one class against the others, [n]: those of log_odds, but for rounding.
at::Tensor log_odds_of(const at::Tensor& outputs, OutputKind kind, const Rows& rows, int64_t k) {
  const at::Tensor own = logarithms(outputs.select(1, k), kind);
  if (kind == OutputKind::sigmoid) return log_odds_alone(own);
  // Only the largest can be above a half, where 1 - p loses digits.
  const at::Tensor log_share = own - rows.sum;
  const at::Tensor others = at::where(rows.top == k, rows.rest, rows.sum + (-log_share.exp()).log1p());
  return own - others;
}

at::Tensor confidence_of(const Rows& rows, OutputKind kind) {
  return kind == OutputKind::sigmoid ? rows.own.exp() : (rows.own - rows.sum).exp();
}

/// The mean of a measure over the classes for which it is defined.
template <typename Measure>
double mean_of(const std::vector<ClassMeasures>& classes, Measure measure) {
  double sum = 0, defined = 0;
  for (const ClassMeasures& one : classes) {
    const double value = std::invoke(measure, one);
    if (std::isnan(value)) continue;
    sum += value;
    defined += 1;
  }
  return ratio(sum, defined);
}

/// Of the classes of a set together. `decided`, `truth` [n] int64: classes of the model; those that are not in the set
/// are one.
SetMeasures set_measures(std::vector<ClassMeasures> classes, const OutputSet& set, const at::Tensor& decided,
                         const at::Tensor& truth) {
  SetMeasures measures;
  if (classes.size() == 1) {
    static_cast<ClassMeasures&>(measures) = classes.front();
    measures.classes = std::move(classes);
    return measures;
  }
  const auto place = [&](const at::Tensor& of) {
    const at::Tensor places = at::full_like(of, -1);
    for (const int64_t k : set.outputs)
      places.masked_fill_(of == k, k);
    return places;
  };
  const at::Tensor right = place(decided) == place(truth);
  const auto all = static_cast<double>(truth.size(0));
  double recalls = 0;
  double with_samples = 0;
  for (const ClassMeasures& one : classes) {
    if (one.support == 0) continue;
    recalls += one.recall;
    with_samples += 1;
  }
  const at::Tensor others = place(truth) < 0;
  if (const auto count = others.sum().item<double>(); count > 0) {
    recalls += right.logical_and(others).sum().item<double>() / count;
    with_samples += 1;
  }
  measures.accuracy = ratio(right.sum().item<double>(), all);
  measures.balanced_accuracy = ratio(recalls, with_samples);
  measures.precision = mean_of(classes, &ClassMeasures::precision);
  measures.recall = mean_of(classes, &ClassMeasures::recall);
  measures.f1 = mean_of(classes, &ClassMeasures::f1);
  measures.auc = mean_of(classes, &ClassMeasures::auc);
  measures.samples = static_cast<int64_t>(all);
  measures.classes = std::move(classes);
  return measures;
}

}  // namespace

Interval wilson_interval(double share, int64_t samples, double z) {
  const auto n = static_cast<double>(samples);
  const double scale = 1 + z * z / n;
  const double middle = (share + z * z / (2 * n)) / scale;
  const double half = z / scale * std::sqrt(share * (1 - share) / n + z * z / (4 * n * n));
  return {std::max(middle - half, 0.0), std::min(middle + half, 1.0)};
}

std::optional<Interval> interval_of_few(double share, int64_t samples) {
  if (samples <= 0 || samples >= enough_samples || !std::isfinite(share)) return std::nullopt;
  return wilson_interval(share, samples);
}

std::optional<Interval> balanced_interval(const ClassMeasures& measures) {
  const int64_t own = measures.support, others = measures.samples - measures.support;
  if (own <= 0 || others <= 0 || std::min(own, others) >= enough_samples) return std::nullopt;
  const double recall = measures.recall, specificity = 2 * measures.balanced_accuracy - recall;
  const Interval of_own = wilson_interval(recall, own), of_others = wilson_interval(specificity, others);
  const double middle = measures.balanced_accuracy;
  return Interval{middle - std::hypot(recall - of_own.low, specificity - of_others.low) / 2,
                  middle + std::hypot(of_own.high - recall, of_others.high - specificity) / 2};
}

double roc_auc(const at::Tensor& scores, const at::Tensor& positive) {
  const int64_t n = scores.size(0);
  const auto positives = positive.sum().item<int64_t>();
  if (positives == 0 || positives == n || scores.isnan().any().item<bool>()) return undefined;
  const auto [sorted, order] = scores.sort();
  const at::Tensor counts =
      std::get<2>(at::unique_consecutive(sorted, /*return_inverse=*/false, /*return_counts=*/true));
  // Ranks from 1; tied samples share the mean of theirs, which is that of the last less half the others.
  const at::Tensor ranks = counts.cumsum(0).to(at::kDouble) - (counts.to(at::kDouble) - 1) / 2;
  const at::Tensor own = positive.index_select(0, order).to(at::kDouble);
  const double sum = (ranks.repeat_interleave(counts) * own).sum().item<double>();
  const auto yes = static_cast<double>(positives);
  return (sum - yes * (yes + 1) / 2) / (yes * static_cast<double>(n - positives));
}

double average_precision(const at::Tensor& scores, const at::Tensor& positive) {
  const auto positives = positive.sum().item<double>();
  if (positives == 0 || scores.isnan().any().item<bool>()) return undefined;
  const auto [sorted, order] = scores.sort(0, /*descending=*/true);
  const at::Tensor counts =
      std::get<2>(at::unique_consecutive(sorted, /*return_inverse=*/false, /*return_counts=*/true));
  const at::Tensor last = counts.cumsum(0) - 1;  // of each threshold's samples
  const at::Tensor hits = positive.index_select(0, order).to(at::kDouble).cumsum(0).index_select(0, last);
  const at::Tensor precision = hits / (last + 1);
  const at::Tensor gained = hits - at::cat({at::zeros({1}, hits.options()), hits.narrow(0, 0, hits.size(0) - 1)});
  return (precision * gained).sum().item<double>() / positives;
}

double calibration_error(const at::Tensor& confidence, const at::Tensor& right, int64_t bins) {
  const at::Tensor given = confidence.to(at::kDouble);
  if (given.numel() == 0 || !given.isfinite().all().item<bool>()) return undefined;
  const at::Tensor bin = (given * static_cast<double>(bins)).ceil().to(at::kLong).sub(1).clamp(0, bins - 1);
  const at::Tensor gaps = at::zeros({bins}, at::kDouble).index_add(0, bin, right.to(at::kDouble) - given);
  return gaps.abs().sum().item<double>() / static_cast<double>(given.numel());
}

at::Tensor confusion_matrix(const at::Tensor& truth, const at::Tensor& decided, int64_t classes) {
  return at::bincount(truth * classes + decided, {}, classes * classes).view({classes, classes});
}

ClassMeasures class_measures(const at::Tensor& scores, const at::Tensor& positive) {
  return answers_measured(scores > 0, positive, scores);
}

ErrorMeasures error_measures(const at::Tensor& found, const at::Tensor& truth) {
  const at::Tensor expected = truth.to(at::kDouble);
  const at::Tensor difference = found.to(at::kDouble) - expected;
  const double squares = difference.square().sum().item<double>();
  const bool constant = expected.min().equal(expected.max());  // else rounding of the mean would look like a spread
  const double spread = constant ? 0 : (expected - expected.mean()).square().sum().item<double>();
  const auto n = static_cast<double>(truth.size(0));
  return {difference.abs().sum().item<double>() / n, std::sqrt(squares / n), 1 - ratio(squares, spread)};
}

ModelMeasures measure_classifier(const at::Tensor& outputs, OutputKind kind, const at::Tensor& truth) {
  INCITE_ASSERT(outputs.size(0) == truth.size(0) && outputs.size(0) > 0);
  const int64_t classes = outputs.size(1);
  const Rows rows = rows_of(outputs, kind);
  const at::Tensor right = rows.top == truth;
  ModelMeasures measures;
  measures.score = right.sum().item<double>() / static_cast<double>(truth.size(0));
  measures.confusion = confusion_matrix(truth, rows.top, classes);
  if (kind != OutputKind::other) measures.ece = calibration_error(confidence_of(rows, kind), right);
  const at::Tensor hits = measures.confusion.diagonal().to(at::kDouble).contiguous();
  const at::Tensor said = measures.confusion.sum(0).to(at::kDouble);
  const at::Tensor positives = measures.confusion.sum(1).to(at::kDouble);
  for (int64_t k = 0; k < classes; ++k) {
    measures.classes.push_back(from_counts(hits[k].item<double>(), said[k].item<double>(), positives[k].item<double>(),
                                           static_cast<double>(truth.size(0))));
    measures.classes.back().auc = roc_auc(log_odds_of(outputs, kind, rows, k), truth == k);
  }
  return measures;
}

std::vector<SetMeasures> measure_classes(const at::Tensor& outputs, OutputKind kind, const at::Tensor& truth,
                                         const std::vector<OutputSet>& sets) {
  INCITE_ASSERT(outputs.size(0) == truth.size(0) && outputs.size(0) > 0);
  const Rows rows = rows_of(outputs, kind);
  std::vector<SetMeasures> measures;
  for (const OutputSet& set : sets) {
    std::vector<ClassMeasures> classes;
    for (const int64_t k : set.outputs) {
      classes.push_back(answers_measured(rows.top == k, truth == k, log_odds_of(outputs, kind, rows, k)));
    }
    measures.push_back(set_measures(std::move(classes), set, rows.top, truth));
  }
  return measures;
}

SetMeasures measure_set(const at::Tensor& odds, const OutputSet& set, const at::Tensor& classes) {
  std::vector<ClassMeasures> each;
  const auto [largest, place] = odds.max(1);
  at::Tensor decided = at::tensor(set.outputs, at::kLong).index_select(0, place);
  if (set.others) decided = decided.masked_fill((largest > 0).logical_not(), -1);
  // Logits are known but for a constant in each row: a class is ranked by its log-odds against the rest.
  const std::optional<Rows> rows = set.others ? std::nullopt : std::optional(rows_of(odds, OutputKind::logits));
  for (int64_t column = 0; column < set.size(); ++column) {
    const int64_t k = set.outputs[static_cast<size_t>(column)];
    const at::Tensor scores = rows ? log_odds_of(odds, OutputKind::logits, *rows, column) : odds.select(1, column);
    each.push_back(answers_measured(decided == k, classes == k, scores));
  }
  return set_measures(std::move(each), set, decided, classes);
}

double mean_iou(const ModelMeasures& measures) {
  return mean_of(measures.classes, &ClassMeasures::iou);
}

double mean_confidence(const at::Tensor& outputs, OutputKind kind) {
  if (kind == OutputKind::other) return undefined;
  return confidence_of(rows_of(outputs, kind), kind).mean().item<double>();
}

ModelMeasures measure_labels(const at::Tensor& odds, const at::Tensor& truth) {
  INCITE_ASSERT(odds.sizes() == truth.sizes() && odds.size(0) > 0);
  ModelMeasures measures;
  for (int64_t k = 0; k < odds.size(1); ++k) {
    const at::Tensor own = odds.select(1, k), positive = truth.select(1, k) > 0;
    measures.classes.push_back(class_measures(own, positive));
    measures.classes.back().average_precision = average_precision(own, positive);
  }
  measures.score = mean_of(measures.classes, &ClassMeasures::average_precision);
  return measures;
}

SetMeasures mean_of_labels(std::vector<ClassMeasures> labels) {
  SetMeasures measures;
  if (labels.size() == 1) {
    static_cast<ClassMeasures&>(measures) = labels.front();
  } else {
    for (double ClassMeasures::*measure :
         {&ClassMeasures::accuracy, &ClassMeasures::balanced_accuracy, &ClassMeasures::precision,
          &ClassMeasures::recall, &ClassMeasures::f1, &ClassMeasures::auc, &ClassMeasures::average_precision})
      measures.*measure = mean_of(labels, measure);
    measures.samples = labels.front().samples;
  }
  measures.classes = std::move(labels);
  return measures;
}

ModelMeasures measure_regression(const at::Tensor& found, const at::Tensor& truth) {
  INCITE_ASSERT(found.sizes() == truth.sizes() && found.size(0) > 0);
  ModelMeasures measures;
  double sum = 0;
  for (int64_t k = 0; k < found.size(1); ++k) {
    measures.errors.push_back(error_measures(found.select(1, k), truth.select(1, k)));
    sum += measures.errors.back().mae;
  }
  measures.score = sum / static_cast<double>(found.size(1));
  return measures;
}

}  // namespace incite
