#include "slicing/recurrent_repair.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "base/batch.hpp"

namespace incite {
namespace {

/// `rows` of the gates from `first` on, for so many units.
at::Tensor of_gates(const at::Tensor& tensor, int64_t first, int64_t gates, int64_t units) {
  return tensor.narrow(0, first * units, gates * units);
}

at::Tensor with_ones(const at::Tensor& rows) {
  return at::cat({rows, at::ones({rows.size(0), 1}, rows.options())}, 1);
}

at::Tensor side_by_side(const at::Tensor& a, const at::Tensor& b) {
  if (!a.defined()) return b;
  return b.defined() ? at::cat({a, b}, 1) : a;
}

}  // namespace

RecurrentRepair::RecurrentRepair(const Program& program, const RecurrentLayer& layer, at::Tensor units, int64_t samples,
                                 const RepairParams& params, Program& module)
    : program_(program),
      layer_(layer),
      units_(std::move(units)),
      samples_(samples),
      params_(params),
      module_(module),
      least_(std::numeric_limits<double>::infinity()),
      random_(params.seed) {
  for (size_t direction = 0; direction < layer.directions.size(); ++direction) {
    if (layer.cell == RecurrentLayer::Cell::gru) {
      parts_.push_back({direction, 0, 2, true, true, {}, {}});
      parts_.push_back({direction, 2, 1, true, false, {}, {}});
      parts_.push_back({direction, 2, 1, false, true, {}, {}});
    } else {
      parts_.push_back({direction, 0, layer.gates, true, true, {}, {}});
    }
  }
  for (Part& part : parts_)
    part.start = weights_of(part);
}

at::Tensor RecurrentRepair::parameter(ValueId id) const {
  return module_.value(id).content.toTensor();
}

at::Tensor RecurrentRepair::weights_of(const Part& part) const {
  const RecurrentLayer::Direction& d = layer_.directions[part.direction];
  const int64_t units = units_.size(0);
  at::Tensor weights, bias;
  const auto add = [&](ValueId weight, ValueId bias_id) {
    weights = side_by_side(weights, of_gates(parameter(weight), part.first, part.gates, units));
    if (bias_id < 0) return;
    const at::Tensor own = of_gates(parameter(bias_id), part.first, part.gates, units).unsqueeze(1);
    bias = bias.defined() ? bias + own : own;
  };
  if (part.reads_input) add(d.input_weight, d.input_bias);
  if (part.reads_state) add(d.state_weight, d.state_bias);
  return side_by_side(weights, bias).to(at::kDouble).t();
}

/// What a direction reads at each step of each sample.
RecurrentRepair::Rows RecurrentRepair::rows_of(const RecurrentRun& run, size_t direction) const {
  const auto d = static_cast<int64_t>(direction);
  const int64_t units = run.first.size(2);
  const at::Tensor outputs = run.outputs.narrow(2, d * units, units);
  const at::Tensor states = states_before(outputs, run.first[d], layer_.time_axis(), direction > 0);
  return {run.input.reshape({-1, run.input.size(2)}), states.reshape({-1, units})};
}

/// The original's pre-activations for the units that stay.
at::Tensor RecurrentRepair::product(const Part& part, const Rows& rows) const {
  const RecurrentLayer::Direction& d = layer_.directions[part.direction];
  at::Tensor sum;
  const auto add = [&](const at::Tensor& read, ValueId weight, ValueId bias) {
    const auto cut = [&](ValueId id) {
      const at::Tensor all = program_.value(id).content.toTensor();
      const int64_t units = all.size(0) / layer_.gates;
      std::vector<int64_t> shape = all.sizes().vec();
      shape[0] = units;
      shape.insert(shape.begin(), layer_.gates);
      const at::Tensor kept = all.view(shape).narrow(0, part.first, part.gates).index_select(1, units_);
      return kept.flatten(0, 1);
    };
    const at::Tensor made = at::linear(read, cut(weight), bias < 0 ? at::Tensor() : cut(bias));
    sum = sum.defined() ? sum + made : made;
  };
  if (part.reads_input) add(rows.input, d.input_weight, d.input_bias);
  if (part.reads_state) add(rows.state, d.state_weight, d.state_bias);
  return sum;
}

void RecurrentRepair::add(const RecurrentRun& original, const RecurrentRun& module, bool own_states, bool validates) {
  const int64_t samples = original.first.size(1);
  const at::Tensor chosen =
      chosen_rows(original.input.size(0) * original.input.size(1), samples).to(original.input.device());
  for (size_t direction = 0; direction < layer_.directions.size(); ++direction) {
    const Rows whole = rows_of(original, direction);
    Rows cut = rows_of(module, direction);
    if (!own_states) cut.state = whole.state.index_select(1, units_);
    const int64_t row = whole.input.size(1) + whole.state.size(1) + cut.input.size(1) + cut.state.size(1);
    const int64_t at_once = std::max<int64_t>(1, params_.block_bytes / (row * static_cast<int64_t>(sizeof(double))));
    in_batches(chosen.size(0), at_once, [&](int64_t first, int64_t count) {
      const at::Tensor some = chosen.narrow(0, first, count);
      const auto select = [&](const Rows& rows) {
        return Rows{rows.input.index_select(0, some), rows.state.index_select(0, some)};
      };
      const Rows given = select(whole), read = select(cut);
      for (Part& part : parts_) {
        if (part.direction != direction) continue;
        at::Tensor features =
            side_by_side(part.reads_input ? read.input : at::Tensor(), part.reads_state ? read.state : at::Tensor());
        if (layer_.biased) features = with_ones(features);
        (validates ? part.fit.validation : part.fit.train).add(features, product(part, given));
      }
    });
  }
}

void RecurrentRepair::measure(const RecurrentRun& original, const RecurrentRun& module) {
  const int64_t directions = static_cast<int64_t>(layer_.directions.size());
  const at::Tensor whole = original.outputs.unflatten(2, {directions, -1}).index_select(3, units_);
  error_ += (module.outputs.unflatten(2, {directions, -1}) - whole).square().sum(at::kDouble).item<double>();
}

void RecurrentRepair::keep_if_best() {
  if (!(error_ < least_)) return;
  least_ = error_;
  best_.clear();
  for (const RecurrentLayer::Direction& d : layer_.directions) {
    for (const ValueId id : {d.input_weight, d.state_weight, d.input_bias, d.state_bias}) {
      if (id >= 0) best_.emplace_back(id, module_.value(id).content);
    }
  }
}

void RecurrentRepair::fit() {
  keep_if_best();
  error_ = 0;
  for (Part& part : parts_) {
    put(part, refitted(part.fit, part.start, layer_.biased, params_).value_or(part.start));
    part.fit = {};
  }
}

void RecurrentRepair::choose() {
  keep_if_best();
  for (const auto& [id, content] : best_)
    module_.value(id).content = content;
}

/// Puts fitted weights, [features, rows], into the module. Of two biases that are added up the second stays.
void RecurrentRepair::put(const Part& part, const at::Tensor& weights) {
  const RecurrentLayer::Direction& d = layer_.directions[part.direction];
  const int64_t units = units_.size(0);
  int64_t used = 0;
  const auto replace = [&](ValueId id, const at::Tensor& rows) {
    c10::IValue& content = module_.value(id).content;
    const at::Tensor replaced = content.toTensor().clone();
    of_gates(replaced, part.first, part.gates, units).copy_(rows);
    content = replaced;
  };
  const auto take = [&](ValueId id) {
    const int64_t features = parameter(id).size(1);
    replace(id, weights.narrow(0, used, features).t());
    used += features;
  };
  if (part.reads_input) take(d.input_weight);
  if (part.reads_state) take(d.state_weight);
  if (!layer_.biased) return;
  at::Tensor bias = weights[used];
  if (part.reads_input && part.reads_state)
    bias = bias - of_gates(parameter(d.state_bias), part.first, part.gates, units);
  replace(part.reads_input ? d.input_bias : d.state_bias, bias);
}

/// All of a chunk's rows, or as large a share of them as each chunk gives.
at::Tensor RecurrentRepair::chosen_rows(int64_t rows, int64_t samples) {
  const double share = static_cast<double>(wanted_rows()) * static_cast<double>(samples) /
                       (static_cast<double>(rows) * static_cast<double>(samples_));
  if (share >= 1) return at::arange(rows, at::kLong);
  std::vector<int64_t> chosen;
  for (int64_t row = 0; row < rows; ++row) {
    if (random_.uniform() < share) chosen.push_back(row);
  }
  if (chosen.empty()) chosen.push_back(0);
  return at::tensor(chosen, at::kLong);
}

/// The Gram matrix takes rows times features² multiplications.
int64_t RecurrentRepair::wanted_rows() const {
  const int64_t features = parts_.front().start.size(0);
  const auto wide = static_cast<double>(features);
  return std::max(2 * features,
                  std::min(params_.most_rows, static_cast<int64_t>(params_.most_products / (wide * wide))));
}

}  // namespace incite
