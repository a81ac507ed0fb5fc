#include "scoring/gradient_target.hpp"

#include <ATen/ATen.h>

#include <limits>

#include "units/output_kind.hpp"

namespace incite {
namespace {

constexpr double least_slope = 1e-12;  // of a probability by its log-odds

/// Log-odds of one class of rows of logits against all others.
at::Tensor against_others(const at::Tensor& rows, int64_t output) {
  if (rows.size(-1) == 1) return rows.select(-1, 0);
  at::Tensor others = at::zeros({rows.size(-1)}, rows.options().requires_grad(false));
  others[output] = -std::numeric_limits<double>::infinity();
  return rows.select(-1, output) - (rows + others).logsumexp(-1);
}

}  // namespace

GradientTarget::GradientTarget(const Program& program, Metric metric, OutputKind kind)
    : value_(program.output), kind_(kind), odds_(metric != Metric::absolute && kind != OutputKind::other) {
  if (!odds_ || !program.is_computed(program.output)) return;
  const Node& last = program.node(program.maker(program.output));
  const bool of_classes = kind == OutputKind::probabilities || kind == OutputKind::log_probabilities;
  const bool softmax = last.op == "aten::softmax" || last.op == "aten::log_softmax";
  if ((of_classes && softmax) || (kind == OutputKind::sigmoid && last.op == "aten::sigmoid")) {
    value_ = last.inputs[0];
    kind_ = of_classes ? OutputKind::logits : OutputKind::label_logits;
  }
}

at::Tensor GradientTarget::of(const at::Tensor& rows, int64_t output) const {
  return odds_ && kind_ == OutputKind::logits ? against_others(rows, output) : rows.select(-1, output);
}

at::Tensor GradientTarget::effects(const at::Tensor& rows, int64_t output, const at::Tensor& changes) const {
  if (!odds_) return changes.abs();
  const at::Tensor value = of(rows, output);
  at::Tensor odds = value, slope;
  if (kind_ == OutputKind::probabilities || kind_ == OutputKind::sigmoid) {
    slope = (value * (1 - value)).clamp_min(least_slope);
    odds = value.logit(least_slope);
  } else if (kind_ == OutputKind::log_probabilities) {
    slope = (-value.expm1()).clamp_min(least_slope);
    odds = value - slope.log();
  }
  const at::Tensor of_odds = slope.defined() ? changes / slope.unsqueeze(1) : changes;
  // On the side where a probability is small: near 1, float32 has no room for small differences.
  const at::Tensor side = at::where(odds > 0, -at::ones_like(odds), at::ones_like(odds));
  const at::Tensor before = (odds * side).unsqueeze(1);
  return ((before + of_odds * side.unsqueeze(1)).sigmoid() - before.sigmoid()).abs();
}

at::Tensor GradientTarget::effects_of_logits(const at::Tensor& rows, const at::Tensor& changes) {
  const at::Tensor before = rows.unsqueeze(1);
  return (probabilities(before + changes, OutputKind::logits) - probabilities(before, OutputKind::logits)).abs_();
}

at::Tensor GradientTarget::measured(const at::Tensor& rows) const {
  return odds_ ? probabilities(rows, kind_) : rows;
}

}  // namespace incite
