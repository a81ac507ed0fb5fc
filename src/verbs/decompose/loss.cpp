#include "verbs/decompose/loss.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "slicing/calibration.hpp"
#include "verbs/decompose/fit_together.hpp"

namespace incite {
namespace {

constexpr int64_t calibration_folds = 10;

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

/// For each sample whose class has a module: 1 if only the original is right, -1 if only the modules are, else 0.
at::Tensor ModuleLoss::classes_lost(const at::Tensor& columns) const {
  const at::Tensor places = places_of(subject_.fit.classes.index_select(0, subject_.validation), subject_.outputs);
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
  return lost.masked_select(places >= 0);
}

SearchStep ModuleLoss::operator()(const at::Tensor& columns, double compression) const {
  if (subject_.task == Task::classification) {
    const at::Tensor lost = classes_lost(columns);
    const auto samples = static_cast<double>(lost.size(0));
    return {compression, 100 * lost.mean().item<double>(), 100 * lost.std(0).item<double>() / std::sqrt(samples)};
  }
  const at::Tensor truth = subject_.fit.values.index_select(0, subject_.validation)
                               .index_select(1, at::tensor(subject_.outputs, at::kLong))
                               .to(at::kDouble);
  const at::Tensor found = (columns - truth).abs().mean(1);
  const at::Tensor before = (original_ - truth).abs().mean(1);
  const double original = std::max(before.mean().item<double>(), 1e-30);
  const double ratio = found.mean().item<double>() / original;
  // The standard error of a ratio of means, to first order.
  const double error =
      (found - ratio * before).std(0).item<double>() / original / std::sqrt(static_cast<double>(found.size(0)));
  return {compression, 100 * (ratio - 1), 100 * error};
}

}  // namespace incite
