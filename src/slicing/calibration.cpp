#include "slicing/calibration.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "base/fail.hpp"
#include "slicing/convex.hpp"

namespace incite {
namespace {

constexpr int64_t iterations = 50;
constexpr double joint_penalties[] = {1e-3, 1e-4, 1e-5};  // each fit starts from the one before it

/// What calibrate minimises, for samples whose modules are given.
class JointLoss {
 public:
  JointLoss(const at::Tensor& modules, int64_t count) : modules_(modules), any_((modules >= 0).any().item<bool>()) {
    const at::Tensor own = modules.unsqueeze(1) == at::arange(count, modules.options()).unsqueeze(0);
    weights_ = balancing_weights(own) / static_cast<double>(count);
    signs_ = signs(own);
  }

  /// Of log-odds [samples, modules] float64.
  at::Tensor operator()(const at::Tensor& odds) const {
    at::Tensor alone = own_share * (weights_ * at::softplus(-odds * signs_)).sum();
    if (!any_) return alone;
    return alone + at::cross_entropy_loss(odds, modules_, {}, at::Reduction::Mean, -1);
  }

 private:
  at::Tensor modules_;
  bool any_;  // whether a sample has a module
  at::Tensor weights_, signs_;
};

/// Heads as rows of standardised features.
struct Rows {
  std::vector<at::Tensor> rows;  // by module
  at::Tensor offsets;            // [modules]

  at::Tensor odds(const std::vector<at::Tensor>& features) const {
    std::vector<at::Tensor> columns;
    for (size_t m = 0; m < rows.size(); ++m)
      columns.push_back(at::mv(features[m], rows[m].to(features[m].dtype())).to(at::kDouble));
    return at::stack(columns, 1) + offsets;
  }
};

Rows copy_of(const Rows& rows) {
  Rows copy;
  for (const at::Tensor& row : rows.rows)
    copy.rows.push_back(row.detach().clone());
  copy.offsets = rows.offsets.detach().clone();
  return copy;
}

}  // namespace

std::vector<Calibration> calibrate(const at::Tensor& odds, const at::Tensor& modules) {
  const int64_t count = odds.size(1);
  const at::Tensor samples = at::bincount(modules.masked_select(modules >= 0), {}, count);
  if (samples.min().item<int64_t>() == 0) return std::vector<Calibration>(static_cast<size_t>(count));
  const JointLoss loss(modules, count);
  const at::Tensor scales = variable(at::ones({count}, odds.options()));
  const at::Tensor offsets = variable(at::zeros({count}, odds.options()));
  minimise({scales, offsets}, 200, [&] {
    return loss(odds * scales + offsets) +
           1e-4 * ((scales - 1).square().sum() + offsets.square().sum()) / static_cast<double>(count);
  });
  std::vector<Calibration> found;
  for (int64_t m = 0; m < count; ++m) {
    const double scale = scales[m].item<double>();
    // A module whose log-odds say nothing, or the opposite, is left as it is.
    found.push_back(scale > 1e-3 ? Calibration{scale, offsets[m].item<double>()} : Calibration{});
  }
  return found;
}

at::Tensor calibrated(const at::Tensor& odds, const std::vector<Calibration>& calibrations) {
  std::vector<double> scales, offsets;
  for (const Calibration& one : calibrations) {
    scales.push_back(one.scale);
    offsets.push_back(one.offset);
  }
  return odds * at::tensor(scales, odds.options()) + at::tensor(offsets, odds.options());
}

JointHeads fit_heads_together(const JointHeadData& data, const std::vector<Head>& apart, OutputKind kind) {
  INCITE_ASSERT(!apart.empty() && data.features.size() == apart.size() && data.validating > 0);
  const auto count = static_cast<int64_t>(apart.size());
  const int64_t fitted = data.modules.size(0) - data.validating;
  const bool has_bias = apart.front().bias.defined();
  std::vector<Standardised> standards;
  std::vector<at::Tensor> features, validating;
  Rows rows;
  std::vector<at::Tensor> offsets;
  for (size_t m = 0; m < apart.size(); ++m) {
    Standardised s = standardise(data.features[m].narrow(0, 0, fitted), has_bias);
    features.push_back(s.turned.to(at::kFloat));  // all modules' at once: half the memory
    validating.push_back(s.apply(data.features[m].narrow(0, fitted, data.validating)).to(at::kFloat));
    s.turned = at::Tensor();
    const Head head = log_odds_row(apart[m], kind);
    rows.rows.push_back(s.turned_row(head.weight * s.deviation));
    offsets.push_back((head.weight * s.mean).sum() + (has_bias ? head.bias : at::zeros({}, head.weight.options())));
    standards.push_back(std::move(s));
  }
  rows.offsets = at::stack(offsets);

  const JointLoss loss(data.modules.narrow(0, 0, fitted), count);
  const JointLoss validation_loss(data.modules.narrow(0, fitted, data.validating), count);
  JointHeads found;
  {
    // Without a bias there is no place for an offset.
    const std::vector<Calibration> calibrations =
        has_bias ? calibrate(rows.odds(features), data.modules.narrow(0, 0, fitted))
                 : std::vector<Calibration>(apart.size());
    for (size_t m = 0; m < apart.size(); ++m) {
      const auto place = static_cast<int64_t>(m);
      rows.rows[m].mul_(calibrations[m].scale);
      rows.offsets[place] = rows.offsets[place] * calibrations[m].scale + calibrations[m].offset;
    }
    found.losses.push_back(validation_loss(rows.odds(validating)).item<double>());
  }

  Rows fit;
  for (const at::Tensor& row : rows.rows)
    fit.rows.push_back(variable(row));
  fit.offsets = has_bias ? variable(rows.offsets) : rows.offsets;
  std::vector<at::Tensor> parameters = fit.rows;
  if (has_bias) parameters.push_back(fit.offsets);
  std::optional<Rows> best;
  double least = found.losses.front();
  for (const double penalty : joint_penalties) {
    minimise(parameters, iterations, [&] {
      at::Tensor squares = at::zeros({}, at::kDouble);
      for (size_t m = 0; m < apart.size(); ++m)
        squares = squares + standards[m].row(fit.rows[m]).square().sum();
      return loss(fit.odds(features)) + penalty * squares;
    });
    const Rows now = copy_of(fit);
    const double lost = validation_loss(now.odds(validating)).item<double>();
    if (!(lost < least)) continue;
    least = lost;
    best = now;
  }
  if (!best) return found;
  found.losses.push_back(least);
  for (size_t m = 0; m < apart.size(); ++m) {
    found.heads.push_back(
        two_rows(unstandardise(best->rows[m], best->offsets[static_cast<int64_t>(m)], standards[m]), kind, has_bias));
  }
  return found;
}

Head log_odds_row(const Head& rows, OutputKind kind) {
  const auto difference = [&](const at::Tensor& two) {
    const at::Tensor wide = two.to(at::kDouble);
    return kind == OutputKind::sigmoid ? wide[1] : wide[1] - wide[0];
  };
  return {difference(rows.weight.flatten(1)), rows.bias.defined() ? difference(rows.bias) : at::Tensor()};
}

Head calibrated(const Head& head, const Calibration& calibration, OutputKind kind) {
  INCITE_ASSERT(head.weight.size(0) == 2);
  Head result;
  result.weight = head.weight.to(at::kDouble) * calibration.scale;
  if (!head.bias.defined()) return result;
  const double offset = (kind == OutputKind::sigmoid ? 1.0 : 0.5) * calibration.offset;
  result.bias = head.bias.to(at::kDouble) * calibration.scale + at::tensor({-offset, offset}, result.weight.options());
  return result;
}

}  // namespace incite
