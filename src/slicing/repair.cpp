#include "slicing/repair.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "base/fail.hpp"
#include "base/random.hpp"
#include "program/convolution.hpp"
#include "slicing/least_squares.hpp"
#include "slicing/shared_start.hpp"

namespace incite {
namespace {

constexpr int64_t enough_channels = 64;             // to choose a ridge by
constexpr int64_t most_at_once = 256;               // samples
constexpr int64_t most_alive = int64_t{256} << 20;  // bytes: sums are added up faster of many rows at a time

/// How a convolution walks over its input, [height, width]; one-dimensional ones have height 1.
struct Walk {
  std::vector<int64_t> kernel, stride, padding, dilation;
  bool transposed = false;
};

bool is_list(const c10::IValue& value, size_t size) {
  return value.isIntList() && value.toIntList().size() == size;
}

/// The walk of a convolution, plain or transposed, over one or two dimensions; false for everything else, and for
/// aten::convolution, which none of PyTorch's layers calls.
bool find_walk(const Program& program, const Node& node, Walk& walk) {
  const std::optional<Convolution> convolution = convolution_of(program, node);
  if (!convolution || node.op == "aten::convolution") return false;
  const at::Tensor weight = program.value(node.inputs[1]).content.toTensor();
  const auto dimensions = static_cast<size_t>(weight.dim() - 2);
  if (dimensions > 2 || convolution->groups != c10::IValue(1)) return false;
  for (const c10::IValue* list : {&convolution->stride, &convolution->padding, &convolution->dilation}) {
    if (!is_list(*list, dimensions)) return false;  // padding="same"
  }
  walk = {weight.sizes().slice(2).vec(), convolution->stride.toIntVector(), convolution->padding.toIntVector(),
          convolution->dilation.toIntVector(), convolution->transposed};
  if (dimensions == 1) {
    walk.kernel.insert(walk.kernel.begin(), 1);
    walk.stride.insert(walk.stride.begin(), 1);
    walk.padding.insert(walk.padding.begin(), 0);
    walk.dilation.insert(walk.dilation.begin(), 1);
  }
  return true;
}

/// A transposed convolution is a plain one, over an input that has zeros between its positions, with the kernel turned
/// around: its weight as the plain one's, [outputs, inputs, height, width], and back.
at::Tensor turned_around(const at::Tensor& weight) {
  std::vector<int64_t> kernel;
  for (int64_t axis = 2; axis < weight.dim(); ++axis)
    kernel.push_back(axis);
  return weight.transpose(0, 1).flip(kernel);
}

/// Puts a transposed convolution's zeros between the positions of its input, and around them as many as the plain one
/// reads for an output [..., height, width].
at::Tensor spread_out(const at::Tensor& x, int64_t height, int64_t width, const Walk& walk) {
  const std::array<int64_t, 2> sizes{height, width};
  std::array<int64_t, 2> before{}, after{}, spread{};
  for (size_t i = 0; i < 2; ++i) {
    const int64_t reach = walk.dilation[i] * (walk.kernel[i] - 1);
    spread[i] = (x.size(2 + static_cast<int64_t>(i)) - 1) * walk.stride[i] + 1;
    before[i] = reach - walk.padding[i];
    after[i] = sizes[i] + reach - before[i] - spread[i];
  }
  const at::Tensor zeros = at::zeros({x.size(0), x.size(1), spread[0], spread[1]}, x.options());
  zeros.slice(2, 0, std::nullopt, walk.stride[0]).slice(3, 0, std::nullopt, walk.stride[1]).copy_(x);
  return at::constant_pad_nd(zeros, {before[1], after[1], before[0], after[0]});
}

/// How far a program has been run on each chunk of the samples, so that the next layer goes on from there.
struct Front {
  NodeId node = 0;
  std::vector<Environment> saved;  // by chunk; empty: nothing, runs start from the data
};

int64_t live_bytes(const Program& program, const Environment& environment) {
  int64_t bytes = 0;
  for (size_t i = 0; i < environment.size(); ++i) {
    const bool made = program.values[i].kind == Value::Kind::computed;
    if (made && environment[i].isTensor()) bytes += static_cast<int64_t>(environment[i].toTensor().nbytes());
  }
  return bytes;
}

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
        start_(shared_start(program, map, keep, module)),
        chunks_(chunks()) {}

  void run() {
    const at::NoGradGuard no_grad;
    for (const int32_t layer : touched_layers()) {
      if (layer != map_.head || params_.head) repair_layer(map_.layer(layer));
    }
  }

 private:
  struct Fit {
    Moments train, validation;
  };

  /// Samples that are run together.
  struct Chunk {
    int64_t first, count;
    bool validates;  // its rows choose the ridge
  };

  /// The first samples, in chunks of their own, are those that validate.
  std::vector<Chunk> chunks() const {
    const int64_t samples = samples_.size(0);
    const int64_t size =
        batch_size(program_, data_.batch(samples_.narrow(0, 0, std::min<int64_t>(1, samples)), program_.device),
                   most_at_once, most_alive);
    const int64_t validating = static_cast<int64_t>(params_.validation * static_cast<double>(samples));
    std::vector<Chunk> chunks;
    for (int64_t first = 0; first < samples; first += chunks.back().count) {
      const int64_t end = first < validating ? validating : samples;
      chunks.push_back({first, std::min(size, end - first), first < validating});
    }
    return chunks;
  }

  /// Layers, in order, whose input is not what it is in the original.
  std::vector<int32_t> touched_layers() const {
    std::vector<bool> touched(program_.values.size(), false);
    std::vector<int32_t> layers;
    for (size_t n = 0; n < program_.nodes.size(); ++n) {
      const Node& node = program_.nodes[n];
      const auto layer = std::find_if(map_.layers.begin(), map_.layers.end(),
                                      [&](const Layer& l) { return l.node == static_cast<NodeId>(n); });
      bool changed =
          std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) { return touched[at_index(id)]; });
      if (layer != map_.layers.end()) {
        const auto& units = map_.labels(node.inputs[0]).units;
        changed = changed || std::any_of(units.begin(), units.end(),
                                         [&](int32_t u) { return u != no_unit && !keep_[at_index(u)]; });
        if (changed) layers.push_back(static_cast<int32_t>(layer - map_.layers.begin()));
      }
      for (const ValueId id : node.outputs)
        touched[at_index(id)] = changed;
    }
    return layers;
  }

  bool shares_weights(const Layer& layer) const {
    int64_t readers = 0;
    for (const Node& node : program_.nodes)
      readers += std::count(node.inputs.begin(), node.inputs.end(), layer.weight);
    return readers != 1;
  }

  void repair_layer(const Layer& layer) {
    const Node& node = module_.node(module_.maker(layer.output));
    Walk walk;
    const bool convolution = find_walk(module_, node, walk);
    if (!convolution && node.op != "aten::linear") return;
    if (!program_.is_parameter(layer.weight) || shares_weights(layer)) return;
    const bool has_bias = layer.bias >= 0;
    if (params_.method == RepairMethod::mean && !has_bias) return;
    Fit fit = collect(layer, convolution ? &walk : nullptr);
    c10::IValue& weight_slot = module_.value(layer.weight).content;
    const at::Tensor weight = weight_slot.toTensor();
    const bool transposed = convolution && walk.transposed;
    const at::Tensor plain = transposed ? turned_around(weight) : weight;
    at::Tensor start = plain.flatten(1).to(at::kDouble);
    if (has_bias)
      start = at::cat({start, module_.value(layer.bias).content.toTensor().to(at::kDouble).unsqueeze(1)}, 1);
    start = start.t();
    std::optional<double> ridge;
    if (params_.method == RepairMethod::least_squares) {
      ridge = best_ridge(fit, start, has_bias);
      if (!ridge) return;
    }
    Moments& all = fit.train;
    all.add(fit.validation);
    const LeastSquares problem(all, start);
    const at::Tensor change = ridge ? problem.change(*ridge, has_bias) : to_the_means(all, start);
    if (!change.defined()) return;
    if (!(problem.error(change) < problem.error())) return;
    const at::Tensor solved = start + change;
    const int64_t features = solved.size(0) - (has_bias ? 1 : 0);
    const at::Tensor repaired = solved.narrow(0, 0, features).t().reshape(plain.sizes());
    weight_slot = (transposed ? turned_around(repaired) : repaired).to(weight.options()).contiguous();
    if (has_bias) {
      c10::IValue& bias = module_.value(layer.bias).content;
      bias = solved[features].to(bias.toTensor().options()).contiguous();
    }
  }

  /// What changes the biases alone, so that each channel's mean becomes the original's.
  static at::Tensor to_the_means(const Moments& moments, const at::Tensor& start) {
    at::Tensor change = at::zeros_like(start);
    const at::Tensor ones = moments.gram[moments.gram.size(0) - 1];  // sums of what the layer reads
    change[change.size(0) - 1] =
        (moments.sums - ones.unsqueeze(0).matmul(start).squeeze(0)) / static_cast<double>(moments.rows);
    return change;
  }

  /// The ridge that does best on the validation rows when weights are fitted to the others; none where none beats the
  /// start there. Without validation rows the first. Some channels speak for all.
  std::optional<double> best_ridge(const Fit& fit, const at::Tensor& start, bool has_bias) const {
    if (fit.validation.rows == 0) return params_.ridges.front();
    const int64_t step = std::max<int64_t>(1, start.size(1) / enough_channels);
    const at::Tensor some = start.slice(1, 0, std::nullopt, step);
    const Moments fitted = fit.train.every(step), others = fit.validation.every(step);
    const LeastSquares train(fitted, some), validation(others, some);
    double least = validation.error();
    std::optional<double> best;
    for (const double ridge : params_.ridges) {
      const at::Tensor change = train.change(ridge, has_bias);
      if (!change.defined()) continue;
      const double error = validation.error(change);
      if (error >= least) continue;
      least = error;
      best = ridge;
    }
    return best;
  }

  /// What a layer of the module reads and what the original's gives, over all samples. Both programs go on from where
  /// the layer before this one has left them, as far as what that takes may be kept.
  Fit collect(const Layer& layer, const Walk* walk) {
    const Executor module(module_);
    const NodeId cut_node = module_.maker(layer.output);
    const ValueId read = module_.node(cut_node).inputs[0];
    std::vector<int64_t> kept;
    for (size_t channel = 0; channel < layer.units.size(); ++channel) {
      if (keep_[at_index(layer.units[channel])]) kept.push_back(static_cast<int64_t>(channel));
    }
    const at::Tensor channels = at::tensor(kept, at::kLong).to(program_.device);
    bool save = false;
    Fit fit;
    for (size_t c = 0; c < chunks_.size(); ++c) {
      Environment whole = run_original(c, layer.node + 1);
      Environment cut = run_module(module, c, cut_node, whole);
      add(chunks_[c].validates ? fit.validation : fit.train, cut[at_index(read)].toTensor(),
          whole[at_index(layer.output)].toTensor().index_select(layer.output_axis, channels), walk, layer.bias >= 0);
      if (c == 0) {
        const int64_t bytes = live_bytes(module_, cut) + live_bytes(program_, whole);
        save = bytes / chunks_[c].count * samples_.size(0) <= params_.memory;
        if (save) {
          cut_front_.saved.resize(chunks_.size());
          whole_front_.saved.resize(chunks_.size());
        }
      }
      if (!save) continue;
      forget_start(whole, layer.node + 1);
      cut_front_.saved[c] = std::move(cut);
      whole_front_.saved[c] = std::move(whole);
    }
    if (save) {
      cut_front_.node = cut_node;
      whole_front_.node = layer.node + 1;
    }
    return fit;
  }

  /// The original up to a node. Where nothing was saved, what the module shares with it is kept.
  Environment run_original(size_t chunk, NodeId node) const {
    if (whole_front_.node > 0) {
      Environment environment = original_.resume(whole_front_.saved[chunk]);
      original_.run(environment, whole_front_.node, node);
      return environment;
    }
    Environment environment =
        original_.start(data_.batch(samples_.narrow(0, chunks_[chunk].first, chunks_[chunk].count), program_.device));
    std::vector<bool> kept(program_.values.size(), false);
    for (const ValueId id : start_.values)
      kept[at_index(id)] = true;
    original_.run(environment, 0, node, kept);
    return environment;
  }

  /// The module up to a node, from `whole`, the original's environment, where nothing was saved.
  Environment run_module(const Executor& module, size_t chunk, NodeId node, const Environment& whole) const {
    const bool saved = cut_front_.node > 0;
    Environment environment = saved ? module.resume(cut_front_.saved[chunk]) : begin_from(start_, whole, module);
    module.run(environment, saved ? cut_front_.node : start_.node, node);
    return environment;
  }

  /// Frees what was kept for the module alone.
  void forget_start(Environment& whole, NodeId node) const {
    std::vector<bool> read(program_.values.size(), false);
    for (size_t n = at_index(node); n < program_.nodes.size(); ++n) {
      for (const ValueId id : program_.nodes[n].inputs)
        read[at_index(id)] = true;
    }
    for (const ValueId id : start_.values) {
      if (!read[at_index(id)]) whole[at_index(id)] = c10::IValue();
    }
  }

  void add(Moments& moments, const at::Tensor& x, const at::Tensor& z, const Walk* walk, bool has_bias) {
    if (walk == nullptr) {
      add_rows(moments, x.reshape({-1, x.size(-1)}), z.reshape({-1, z.size(-1)}), has_bias);
    } else {
      add_patches(moments, x, z, *walk, has_bias);
    }
  }

  void add_rows(Moments& moments, at::Tensor x, const at::Tensor& z, bool has_bias) const {
    if (has_bias) x = at::cat({x, at::ones({x.size(0), 1}, x.options())}, 1);
    moments.add(x, z);
  }

  /// Adds some of the positions of a batch, the same share of each, so that all batches together have as many as the
  /// layer is to be fitted to.
  void add_patches(Moments& moments, at::Tensor x, at::Tensor z, const Walk& walk, bool has_bias) {
    if (x.dim() == 3) x = x.unsqueeze(2);
    if (z.dim() == 3) z = z.unsqueeze(2);
    const int64_t positions = z.size(0) * z.size(2) * z.size(3);
    const int64_t features = x.size(1) * walk.kernel[0] * walk.kernel[1];
    const double share = static_cast<double>(wanted_rows(features)) * static_cast<double>(z.size(0)) /
                         static_cast<double>(positions * samples_.size(0));
    const at::Tensor chosen =
        (share < 1 ? some_rows(positions, share) : at::arange(positions, at::kLong)).to(x.device());
    const at::Tensor patches = patches_of(x, z.size(2), z.size(3), walk), targets = z.permute({0, 2, 3, 1});
    const int64_t at_once =
        std::max<int64_t>(1, params_.block_bytes / (features * static_cast<int64_t>(sizeof(float))));
    in_batches(chosen.size(0), at_once, [&](int64_t first, int64_t count) {
      const at::Tensor rows = chosen.narrow(0, first, count);
      const at::Tensor line = rows.div(z.size(3), "floor");
      const c10::List<std::optional<at::Tensor>> places(
          {line.div(z.size(2), "floor"), line.remainder(z.size(2)), rows.remainder(z.size(3))});
      add_rows(moments, at::index(patches, places).flatten(1), at::index(targets, places), has_bias);
    });
  }

  /// What each output position of a convolution reads, as a view: [samples, height, width, channels, kernel's height,
  /// kernel's width].
  static at::Tensor patches_of(const at::Tensor& x, int64_t height, int64_t width, const Walk& walk) {
    const at::Tensor padded =
        walk.transposed ? spread_out(x, height, width, walk)
                        : at::constant_pad_nd(x, {walk.padding[1], walk.padding[1], walk.padding[0], walk.padding[0]});
    const int64_t line = padded.stride(2), place = padded.stride(3);
    const int64_t down = walk.transposed ? 1 : walk.stride[0], across = walk.transposed ? 1 : walk.stride[1];
    return padded.as_strided({x.size(0), height, width, x.size(1), walk.kernel[0], walk.kernel[1]},
                             {padded.stride(0), line * down, place * across, padded.stride(1), line * walk.dilation[0],
                              place * walk.dilation[1]});
  }

  /// The Gram matrix of wide layers takes rows times features² multiplications.
  int64_t wanted_rows(int64_t features) const {
    const int64_t wanted = std::clamp(params_.rows_per_feature * features, params_.least_rows, params_.most_rows);
    const auto wide = static_cast<double>(features);
    return std::min(wanted, std::max(2 * features, static_cast<int64_t>(params_.most_products / (wide * wide))));
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
  const SharedStart start_;
  const std::vector<Chunk> chunks_;
  Front cut_front_, whole_front_;
  Random random_{params_.seed};
};

}  // namespace

void repair(const Program& program, const UnitMap& map, const Selection& keep, const Dataset& data,
            const at::Tensor& samples, const RepairParams& params, Program& module) {
  Repairer(program, map, keep, data, samples, params, module).run();
}

}  // namespace incite
