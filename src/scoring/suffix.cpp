#include "scoring/suffix.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>

#include "base/fail.hpp"
#include "program/recurrent.hpp"

namespace incite {
namespace {

using Step = SuffixPlan::Step;
using Kind = SuffixPlan::Step::Kind;

/// A run of mutants: the values that it makes, and those of the run without mutants.
class Run {
 public:
  Run(const SuffixPlan& plan, const Executor& executor, const Environment& base, const MutantBatch& batch)
      : plan_(plan),
        executor_(executor),
        base_(base),
        batch_(batch),
        samples_(base[at_index(plan.output)].toTensor().size(0)),
        narrow_(base.size()),
        whole_(base.size()) {}

  at::Tensor operator()() {
    for (const Step& step : plan_.steps) {
      make(step);
      for (const ValueId dead : step.narrow_dies)
        narrow_[at_index(dead)] = at::Tensor();
      for (const ValueId dead : step.whole_dies)
        whole_[at_index(dead)] = c10::IValue();
    }
    return whole_[at_index(plan_.output)].toTensor();
  }

 private:
  void make(const Step& step) {
    switch (step.kind) {
      case Kind::seed:
        narrow_[at_index(step.value)] = scaled_slots(select(base(step.value), step.axis, slots(step)), step);
        break;
      case Kind::whole_seed:
        whole_[at_index(step.value)] = scaled(stacked(step.value), step);
        break;
      case Kind::narrow:
        run_narrow(step);
        break;
      case Kind::depthwise:
        run_depthwise(step);
        break;
      case Kind::reshape:
        reshape(step);
        break;
      case Kind::linear:
        whole_[at_index(step.value)] = linear(step);
        break;
      case Kind::convolution:
        whole_[at_index(step.value)] = convolution(step);
        break;
      case Kind::scale:
        whole_[at_index(step.value)] = scaled(whole(step.value), step);
        break;
      case Kind::widen:
        whole_[at_index(step.value)] = widened(step);
        break;
      case Kind::stack:
        whole_[at_index(step.value)] = stacked(step.value);
        break;
      case Kind::whole:
        run_whole(step);
        break;
      case Kind::recurrent:
        run_recurrent(step);
        break;
      case Kind::size:
        run_for_shapes(step);
        break;
    }
  }

  // ---- Values -----------------------------------------------------------------------------------------------------

  at::Tensor base(ValueId value) const { return base_[at_index(value)].toTensor(); }
  at::Tensor whole(ValueId value) const { return whole_[at_index(value)].toTensor(); }
  const at::Tensor& narrow(ValueId value) const { return narrow_[at_index(value)]; }
  const MutantBatch::Slots& slots(const Step& step) const { return batch_.slots[step.slots]; }
  const Node& node(const Step& step) const { return executor_.program().node(step.node); }

  static at::Tensor select(const at::Tensor& value, int64_t axis, const MutantBatch::Slots& slots) {
    return value.index_select(axis, slots.index);
  }

  static at::Tensor along(const at::Tensor& vector, int64_t axis, int64_t rank) {
    std::vector<int64_t> shape(static_cast<size_t>(rank), 1);
    shape[static_cast<size_t>(axis)] = vector.numel();
    return vector.view(shape);
  }

  at::Tensor scaled_slots(const at::Tensor& value, const Step& step) const {
    if (step.scaled < 0) return value;
    return value * along(slots(step).factors, step.axis, value.dim());
  }

  /// Mutants' values [mutants, ...] one after the other along the batch.
  at::Tensor folded(const at::Tensor& by_mutant, ValueId value) const {
    const int64_t axis = plan_.shapes[at_index(value)].batch_axis;
    if (axis == 0) return by_mutant.flatten(0, 1);
    return by_mutant.movedim(0, axis).flatten(axis, axis + 1);
  }

  /// The reverse: [mutants, ...].
  at::Tensor by_mutant(const at::Tensor& value, ValueId id) const {
    const int64_t axis = plan_.shapes[at_index(id)].batch_axis;
    const at::Tensor apart = value.unflatten(axis, {batch_.mutants, value.size(axis) / batch_.mutants});
    return axis == 0 ? apart : apart.movedim(axis, 0);
  }

  at::Tensor expanded(const at::Tensor& value) const {
    std::vector<int64_t> shape = value.sizes().vec();
    shape.insert(shape.begin(), batch_.mutants);
    return value.unsqueeze(0).expand(shape);
  }

  at::Tensor stacked(ValueId value) const { return folded(expanded(base(value)).contiguous(), value); }

  /// A whole value with the positions of each mutant's cluster scaled.
  at::Tensor scaled(const at::Tensor& value, const Step& step) const {
    const at::Tensor& factors = batch_.factors[static_cast<size_t>(step.scaled)];
    std::vector<int64_t> shape(static_cast<size_t>(value.dim()) + 1, 1);
    shape[0] = factors.size(0);
    shape[static_cast<size_t>(step.axis) + 1] = factors.size(1);
    return folded(by_mutant(value, step.value) * factors.view(shape), step.value);
  }

  at::Tensor widened(const Step& step) const {
    const MutantBatch::Slots& slots = this->slots(step);
    at::Tensor all = expanded(base(step.value)).clone(at::MemoryFormat::Contiguous);
    const at::Tensor changed = narrow(step.value).movedim(step.axis, 0);
    const at::Tensor mutant = at::arange(batch_.mutants, slots.index.options()).repeat_interleave(slots.width);
    // Mutants and positions side by side in front, as they stand in what changed.
    at::Tensor view = all.movedim(step.axis + 1, 1);
    view.index_put_({mutant, slots.index}, changed);
    return folded(all, step.value);
  }

  // ---- Nodes --------------------------------------------------------------------------------------------------------

  void run_narrow(const Step& step) {
    const Node& node = this->node(step);
    const int64_t rank = rank_of(node.outputs[0]);
    const int64_t positions = plan_.sets[step.slots].positions();
    std::vector<c10::IValue> inputs;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId input = node.inputs[i];
      const c10::IValue& unchanged = base_[at_index(input)];
      if (narrow(input).defined()) {
        inputs.emplace_back(narrow(input));
      } else if (unchanged.isTensor() && unchanged.toTensor().defined()) {
        inputs.emplace_back(operand(step, unchanged.toTensor(), i, rank, positions));
      } else {
        inputs.push_back(unchanged);
      }
    }
    put_narrow(step, executor_.apply(step.node, std::move(inputs)));
  }

  /// What an operand without mutants has at the changed positions.
  at::Tensor operand(const Step& step, const at::Tensor& value, size_t input, int64_t rank, int64_t positions) const {
    switch (step.locality) {
      case Locality::elementwise: {
        const int64_t axis = step.axis - (rank - value.dim());
        const bool spans = axis >= 0 && value.size(axis) == positions && positions > 1;
        return spans ? select(value, axis, slots(step)) : value;
      }
      case Locality::per_channel:
        return input > 0 && value.dim() == 1 && value.size(0) == positions ? select(value, 0, slots(step)) : value;
      case Locality::one_input:
      case Locality::mixing:
        break;
    }
    return value;
  }

  void put_narrow(const Step& step, std::vector<c10::IValue> outputs) {
    const Node& node = this->node(step);
    for (size_t i = 0; i < outputs.size(); ++i)
      narrow_[at_index(node.outputs[i])] = outputs[i].toTensor();
  }

  void run_depthwise(const Step& step) {
    const Node& node = this->node(step);
    std::vector<c10::IValue> inputs = base_inputs(node);
    inputs[0] = narrow(node.inputs[0]);
    for (const size_t i : {1, 2}) {
      if (!inputs[i].isNone()) inputs[i] = select(inputs[i].toTensor(), 0, slots(step));
    }
    inputs[static_cast<size_t>(step.groups_input)] = slots(step).index.size(0);
    narrow_[at_index(step.value)] = scaled_slots(executor_.apply(step.node, std::move(inputs))[0].toTensor(), step);
  }

  std::vector<c10::IValue> base_inputs(const Node& node) const {
    std::vector<c10::IValue> inputs;
    for (const ValueId input : node.inputs)
      inputs.push_back(base_[at_index(input)]);
    return inputs;
  }

  void reshape(const Step& step) {
    std::vector<int64_t> shape = shape_of(step.value, samples_);
    shape[static_cast<size_t>(step.axis)] = slots(step).index.size(0);
    narrow_[at_index(step.value)] = narrow(step.changed).reshape(shape);
  }

  int64_t rank_of(ValueId value) const { return static_cast<int64_t>(plan_.shapes[at_index(value)].sizes.size()); }

  std::vector<int64_t> shape_of(ValueId value, int64_t samples) const {
    const SuffixPlan::Shape& known = plan_.shapes[at_index(value)];
    std::vector<int64_t> shape = known.sizes;
    if (known.batch_axis >= 0) shape[static_cast<size_t>(known.batch_axis)] *= samples;
    return shape;
  }

  /// What mutants have changed in the narrow input.
  at::Tensor change(const Step& step) const {
    return narrow(step.changed) - select(base(step.changed), step.axis, slots(step));
  }

  /// For each mutant the changed columns of the weight times the changes, as one batched product.
  at::Tensor linear(const Step& step) const {
    const Node& node = this->node(step);
    const MutantBatch::Slots& slots = this->slots(step);
    const at::Tensor weight = base(node.inputs[1]);
    at::Tensor columns = weight.index_select(1, slots.index).view({-1, batch_.mutants, slots.width}).permute({1, 2, 0});
    if (slots.used.defined()) columns = columns * slots.used.unsqueeze(2);
    const at::Tensor changes = change(step).flatten(0, -2).unflatten(1, {batch_.mutants, slots.width}).transpose(0, 1);
    const at::Tensor before = base(step.value);
    const at::Tensor after = at::baddbmm(expanded(before.flatten(0, -2)), changes, columns);
    std::vector<int64_t> shape = before.sizes().vec();
    shape.insert(shape.begin(), batch_.mutants);
    return folded(after.view(shape), step.value);
  }

  /// For each cluster its channels of the weight, over the changes of its mutants.
  at::Tensor convolution(const Step& step) const {
    const Node& node = this->node(step);
    const MutantBatch::Slots& slots = this->slots(step);
    const at::Tensor weight = base(node.inputs[1]);
    const at::Tensor changes = change(step).unflatten(1, {batch_.mutants, slots.width});
    const at::Tensor before = base(step.value);
    std::vector<int64_t> shape = before.sizes().vec();
    shape.insert(shape.begin(), batch_.mutants);
    at::Tensor after = at::empty(shape, before.options());
    for (const MutantBatch::Run& run : batch_.runs) {
      const int64_t width = slots.counts[static_cast<size_t>(run.first)];
      at::Tensor made = after.narrow(0, run.first, run.count);
      if (width == 0) {
        made.copy_(before.unsqueeze(0));
        continue;
      }
      const at::Tensor own = changes.narrow(1, run.first, run.count).narrow(2, 0, width);
      std::vector<c10::IValue> inputs = base_inputs(node);
      inputs[0] = own.transpose(0, 1).flatten(0, 1);
      inputs[1] = weight.index_select(1, slots.index.narrow(0, run.first * slots.width, width));
      inputs[2] = c10::IValue();  // the bias is in what was made without mutants
      const at::Tensor difference = executor_.apply(step.node, std::move(inputs))[0].toTensor();
      at::add_out(made, difference.unflatten(0, {run.count, -1}), before.unsqueeze(0));
    }
    return folded(after, step.value);
  }

  void run_whole(const Step& step) {
    const Node& node = this->node(step);
    std::vector<c10::IValue> inputs;
    for (const ValueId input : node.inputs) {
      const c10::IValue& made = whole_[at_index(input)];
      const bool apart = step.broadcast && made.isTensor();
      inputs.push_back(made.isNone() ? base_[at_index(input)] : apart ? by_mutant(made.toTensor(), input) : made);
    }
    std::vector<c10::IValue> outputs = executor_.apply(step.node, std::move(inputs));
    if (step.broadcast) outputs[0] = folded(outputs[0].toTensor(), step.value);
    put_whole(node, std::move(outputs));
  }

  /// One run of a recurrent layer for each mutant: what a mutant takes from the layer's own units is a matter of the
  /// recurrent weights.
  void run_recurrent(const Step& step) {
    const Node& node = this->node(step);
    const RecurrentLayer layer = *recurrent_of(executor_.program(), node);
    std::vector<std::vector<at::Tensor>> made(node.outputs.size());
    for (int64_t mutant = 0; mutant < batch_.mutants; ++mutant) {
      std::vector<c10::IValue> inputs;
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        inputs.push_back(i == 2 ? weights_of_mutant(step, layer, mutant)
                                : of_mutant(node.inputs[i], mutant, i == 0 ? layer.batch_axis() : 1));
      }
      const std::vector<c10::IValue> outputs = executor_.apply(step.node, std::move(inputs));
      for (size_t i = 0; i < outputs.size(); ++i)
        made[i].push_back(outputs[i].toTensor());
    }
    for (size_t i = 0; i < made.size(); ++i)
      whole_[at_index(node.outputs[i])] = at::cat(made[i], i == 0 ? layer.batch_axis() : 1);
  }

  /// A mutant's part of what a recurrent layer reads: the input, a state, or a list of states.
  c10::IValue of_mutant(ValueId input, int64_t mutant, int64_t axis) const {
    const c10::IValue& made = whole_[at_index(input)];
    if (made.isNone()) return base_[at_index(input)];
    const auto part = [&](const at::Tensor& all) {
      const int64_t samples = all.size(axis) / batch_.mutants;
      return all.narrow(axis, mutant * samples, samples);
    };
    if (made.isTensor()) return part(made.toTensor());
    if (!made.isTensorList()) return made;
    c10::List<at::Tensor> parts;
    for (const at::Tensor& each : made.toTensorVector())
      parts.push_back(part(each));
    return parts;
  }

  c10::IValue weights_of_mutant(const Step& step, const RecurrentLayer& layer, int64_t mutant) const {
    const at::Tensor factors = batch_.factors[static_cast<size_t>(step.feedback)][mutant];
    c10::List<at::Tensor> weights;
    for (const RecurrentLayer::Direction& direction : layer.directions) {
      weights.push_back(base(direction.input_weight));
      weights.push_back(base(direction.state_weight) * factors);
      if (!layer.biased) continue;
      weights.push_back(base(direction.input_bias));
      weights.push_back(base(direction.state_bias));
    }
    return weights;
  }

  void put_whole(const Node& node, std::vector<c10::IValue> outputs) {
    for (size_t i = 0; i < outputs.size(); ++i)
      whole_[at_index(node.outputs[i])] = std::move(outputs[i]);
  }

  /// A node that looks at its tensors' shapes alone is given tensors without content.
  void run_for_shapes(const Step& step) {
    const Node& node = this->node(step);
    std::vector<c10::IValue> inputs;
    for (const ValueId input : node.inputs) {
      const c10::IValue& made = whole_[at_index(input)];
      if (!made.isNone()) {
        inputs.push_back(made);
      } else if (!plan_.shapes[at_index(input)].sizes.empty()) {
        const auto options = at::TensorOptions().device(executor_.program().device);
        inputs.emplace_back(at::empty({1}, options).expand(shape_of(input, samples_ * batch_.mutants)));
      } else {
        inputs.push_back(base_[at_index(input)]);
      }
    }
    put_whole(node, executor_.apply(step.node, std::move(inputs)));
  }

  const SuffixPlan& plan_;
  const Executor& executor_;
  const Environment& base_;
  const MutantBatch& batch_;
  const int64_t samples_;
  std::vector<at::Tensor> narrow_;  // by value
  Environment whole_;
};

}  // namespace

MutantBatch Suffix::batch(const std::vector<Mutant>& mutants, at::Device device) const {
  MutantBatch batch;
  batch.mutants = static_cast<int64_t>(mutants.size());
  std::vector<int64_t> clusters;
  for (size_t m = 0; m < mutants.size(); ++m) {
    if (m == 0 || mutants[m].cluster != mutants[m - 1].cluster) batch.runs.push_back({static_cast<int64_t>(m), 0});
    ++batch.runs.back().count;
    clusters.push_back(mutants[m].cluster);
  }
  batch.clusters = at::tensor(clusters, at::kLong).to(device);
  for (const SuffixPlan::SlotSet& set : plan_.sets) {
    if (set.parent < 0) {
      batch.slots.push_back(slots_of(set.units, mutants));
    } else {
      batch.slots.push_back(repeated(batch.slots[static_cast<size_t>(set.parent)], set.ratio));
    }
  }
  for (MutantBatch::Slots& slots : batch.slots) {
    slots.index = slots.index.to(device);
    slots.factors = slots.factors.to(device);
    if (slots.used.defined()) slots.used = slots.used.to(device);
  }
  for (const SuffixPlan::Scaled& scaled : plan_.scaled)
    batch.factors.push_back(scaled.whole ? factors_of(scaled.units, mutants).to(device) : at::Tensor());
  return batch;
}

MutantBatch::Slots Suffix::slots_of(const std::vector<int32_t>& units, const std::vector<Mutant>& mutants) const {
  std::map<int64_t, std::vector<int64_t>> positions;  // of the clusters
  for (const Mutant& mutant : mutants)
    positions[mutant.cluster];
  for (size_t i = 0; i < units.size(); ++i) {
    if (units[i] == no_unit) continue;
    const auto found = positions.find(unit_clusters_[at_index(units[i])]);
    if (found != positions.end()) found->second.push_back(static_cast<int64_t>(i));
  }
  MutantBatch::Slots slots;
  size_t width = 1;
  for (const auto& [cluster, own] : positions)
    width = std::max(width, own.size());
  slots.width = static_cast<int64_t>(width);
  std::vector<int64_t> index;
  std::vector<float> factors;
  std::vector<float> used;
  for (const Mutant& mutant : mutants) {
    const std::vector<int64_t>& own = positions.at(mutant.cluster);
    slots.counts.push_back(static_cast<int64_t>(own.size()));
    for (size_t slot = 0; slot < width; ++slot) {  // a mutant without positions here has one that it leaves as it is
      index.push_back(own.empty() ? 0 : own[slot < own.size() ? slot : 0]);
      factors.push_back(own.empty() ? 1.0F : static_cast<float>(mutant.factor));
      used.push_back(slot < own.size() ? 1.0F : 0.0F);
    }
  }
  slots.index = at::tensor(index, at::kLong);
  slots.factors = at::tensor(factors, at::kFloat);
  if (std::find(used.begin(), used.end(), 0.0F) != used.end()) {
    slots.used = at::tensor(used, at::kFloat).view({-1, slots.width});
  }
  return slots;
}

MutantBatch::Slots Suffix::repeated(const MutantBatch::Slots& parent, int64_t ratio) {
  MutantBatch::Slots slots;
  slots.index = (parent.index.unsqueeze(1) * ratio + at::arange(ratio, at::kLong)).flatten();
  slots.factors = parent.factors.repeat_interleave(ratio);
  if (parent.used.defined()) slots.used = parent.used.repeat_interleave(ratio, 1);
  slots.width = parent.width * ratio;
  for (const int64_t count : parent.counts)
    slots.counts.push_back(count * ratio);
  return slots;
}

at::Tensor Suffix::factors_of(const std::vector<int32_t>& units, const std::vector<Mutant>& mutants) const {
  at::Tensor factors = at::ones({static_cast<int64_t>(mutants.size()), static_cast<int64_t>(units.size())}, at::kFloat);
  for (size_t m = 0; m < mutants.size(); ++m) {
    float* row = factors.data_ptr<float>() + static_cast<int64_t>(m) * factors.size(1);
    for (size_t position = 0; position < units.size(); ++position) {
      if (units[position] != no_unit && unit_clusters_[at_index(units[position])] == mutants[m].cluster)
        row[position] = static_cast<float>(mutants[m].factor);
    }
  }
  return factors;
}

at::Tensor Suffix::run(const Executor& executor, const Environment& base, const MutantBatch& batch) const {
  return Run(plan_, executor, base, batch)();
}

}  // namespace incite
