#include "slicing/calibration.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "base/fail.hpp"
#include "base/workers.hpp"
#include "slicing/convex.hpp"

namespace incite {
namespace {

constexpr int64_t joint_iterations = 50, last_joint_iterations = 25;
constexpr int64_t joint_part = 4;     // of the samples one in so many chooses the penalty, ...
constexpr int64_t least_part = 8192;  // ... but no fewer than this
constexpr double least_scale = 1e-3;
constexpr double joint_penalties[] = {1e-3, 1e-4, 1e-5};  // each fit starts from the one before it

/// What calibrate minimises, for samples whose columns are given.
class JointLoss {
 public:
  JointLoss(const at::Tensor& columns, const std::vector<OutputSet>& sets, const at::Tensor& teacher = {})
      : columns_(columns), known_((columns >= 0).sum().item<int64_t>()) {
    const auto count = static_cast<double>(sets.size());
    std::vector<int64_t> singles;
    int64_t first = 0;
    for (const OutputSet& set : sets) {
      if (set.size() == 1 && set.others) {
        singles.push_back(first);
      } else if (sets.size() > 1 || set.others) {
        add_set(first, set, 1 / count);
      }
      first += set.size();
    }
    // A module by itself has no other loss.
    alone_weight_ = sets.size() > 1 || sets.front().size() == 1 ? own_share : 1;
    if (teacher.defined() && sets.size() == 1 && !sets.front().others) whole_.emplace(columns, sets.front(), teacher);
    if (singles.empty()) return;
    if (static_cast<int64_t>(singles.size()) < first) singles_ = at::tensor(singles, columns.options());
    const at::Tensor places = singles_.defined() ? singles_ : at::arange(first, columns.options());
    const at::Tensor own = columns.unsqueeze(1) == places.unsqueeze(0);
    weights_ = balancing_weights(own) / count;
    signs_ = signs(own);
  }

  /// Of log-odds [samples, columns] float64: of all samples, or of some from `first` on. Those of parts add up.
  at::Tensor operator()(const at::Tensor& odds, int64_t first = 0) const {
    const int64_t count = odds.size(0);
    if (whole_ && known_ > 0) return (*whole_)(odds, first);
    at::Tensor alone = at::zeros({}, odds.options());
    if (weights_.defined()) {
      const at::Tensor single = singles_.defined() ? odds.index_select(1, singles_) : odds;
      const at::Tensor losses = at::softplus(-single * signs_.narrow(0, first, count));
      alone = (weights_.narrow(0, first, count) * losses).sum();
    }
    for (const Set& set : sets_)
      alone = alone + set.weight * set.loss(odds.narrow(1, set.first, set.size), first);
    alone = alone_weight_ * alone;
    if (known_ == 0) return alone;
    const at::Tensor columns = columns_.narrow(0, first, count);
    return alone + at::cross_entropy_loss(odds, columns, {}, at::Reduction::Sum, -1) / static_cast<double>(known_);
  }

 private:
  struct Set {
    int64_t first, size;
    double weight;
    SetLoss loss;
  };

  void add_set(int64_t first, const OutputSet& set, double weight) {
    INCITE_ASSERT(set.others);
    sets_.push_back({first, set.size(), weight, SetLoss(rows_within(columns_, first, set.size()), set)});
  }

  at::Tensor columns_;
  int64_t known_;       // samples that have a column
  at::Tensor singles_;  // columns of modules for one class; undefined: all columns
  at::Tensor weights_, signs_;
  std::vector<Set> sets_;
  std::optional<SetLoss> whole_;  // of a set of all classes
  double alone_weight_ = own_share;
};

/// Heads as rows of standardised features.
struct Rows {
  std::vector<at::Tensor> rows;  // by module: [set, features]
  at::Tensor offsets;            // [columns]

  at::Tensor odds(const std::vector<at::Tensor>& features) const { return odds(features, 0, features.front().size(0)); }

  /// Of `count` samples from `first` on.
  at::Tensor odds(const std::vector<at::Tensor>& features, int64_t first, int64_t count) const {
    std::vector<at::Tensor> columns;
    for (size_t m = 0; m < rows.size(); ++m) {
      const at::Tensor own = features[m].narrow(0, first, count);
      columns.push_back(products(own, rows[m].to(own.dtype())).to(at::kDouble));
    }
    return at::cat(columns, 1) + offsets;
  }
};

Rows copy_of(const Rows& rows) {
  Rows copy;
  for (const at::Tensor& row : rows.rows)
    copy.rows.push_back(row.detach().clone());
  copy.offsets = rows.offsets.detach().clone();
  return copy;
}

/// The module of each column, int64; undefined if each module has one column.
at::Tensor modules_of_columns(const std::vector<OutputSet>& sets, at::Device device) {
  std::vector<int64_t> modules;
  for (size_t m = 0; m < sets.size(); ++m)
    modules.insert(modules.end(), sets[m].outputs.size(), static_cast<int64_t>(m));
  if (modules.size() == sets.size()) return {};
  return at::tensor(modules, at::TensorOptions(at::kLong).device(device));
}

/// The scales and the offsets, a tensor of each.
std::pair<at::Tensor, at::Tensor> by_column(const std::vector<Calibration>& calibrations,
                                            const at::TensorOptions& options) {
  std::vector<double> scales, offsets;
  for (const Calibration& one : calibrations) {
    scales.push_back(one.scale);
    offsets.push_back(one.offset);
  }
  return {at::tensor(scales, options), at::tensor(offsets, options)};
}

at::Tensor of_columns(const at::Tensor& of_modules, const at::Tensor& modules) {
  return modules.defined() ? of_modules.index_select(0, modules) : of_modules;
}

}  // namespace

std::vector<Calibration> calibrate(const at::Tensor& odds, const at::Tensor& columns,
                                   const std::vector<OutputSet>& sets, const std::vector<Calibration>& start) {
  const auto count = static_cast<int64_t>(sets.size());
  const at::Tensor modules = modules_of_columns(sets, odds.device());
  const at::Tensor known = columns.masked_select(columns >= 0);
  const at::Tensor samples = at::bincount(known, {}, odds.size(1));
  const at::Tensor of_modules =
      modules.defined() ? at::zeros({count}, samples.options()).index_add(0, modules, samples) : samples;
  if (of_modules.min().item<int64_t>() == 0) return std::vector<Calibration>(sets.size());
  const JointLoss loss(columns, sets);
  const auto [first_scales, first_offsets] =
      by_column(start.empty() ? std::vector<Calibration>(sets.size()) : start, odds.options());
  const at::Tensor scales = variable(first_scales), offsets = variable(first_offsets);
  LossInPieces pieces;
  pieces.samples = odds.size(0);
  pieces.device = odds.device();
  pieces.piece = [&](const std::vector<at::Tensor>& of, int64_t first, int64_t samples_of_piece) {
    const at::Tensor own = odds.narrow(0, first, samples_of_piece);
    return loss(own * of_columns(of[0], modules) + of_columns(of[1], modules), first);
  };
  pieces.rest = [&](const std::vector<at::Tensor>& of) {
    return 1e-4 * ((of[0] - 1).square().sum() + of[1].square().sum()) / static_cast<double>(count);
  };
  minimise({scales, offsets}, 200, pieces);
  std::vector<Calibration> found;
  for (int64_t m = 0; m < count; ++m) {
    const double scale = scales[m].item<double>();
    // A module whose log-odds say nothing, or the opposite, is left as it is.
    found.push_back(scale > least_scale ? Calibration{scale, offsets[m].item<double>()} : Calibration{});
  }
  return found;
}

at::Tensor calibrated(const at::Tensor& odds, const std::vector<Calibration>& calibrations) {
  const auto [scales, offsets] = by_column(calibrations, odds.options());
  return odds * scales + offsets;
}

at::Tensor calibrated(const at::Tensor& odds, const std::vector<Calibration>& calibrations,
                      const std::vector<OutputSet>& sets) {
  std::vector<Calibration> of_columns;
  for (size_t m = 0; m < sets.size(); ++m)
    of_columns.insert(of_columns.end(), sets[m].outputs.size(), calibrations[m]);
  return calibrated(odds, of_columns);
}

std::vector<Calibration> calibrate_labels(const at::Tensor& odds, const at::Tensor& labels) {
  const at::Tensor targets = labels.to(at::kDouble);
  const at::Tensor known = targets.amin(0) < targets.amax(0);
  const at::Tensor scales = variable(at::ones({odds.size(1)}, odds.options()));
  const at::Tensor offsets = variable(at::zeros({odds.size(1)}, odds.options()));
  minimise({scales, offsets}, 200, [&] {
    const at::Tensor losses =
        at::binary_cross_entropy_with_logits(odds * scales + offsets, targets, {}, {}, at::Reduction::None).mean(0);
    return (losses * known).sum() + 1e-6 * ((scales - 1).square().sum() + offsets.square().sum());
  });
  std::vector<Calibration> found;
  for (int64_t k = 0; k < odds.size(1); ++k) {
    const double scale = scales[k].item<double>();
    found.push_back(scale > least_scale ? Calibration{scale, offsets[k].item<double>()} : Calibration{});
  }
  return found;
}

JointHeads fit_heads_together(const JointHeadData& data, const std::vector<Head>& apart,
                              const std::vector<OutputSet>& sets, OutputKind kind) {
  INCITE_ASSERT(!apart.empty() && data.features.size() == apart.size() && sets.size() == apart.size());
  INCITE_ASSERT(data.validating > 0);
  const int64_t fitted = data.columns.size(0) - data.validating;
  const bool has_bias = apart.front().bias.defined();
  std::vector<Standardised> standards(apart.size());
  std::vector<at::Tensor> features(apart.size()), validating(apart.size()), offsets(apart.size());
  Rows rows;
  rows.rows.resize(apart.size());
  const at::Device device = data.features.front().device();
  run_pieces(static_cast<int64_t>(apart.size()), workers_for(device), device, [&](int64_t number) {
    const auto m = static_cast<size_t>(number);
    Standardised s = standardise(data.features[m].narrow(0, 0, fitted), has_bias);
    features[m] = s.turned.to(at::kFloat);  // all modules' at once: half the memory
    validating[m] = s.apply(data.features[m].narrow(0, fitted, data.validating)).to(at::kFloat);
    s.turned = at::Tensor();
    const Head head = log_odds_rows(apart[m], sets[m], kind);
    rows.rows[m] = s.turned_rows(head.weight * s.deviation);
    const at::Tensor shift = (head.weight * s.mean).sum(1);
    offsets[m] = shift + (has_bias ? head.bias : at::zeros_like(shift));
    standards[m] = std::move(s);
  });
  rows.offsets = at::cat(offsets);

  const JointLoss validation_loss(data.columns.narrow(0, fitted, data.validating), sets);
  JointHeads found;
  {
    // Without a bias there is no place for an offset.
    const bool calibrates = has_bias && sets.size() > 1;
    const std::vector<Calibration> calibrations =
        calibrates ? calibrate(rows.odds(features), data.columns.narrow(0, 0, fitted), sets)
                   : std::vector<Calibration>(apart.size());
    int64_t first = 0;
    for (size_t m = 0; m < apart.size(); ++m) {
      rows.rows[m].mul_(calibrations[m].scale);
      rows.offsets.narrow(0, first, sets[m].size()).mul_(calibrations[m].scale).add_(calibrations[m].offset);
      first += sets[m].size();
    }
    found.losses.push_back(validation_loss(rows.odds(validating)).item<double>());
  }

  const auto fit_from = [&](const Rows& start, int64_t samples, double penalty, int64_t iterations) {
    Rows fit;
    for (const at::Tensor& row : start.rows)
      fit.rows.push_back(variable(row));
    fit.offsets = has_bias ? variable(start.offsets) : start.offsets;
    std::vector<at::Tensor> parameters = fit.rows;
    if (has_bias) parameters.push_back(fit.offsets);
    const at::Tensor teacher = data.teacher.defined() ? data.teacher.narrow(0, 0, samples) : data.teacher;
    const JointLoss loss(data.columns.narrow(0, 0, samples), sets, teacher);
    const auto modules = static_cast<int64_t>(apart.size());
    const auto rows_of = [&](const std::vector<at::Tensor>& of) {
      return Rows{{of.begin(), of.begin() + modules}, has_bias ? of.back() : start.offsets};
    };
    LossInPieces pieces;
    pieces.samples = samples;
    pieces.device = features.front().device();
    pieces.piece = [&](const std::vector<at::Tensor>& of, int64_t first, int64_t count) {
      return loss(rows_of(of).odds(features, first, count), first);
    };
    pieces.rest = [&](const std::vector<at::Tensor>& of) {
      at::Tensor squares = at::zeros({}, start.offsets.options());
      for (size_t m = 0; m < apart.size(); ++m)
        squares = squares + standards[m].rows(of[m]).square().sum();
      return penalty * squares;
    };
    minimise(parameters, iterations, pieces);
    return copy_of(fit);
  };
  // A part of the samples tells which penalty is best, and most of what the heads become.
  const int64_t part = std::min(fitted, std::max(fitted / joint_part, least_part));
  std::optional<Rows> best;
  double least = found.losses.front(), best_penalty = joint_penalties[0];
  Rows last = rows;
  const auto compare = [&](double penalty) {
    const double lost = validation_loss(last.odds(validating)).item<double>();
    if (!(lost < least)) return;
    least = lost;
    best = last;
    best_penalty = penalty;
  };
  for (const double penalty : joint_penalties) {
    last = fit_from(last, part, penalty, joint_iterations);
    compare(penalty);
  }
  if (part < fitted) {
    last = fit_from(best.value_or(rows), fitted, best_penalty, last_joint_iterations);
    compare(best_penalty);
  }
  if (!best) return found;
  found.losses.push_back(least);
  int64_t first = 0;
  for (size_t m = 0; m < apart.size(); ++m) {
    const Head odds = unstandardise(best->rows[m], best->offsets.narrow(0, first, sets[m].size()), standards[m]);
    found.heads.push_back(head_from_log_odds(odds, sets[m], kind, has_bias));
    first += sets[m].size();
  }
  return found;
}

Head log_odds_rows(const Head& head, const OutputSet& set, OutputKind kind) {
  const auto rows = [&](const at::Tensor& of) {
    const at::Tensor wide = of.to(at::kDouble);
    return set.others ? (wide.narrow(0, 1, set.size()) - wide.narrow(0, 0, 1)) / row_distance(kind, set) : wide;
  };
  return {rows(head.weight.flatten(1)), head.bias.defined() ? rows(head.bias) : at::Tensor()};
}

Head calibrated(const Head& head, const std::vector<Calibration>& calibration, const OutputSet& set, OutputKind kind) {
  INCITE_ASSERT(head.weight.size(0) == set.rows());
  Head result;
  result.weight = head.weight.to(at::kDouble);
  if (calibration.size() > 1) {
    INCITE_ASSERT(!set.others && static_cast<int64_t>(calibration.size()) == set.size());
    const auto [scales, offsets] = by_column(calibration, result.weight.options());
    result.weight = (result.weight.flatten(1) * scales.unsqueeze(1)).view(result.weight.sizes());
    if (head.bias.defined()) result.bias = head.bias.to(at::kDouble) * scales + offsets;
    return result;
  }
  result.weight = result.weight * calibration[0].scale;
  if (!head.bias.defined()) return result;
  std::vector<double> offsets(set.outputs.size(), calibration[0].offset);
  if (set.others) {  // as head_from_log_odds
    const double middle = calibration[0].offset * static_cast<double>(set.size()) / static_cast<double>(set.rows());
    offsets.insert(offsets.begin(), 0);
    for (double& offset : offsets)
      offset = row_distance(kind, set) * (offset - middle);
  }
  result.bias = head.bias.to(at::kDouble) * calibration[0].scale + at::tensor(offsets, result.weight.options());
  return result;
}

}  // namespace incite
