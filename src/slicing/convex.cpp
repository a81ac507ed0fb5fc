#include "slicing/convex.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/optim/lbfgs.h>

#include <algorithm>

#include "base/workers.hpp"

namespace incite {
namespace {

constexpr int64_t most_to_turn = 1024;        // features
constexpr int64_t samples_of_a_piece = 2048;  // of a loss

/// L-BFGS; `evaluate` gives the value and adds its gradients to those of the parameters.
void minimise_by_gradients(const std::vector<at::Tensor>& parameters, int64_t iterations,
                           const std::function<at::Tensor()>& evaluate) {
  const OneThread alone;  // thousands of short operations: each would wait for threads that other work has taken
  const at::AutoGradMode gradients(true);
  torch::optim::LBFGS optimiser(parameters, torch::optim::LBFGSOptions(1.0)
                                                .max_iter(iterations)
                                                .max_eval(iterations * 5 / 4)
                                                .tolerance_grad(1e-8)
                                                .tolerance_change(1e-11)
                                                .history_size(20)
                                                .line_search_fn("strong_wolfe"));
  optimiser.step([&] {
    optimiser.zero_grad();
    return evaluate();
  });
}

struct ValueAndGradients {
  at::Tensor value;
  std::vector<at::Tensor> gradients;  // undefined where the value does not depend on the parameter
};

ValueAndGradients gradients_at(const std::vector<at::Tensor>& parameters,
                               const std::function<at::Tensor(const std::vector<at::Tensor>&)>& loss) {
  const at::AutoGradMode gradients(true);
  std::vector<at::Tensor> copies;
  for (const at::Tensor& parameter : parameters)
    copies.push_back(parameter.detach().requires_grad_(true));
  const at::Tensor value = loss(copies);
  return {value.detach(), torch::autograd::grad({value}, copies, {}, false, false, /*allow_unused=*/true)};
}

/// Of all samples, those from `first` on.
at::Tensor part_of(const at::Tensor& all, int64_t first, int64_t count) {
  return all.size(0) == count ? all : all.narrow(0, first, count);
}

}  // namespace

at::Tensor Standardised::rows(const at::Tensor& turned_rows) const {
  return turn.defined() ? products(turn, turned_rows).t() : turned_rows;
}

at::Tensor Standardised::turned_rows(const at::Tensor& rows) const {
  if (!turn.defined()) return rows;
  return rows.size(0) == 1 ? at::linalg_solve(turn, rows[0]).unsqueeze(0) : at::linalg_solve(turn, rows.t()).t();
}

at::Tensor Standardised::apply(const at::Tensor& features) const {
  const at::Tensor standard = (features.to(at::kDouble) - mean) / deviation;
  return turn.defined() ? standard.matmul(turn) : standard;
}

Standardised standardise(const at::Tensor& features, bool centre) {
  Standardised s;
  s.turned = features.to(at::kDouble);
  s.mean = centre ? s.turned.mean(0) : at::zeros({features.size(1)}, s.turned.options());
  s.turned = s.turned - s.mean;
  s.deviation = s.turned.square().mean(0).sqrt();
  s.deviation = at::where(s.deviation > 1e-12, s.deviation, at::ones_like(s.deviation));
  s.turned.div_(s.deviation);
  if (features.size(1) > most_to_turn) return s;
  const auto [variances, directions] =
      at::linalg_eigh(s.turned.t().matmul(s.turned) / static_cast<double>(features.size(0)));
  const at::Tensor least = 1e-6 * variances.max().clamp_min(1e-12);
  s.turn = directions / variances.clamp_min(0).add(least).sqrt();
  s.turned = s.turned.matmul(s.turn);
  return s;
}

Head unstandardise(const at::Tensor& rows, const at::Tensor& offsets, const Standardised& s) {
  Head head;
  head.weight = s.rows(rows) / s.deviation;
  head.bias = offsets - (head.weight * s.mean).sum(1);
  return head;
}

at::Tensor products(const at::Tensor& features, const at::Tensor& rows) {
  return rows.size(0) == 1 ? at::mv(features, rows[0]).unsqueeze(1) : features.matmul(rows.t());
}

void minimise(const std::vector<at::Tensor>& parameters, int64_t iterations, const std::function<at::Tensor()>& loss) {
  minimise_by_gradients(parameters, iterations, [&] {
    at::Tensor value = loss();
    value.backward();
    return value;
  });
}

void minimise(const std::vector<at::Tensor>& parameters, int64_t iterations, const LossInPieces& loss) {
  const int64_t size = loss.device.is_cpu() ? samples_of_a_piece : std::max<int64_t>(loss.samples, 1);
  const int64_t pieces = (loss.samples + size - 1) / size;
  std::vector<ValueAndGradients> found(static_cast<size_t>(pieces) + 1);
  const int64_t workers = workers_for(loss.device);  // here, since minimising takes one thread
  minimise_by_gradients(parameters, iterations, [&] {
    run_pieces(pieces + 1, workers, loss.device, [&](int64_t number) {
      const int64_t first = number * size;
      found[static_cast<size_t>(number)] = gradients_at(parameters, [&](const std::vector<at::Tensor>& copies) {
        return number < pieces ? loss.piece(copies, first, std::min(size, loss.samples - first)) : loss.rest(copies);
      });
    });
    // In the order of the pieces, so that sums are the same for any number of workers.
    at::Tensor value = at::zeros({}, parameters.front().options().dtype(at::kDouble));
    for (const ValueAndGradients& one : found) {
      value += one.value;
      for (size_t i = 0; i < parameters.size(); ++i) {
        if (!one.gradients[i].defined()) continue;
        at::Tensor& sum = parameters[i].mutable_grad();
        sum = sum.defined() ? sum + one.gradients[i] : one.gradients[i].clone();
      }
    }
    return value;
  });
}

at::Tensor variable(const at::Tensor& start) {
  return start.detach().clone().set_requires_grad(true);
}

at::Tensor signs(const at::Tensor& positive) {
  return at::where(positive, at::full({}, 1.0, at::kDouble), at::full({}, -1.0, at::kDouble));
}

at::Tensor balancing_weights(const at::Tensor& positive) {
  const at::Tensor positives = positive.sum(0).to(at::kDouble);
  const at::Tensor negatives = static_cast<double>(positive.size(0)) - positives;
  return at::where(positive, 0.5 / positives.clamp_min(1), 0.5 / negatives.clamp_min(1));
}

at::Tensor rows_within(const at::Tensor& columns, int64_t first, int64_t size) {
  const at::Tensor within = columns - first;
  return at::where((within >= 0).logical_and(within < size), within + 1, at::zeros_like(within));
}

SetLoss::SetLoss(const at::Tensor& rows, const OutputSet& set, const at::Tensor& teacher)
    : rows_(rows), others_(set.others) {
  if (others_) {
    const at::Tensor counts = at::bincount(rows, {}, set.rows()).to(at::kDouble).clamp_min(1);
    weights_ = (1.0 / static_cast<double>(set.rows()) / counts).index_select(0, rows);
  } else {
    weights_ = at::full({}, 1.0 / static_cast<double>(rows.size(0)), rows.options().dtype(at::kDouble));
  }
  if (others_ && set.size() == 1) signs_ = signs(rows == 1).unsqueeze(1);
  if (!teacher.defined() || others_) return;
  const at::Tensor labels = at::one_hot(rows, set.size()).to(at::kDouble);
  targets_ = (1 - teacher_share) * labels + teacher_share * teacher.to(at::kDouble);
}

at::Tensor SetLoss::operator()(const at::Tensor& odds, int64_t first) const {
  const int64_t count = odds.size(0);
  const at::Tensor weights = weights_.dim() == 0 ? weights_ : part_of(weights_, first, count);
  if (signs_.defined()) return (weights * at::softplus(-(odds * part_of(signs_, first, count))).squeeze(1)).sum();
  const at::Tensor logits = others_ ? at::cat({at::zeros_like(odds.narrow(1, 0, 1)), odds}, 1) : odds;
  if (targets_.defined()) return -(weights * (part_of(targets_, first, count) * logits.log_softmax(1)).sum(1)).sum();
  return (weights * at::cross_entropy_loss(logits, part_of(rows_, first, count), {}, at::Reduction::None)).sum();
}

LabelLoss::LabelLoss(const at::Tensor& labels, const at::Tensor& teacher) : targets_(labels.to(at::kDouble)) {
  if (teacher.defined()) targets_ = (1 - teacher_share) * targets_ + teacher_share * teacher.to(at::kDouble);
}

at::Tensor LabelLoss::operator()(const at::Tensor& odds) const {
  return at::binary_cross_entropy_with_logits(odds, targets_);
}

Head head_from_log_odds(const Head& odds, const OutputSet& set, OutputKind kind, bool has_bias) {
  const auto rows = [&](const at::Tensor& of) {
    if (!set.others) return of.to(at::kFloat);
    const at::Tensor all = at::cat({at::zeros_like(of.narrow(0, 0, 1)), of});
    const at::Tensor middle = of.sum(0) / static_cast<double>(set.rows());
    return (row_distance(kind, set) * (all - middle)).to(at::kFloat);
  };
  return {rows(odds.weight), has_bias ? rows(odds.bias) : at::Tensor()};
}

}  // namespace incite
