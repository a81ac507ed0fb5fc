#include "verbs/decompose/loss.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "slicing/calibration.hpp"
#include "verbs/decompose/fit_together.hpp"

namespace incite {
namespace {

struct MeanOfSamples {
  double mean = 0;
  double error = 0;  // its standard error
};

/// The mean of values [points] that are not NaN. Points of one sample are alike, so that samples count as independent.
MeanOfSamples mean_of_samples(const at::Tensor& values, int64_t points_each) {
  const at::Tensor known = values.isnan().logical_not();
  if (points_each == 1) {
    const at::Tensor own = values.masked_select(known);
    return {own.mean().item<double>(), own.std(0).item<double>() / std::sqrt(static_cast<double>(own.size(0)))};
  }
  const at::Tensor counts = known.view({-1, points_each}).sum(1).to(at::kDouble);
  const at::Tensor sums = values.nan_to_num(0).view({-1, points_each}).sum(1);
  const double count = counts.sum().item<double>();
  const double mean = sums.sum().item<double>() / count;
  // Of a ratio of means, to first order.
  const double error =
      (sums - mean * counts).std(0).item<double>() * std::sqrt(static_cast<double>(sums.size(0))) / count;
  return {mean, error};
}

constexpr int64_t calibration_folds = 10;  // of the validation samples; of the jackknife too

}  // namespace

ModuleLoss::ModuleLoss(const Workshop& workshop) : subject_(workshop.subject), calibrates_(calibrates(workshop)) {
  const std::vector<int64_t>& outputs = subject_.outputs;
  const at::Tensor all = outputs_for(subject_.model.program, *subject_.data, subject_.validation);
  original_ = all.index_select(1, at::tensor(outputs, at::kLong)).to(at::kDouble);
  if (subject_.task == Task::classification && outputs.size() == 1) original_yes_ = all.argmax(1) == outputs[0];
}

/// For a single module, by how much the original answers better on each sample, weighted so that the mean is the
/// difference of the balanced accuracies: [samples] float64.
at::Tensor ModuleLoss::answers_lost(const at::Tensor& scores, const at::Tensor& own) const {
  at::Tensor lost = (original_yes_ == own).to(at::kDouble) - ((scores > 0) == own).to(at::kDouble);
  const auto samples = static_cast<double>(own.size(0));
  const auto positives = own.sum().item<double>();
  if (positives == 0 || positives == samples) return lost;
  return lost * at::where(own, samples / (2 * positives), samples / (2 * (samples - positives)));
}

/// For each point whose class has a module: 1 if only the original is right, -1 if only the modules are; else 0, and
/// NaN if its class has none.
at::Tensor ModuleLoss::classes_lost(const at::Tensor& columns) const {
  const at::Tensor points = subject_.data->points(subject_.validation);
  const at::Tensor places = places_of(subject_.fit.classes.index_select(0, points), subject_.outputs);
  if (subject_.outputs.size() == 1) return answers_lost(columns.select(1, 0), places == 0);
  at::Tensor decided = at::empty_like(places);
  const at::Tensor part = at::arange(places.size(0), at::kLong).remainder(calibration_folds);
  for (int64_t fold = 0; fold < calibration_folds; ++fold) {
    const at::Tensor measured = (part == fold).nonzero().flatten();
    at::Tensor scores = columns.index_select(0, measured);
    if (calibrates_) {
      const at::Tensor others = (part != fold).nonzero().flatten();
      const std::vector<Calibration> calibrations =
          calibrate(columns.index_select(0, others), places.index_select(0, others), subject_.modules);
      scores = calibrated(scores, calibrations, subject_.modules);
    }
    decided.index_copy_(0, measured, scores.argmax(1));
  }
  const at::Tensor lost = (original_.argmax(1) == places).to(at::kDouble) - (decided == places).to(at::kDouble);
  return lost.masked_fill(places < 0, std::numeric_limits<double>::quiet_NaN());
}

/// By the mean average precision. Its standard error is the jackknife's over tenths of the samples (B. Efron, "The
/// Jackknife, the Bootstrap and Other Resampling Plans", SIAM 1982, chapter 3).
SearchStep ModuleLoss::precision_lost(const at::Tensor& columns, const at::Tensor& truth, double compression) const {
  const at::Tensor before = label_log_odds(original_, subject_.model.kind);
  const auto lost = [&](const at::Tensor& samples) {
    const auto of = [&](const at::Tensor& rows) { return rows.index_select(0, samples); };
    return 100 * (measure_labels(of(before), of(truth)).score - measure_labels(of(columns), of(truth)).score);
  };
  const at::Tensor part = at::arange(truth.size(0), at::kLong).remainder(calibration_folds);
  std::vector<double> without;
  for (int64_t fold = 0; fold < calibration_folds; ++fold)
    without.push_back(lost((part != fold).nonzero().flatten()));
  const at::Tensor losses = at::tensor(without, at::kDouble);
  const auto folds = static_cast<double>(calibration_folds);
  const double error = std::sqrt((folds - 1) / folds * (losses - losses.mean()).square().sum().item<double>());
  return {compression, lost(at::arange(truth.size(0), at::kLong)), error};
}

SearchStep ModuleLoss::operator()(const at::Tensor& columns, double compression) const {
  if (subject_.task == Task::classification) {
    const MeanOfSamples lost = mean_of_samples(classes_lost(columns), subject_.data->points_each());
    return {compression, 100 * lost.mean, 100 * lost.error};
  }
  const at::Tensor truth = validation_values(subject_);
  if (subject_.task == Task::multilabel) return precision_lost(columns, truth, compression);
  const at::Tensor found = (columns - truth).abs().mean(1);
  const at::Tensor before = (original_ - truth).abs().mean(1);
  const double original = std::max(before.mean().item<double>(), 1e-30);
  const double ratio = found.mean().item<double>() / original;
  // The standard error of a ratio of means, to first order.
  const double error = mean_of_samples(found - ratio * before, subject_.data->points_each()).error / original;
  return {compression, 100 * (ratio - 1), 100 * error};
}

}  // namespace incite
