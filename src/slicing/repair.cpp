#include "incite/slicing/repair.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "incite/base/error.hpp"
#include "incite/base/random.hpp"

namespace incite {
namespace {

constexpr int64_t most_at_once = 256;  // samples

/// How a convolution walks over its input, [height, width]; one-dimensional ones have height 1.
struct Walk {
  std::vector<int64_t> kernel, stride, padding, dilation;
};

bool is_list(const c10::IValue& value, size_t size) {
  return value.isIntList() && value.toIntList().size() == size;
}

/// The walk of an ordinary convolution over one or two dimensions; false for everything else.
bool find_walk(const Program& program, const Node& node, Walk& walk) {
  const bool general = node.op == "aten::_convolution";
  if (!general && node.op != "aten::conv1d" && node.op != "aten::conv2d") return false;
  const at::Tensor weight = program.value(node.inputs[1]).content.toTensor();
  const auto dimensions = static_cast<size_t>(weight.dim() - 2);
  const auto argument = [&](size_t i) { return program.value(node.inputs[i]).content; };
  const c10::IValue groups = argument(general ? 8 : 6);
  if (dimensions > 2 || !groups.isInt() || groups.toInt() != 1 || (general && argument(6).toBool())) return false;
  for (const size_t i : {3, 4, 5}) {
    if (!is_list(argument(i), dimensions)) return false;  // padding="same"
  }
  walk = {weight.sizes().slice(2).vec(), argument(3).toIntVector(), argument(4).toIntVector(),
          argument(5).toIntVector()};
  if (dimensions == 1) {
    walk.kernel.insert(walk.kernel.begin(), 1);
    walk.stride.insert(walk.stride.begin(), 1);
    walk.padding.insert(walk.padding.begin(), 0);
    walk.dilation.insert(walk.dilation.begin(), 1);
  }
  return true;
}

/// Sums over rows x (what a layer reads) and z (what it should give): float64.
struct Moments {
  at::Tensor gram;     // [features, features]: x xᵀ
  at::Tensor cross;    // [features, channels]: x zᵀ
  at::Tensor squares;  // [channels]: z²
  at::Tensor sums;     // [channels]: z
  int64_t rows = 0;

  void add(const at::Tensor& x, const at::Tensor& z) {
    const at::Tensor inputs = x.to(at::kDouble);
    const at::Tensor targets = z.to(at::kDouble);
    if (rows == 0) {
      gram = at::zeros({inputs.size(1), inputs.size(1)}, inputs.options());
      cross = at::zeros({inputs.size(1), targets.size(1)}, inputs.options());
      squares = at::zeros({targets.size(1)}, inputs.options());
      sums = at::zeros({targets.size(1)}, inputs.options());
    }
    gram.addmm_(inputs.t(), inputs);
    cross.addmm_(inputs.t(), targets);
    squares.add_(targets.square().sum(0));
    sums.add_(targets.sum(0));
    rows += inputs.size(0);
  }

  /// Mean square error of weights [features, channels], over the targets' variance.
  double error(const at::Tensor& weights) const {
    const at::Tensor square = (weights * gram.matmul(weights)).sum(0) - 2 * (weights * cross).sum(0) + squares;
    const at::Tensor variance = squares - sums.square() / static_cast<double>(rows);
    return square.clamp_min(0).sum().item<double>() / std::max(variance.sum().item<double>(), 1e-30);
  }
};

class Repairer {
 public:
  Repairer(const Program& program, const UnitMap& map, const Selection& keep, const Dataset& data,
           const at::Tensor& samples, const RepairParams& params, Program& module)
      : program_(program),
        map_(map),
        keep_(keep),
        data_(data),
        samples_(samples),
        params_(params),
        module_(module),
        original_(program),
        at_once_(batch_size(program,
                            data.batch(samples.narrow(0, 0, std::min<int64_t>(1, samples.size(0))), program.device),
                            most_at_once)) {}

  std::vector<LayerRepair> run() {
    const at::NoGradGuard no_grad;
    std::vector<LayerRepair> done;
    for (const int32_t layer : touched_layers()) {
      if (layer == map_.head && !params_.head) continue;
      LayerRepair repaired;
      repaired.layer = layer;
      if (repair_layer(map_.layers[static_cast<size_t>(layer)], repaired)) done.push_back(repaired);
    }
    return done;
  }

 private:
  /// Layers, in order, whose input is not what it is in the original.
  std::vector<int32_t> touched_layers() const {
    std::vector<bool> touched(program_.values.size(), false);
    std::vector<int32_t> layers;
    for (size_t n = 0; n < program_.nodes.size(); ++n) {
      const Node& node = program_.nodes[n];
      const auto layer = std::find_if(map_.layers.begin(), map_.layers.end(),
                                      [&](const Layer& l) { return l.node == static_cast<NodeId>(n); });
      bool changed = std::any_of(node.inputs.begin(), node.inputs.end(),
                                 [&](ValueId id) { return touched[static_cast<size_t>(id)]; });
      if (layer != map_.layers.end()) {
        const auto& units = map_.activations[static_cast<size_t>(node.inputs[0])].units;
        changed = changed || std::any_of(units.begin(), units.end(),
                                         [&](int32_t u) { return u != no_unit && !keep_[static_cast<size_t>(u)]; });
        if (changed) layers.push_back(static_cast<int32_t>(layer - map_.layers.begin()));
      }
      for (const ValueId id : node.outputs)
        touched[static_cast<size_t>(id)] = changed;
    }
    return layers;
  }

  bool shares_weights(const Layer& layer) const {
    int64_t readers = 0;
    for (const Node& node : program_.nodes)
      readers += std::count(node.inputs.begin(), node.inputs.end(), layer.weight);
    return readers != 1;
  }

  bool repair_layer(const Layer& layer, LayerRepair& repaired) {
    const Node& node = module_.node(module_.maker(layer.output));
    Walk walk;
    const bool convolution = find_walk(module_, node, walk);
    if (!convolution && node.op != "aten::linear") return false;
    if (!program_.is_parameter(layer.weight) || shares_weights(layer)) return false;
    const Moments moments = collect(layer, convolution ? &walk : nullptr);
    c10::IValue& weight_slot = module_.values[static_cast<size_t>(layer.weight)].content;
    const at::Tensor weight = weight_slot.toTensor();
    at::Tensor start = weight.flatten(1).to(at::kDouble);
    const bool has_bias = layer.bias >= 0;
    if (has_bias)
      start = at::cat({start, module_.value(layer.bias).content.toTensor().to(at::kDouble).unsqueeze(1)}, 1);
    start = start.t();
    const at::Tensor solved = solve(moments, start, has_bias);
    repaired.before = moments.error(start);
    repaired.after = moments.error(solved);
    if (!(repaired.after < repaired.before)) return false;
    const int64_t features = solved.size(0) - (has_bias ? 1 : 0);
    weight_slot = solved.narrow(0, 0, features).t().reshape(weight.sizes()).to(weight.options()).contiguous();
    if (has_bias) {
      c10::IValue& bias = module_.values[static_cast<size_t>(layer.bias)].content;
      bias = solved[features].to(bias.toTensor().options()).contiguous();
    }
    return true;
  }

  /// argmin of |x w - z|² + ridge |w - start|²; the bias is not held back.
  at::Tensor solve(const Moments& moments, const at::Tensor& start, bool has_bias) const {
    const int64_t features = start.size(0) - (has_bias ? 1 : 0);
    at::Tensor ridge = at::full({start.size(0)}, params_.ridge, start.options());
    ridge.mul_(moments.gram.diagonal().narrow(0, 0, features).mean().clamp_min(1e-30));
    if (has_bias) ridge[features] = 1e-12 * static_cast<double>(moments.rows);
    const at::Tensor system = moments.gram + ridge.diag();
    return start + at::linalg_solve(system, moments.cross - moments.gram.matmul(start));
  }

  Moments collect(const Layer& layer, const Walk* walk) {
    const Executor module(module_);
    const NodeId cut_node = module_.maker(layer.output);
    const ValueId read = module_.node(cut_node).inputs[0];
    std::vector<bool> keep(module_.values.size(), false);
    keep[static_cast<size_t>(read)] = keep[static_cast<size_t>(layer.output)] = true;
    std::vector<int64_t> kept;
    for (size_t channel = 0; channel < layer.units.size(); ++channel) {
      if (keep_[static_cast<size_t>(layer.units[channel])]) kept.push_back(static_cast<int64_t>(channel));
    }
    const at::Tensor channels = at::tensor(kept, at::kLong).to(program_.device);
    Moments moments;
    for (int64_t first = 0; first < samples_.size(0); first += at_once_) {
      const Batch input =
          data_.batch(samples_.narrow(0, first, std::min(at_once_, samples_.size(0) - first)), program_.device);
      Environment environment = module.start(input);
      module.run(environment, 0, cut_node, keep);
      const at::Tensor x = environment[static_cast<size_t>(read)].toTensor();
      environment = original_.start(input);
      original_.run(environment, 0, layer.node + 1, keep);
      const at::Tensor z =
          environment[static_cast<size_t>(layer.output)].toTensor().index_select(layer.output_axis, channels);
      if (walk == nullptr) {
        add_rows(moments, x.reshape({-1, x.size(-1)}), z.reshape({-1, z.size(-1)}), layer.bias >= 0);
      } else {
        add_patches(moments, x, z, *walk, layer.bias >= 0);
      }
    }
    return moments;
  }

  void add_rows(Moments& moments, at::Tensor x, const at::Tensor& z, bool has_bias) const {
    if (has_bias) x = at::cat({x, at::ones({x.size(0), 1}, x.options())}, 1);
    moments.add(x, z);
  }

  /// Adds some of the positions of a batch, the same share of each, so that all batches together have about
  /// `most_rows`.
  void add_patches(Moments& moments, at::Tensor x, at::Tensor z, const Walk& walk, bool has_bias) {
    if (x.dim() == 3) x = x.unsqueeze(2);
    if (z.dim() == 3) z = z.unsqueeze(2);
    const int64_t positions = z.size(2) * z.size(3);
    const int64_t features = x.size(1) * walk.kernel[0] * walk.kernel[1];
    const int64_t samples_at_once =
        std::max<int64_t>(1, params_.block_bytes / (positions * features * static_cast<int64_t>(sizeof(float))));
    const double share = static_cast<double>(params_.most_rows) / static_cast<double>(positions * samples_.size(0));
    for (int64_t first = 0; first < x.size(0); first += samples_at_once) {
      const int64_t count = std::min(samples_at_once, x.size(0) - first);
      at::Tensor patches = at::im2col(x.narrow(0, first, count), walk.kernel, walk.dilation, walk.padding, walk.stride);
      patches = patches.transpose(1, 2).reshape({count * positions, features});
      at::Tensor targets = z.narrow(0, first, count).flatten(2).transpose(1, 2).reshape({count * positions, z.size(1)});
      if (share < 1) {
        const at::Tensor rows = some_rows(count * positions, share).to(x.device());
        patches = patches.index_select(0, rows);
        targets = targets.index_select(0, rows);
      }
      add_rows(moments, patches, targets, has_bias);
    }
  }

  at::Tensor some_rows(int64_t rows, double share) {
    std::vector<int64_t> chosen;
    for (int64_t row = 0; row < rows; ++row) {
      if (random_.uniform() < share) chosen.push_back(row);
    }
    if (chosen.empty()) chosen.push_back(0);
    return at::tensor(chosen, at::kLong);
  }

  const Program& program_;
  const UnitMap& map_;
  const Selection& keep_;
  const Dataset& data_;
  const at::Tensor& samples_;
  const RepairParams& params_;
  Program& module_;
  const Executor original_;
  const int64_t at_once_;  // samples
  Random random_{params_.seed};
};

}  // namespace

const char* to_string(RepairMethod method) {
  switch (method) {
    case RepairMethod::none:
      return "none";
    case RepairMethod::least_squares:
      return "least-squares";
  }
  throw std::logic_error("a repair method without a name");
}

std::vector<LayerRepair> repair(const Program& program, const UnitMap& map, const Selection& keep, const Dataset& data,
                                const at::Tensor& samples, const RepairParams& params, Program& module) {
  return Repairer(program, map, keep, data, samples, params, module).run();
}

}  // namespace incite
