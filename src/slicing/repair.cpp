#include "slicing/repair.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/fail.hpp"
#include "base/random.hpp"
#include "program/recurrent.hpp"
#include "slicing/patches.hpp"
#include "slicing/recurrent_repair.hpp"
#include "slicing/refit.hpp"
#include "slicing/shared_start.hpp"

namespace incite {
namespace {

constexpr int64_t most_at_once = 256;               // samples
constexpr int64_t most_alive = int64_t{256} << 20;  // bytes: sums are added up faster of many rows at a time

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

  bool loses_any(const std::vector<int32_t>& units) const {
    return std::any_of(units.begin(), units.end(), [&](int32_t u) { return u != no_unit && !keep_[at_index(u)]; });
  }

  /// Layers, in order, whose input is not what it is in the original, or what a recurrent one reads of itself.
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
        changed = changed || loses_any(units) || (recurrent_of(program_, node) && loses_any(layer->units));
        if (changed) layers.push_back(static_cast<int32_t>(layer - map_.layers.begin()));
      }
      for (const ValueId id : node.outputs)
        touched[at_index(id)] = changed;
    }
    return layers;
  }

  int64_t readers_of(ValueId value) const {
    int64_t readers = 0;
    for (const Node& node : program_.nodes)
      readers += std::count(node.inputs.begin(), node.inputs.end(), value);
    return readers;
  }

  void repair_layer(const Layer& layer) {
    const Node& node = module_.node(module_.maker(layer.output));
    if (const std::optional<RecurrentLayer> recurrent = recurrent_of(program_, program_.node(layer.node)))
      return repair_recurrent(layer, *recurrent);
    const std::optional<Walk> walk = walk_of(module_, node);
    if (!walk && node.op != "aten::linear") return;
    if (!program_.is_parameter(layer.weight) || readers_of(layer.weight) != 1) return;
    const bool has_bias = layer.bias >= 0;
    if (params_.method == RepairMethod::mean && !has_bias) return;
    Fit fit = collect(layer, walk ? &*walk : nullptr);
    c10::IValue& weight_slot = module_.value(layer.weight).content;
    const at::Tensor weight = weight_slot.toTensor();
    const bool transposed = walk && walk->transposed;
    const at::Tensor plain = transposed ? turned_around(weight) : weight;
    at::Tensor start = plain.flatten(1).to(at::kDouble);
    if (has_bias)
      start = at::cat({start, module_.value(layer.bias).content.toTensor().to(at::kDouble).unsqueeze(1)}, 1);
    const std::optional<at::Tensor> solved = refitted(fit, start.t(), has_bias, params_);
    if (!solved) return;
    const int64_t features = solved->size(0) - (has_bias ? 1 : 0);
    const at::Tensor repaired = solved->narrow(0, 0, features).t().reshape(plain.sizes());
    weight_slot = (transposed ? turned_around(repaired) : repaired).to(weight.options()).contiguous();
    if (has_bias) {
      c10::IValue& bias = module_.value(layer.bias).content;
      bias = (*solved)[features].to(bias.toTensor().options()).contiguous();
    }
  }

  /// Whether a recurrent layer's parameters are its own.
  bool owns_parameters(const RecurrentLayer& layer) const {
    const std::vector<ValueId>& parameters = program_.node(program_.maker(layer.parameters)).inputs;
    return readers_of(layer.parameters) == 1 && std::all_of(parameters.begin(), parameters.end(), [&](ValueId id) {
             return program_.is_parameter(id) && readers_of(id) == 1;
           });
  }

  void repair_recurrent(const Layer& layer, const RecurrentLayer& recurrent) {
    if (!owns_parameters(recurrent)) return;
    if (params_.method == RepairMethod::mean && !recurrent.biased) return;
    const auto directions = static_cast<int64_t>(recurrent.directions.size());
    const at::Tensor units = kept_channels(layer, static_cast<int64_t>(layer.units.size()) / directions);
    RecurrentRepair repair(program_, recurrent, units, samples_.size(0), params_, module_);
    const NodeId cut_node = module_.maker(layer.output);
    const bool can_validate = chunks_.front().validates;
    for (int64_t pass = 0; pass <= params_.own_state_passes + 1; ++pass) {
      const bool fits = pass <= params_.own_state_passes;
      const Executor module(module_);
      visit(layer.node, cut_node, fits || !can_validate,
            [&](const Chunk& chunk, const Environment& whole, const Environment& cut) {
              const RecurrentRun original = run_recurrent(original_, layer.node, whole);
              const RecurrentRun own = run_recurrent(module, cut_node, cut);
              if (chunk.validates || !can_validate) repair.measure(original, own);
              if (fits) repair.add(original, own, pass > 0, chunk.validates);
            });
      if (fits) repair.fit();
    }
    repair.choose();
  }

  /// What a recurrent layer makes from where a program stands before it.
  static RecurrentRun run_recurrent(const Executor& executor, NodeId node, const Environment& environment) {
    std::vector<c10::IValue> inputs;
    for (const ValueId id : executor.program().node(node).inputs)
      inputs.push_back(environment[at_index(id)]);
    const at::Tensor input = inputs[0].toTensor(), first = first_state(inputs[1]);
    return {input, first, executor.apply(node, std::move(inputs))[0].toTensor()};
  }

  /// What a layer of the module reads and what the original's gives, over all samples.
  Fit collect(const Layer& layer, const Walk* walk) {
    const NodeId cut_node = module_.maker(layer.output);
    const ValueId read = module_.node(cut_node).inputs[0];
    const at::Tensor channels = kept_channels(layer, static_cast<int64_t>(layer.units.size()));
    Fit fit;
    visit(layer.node + 1, cut_node, true, [&](const Chunk& chunk, const Environment& whole, const Environment& cut) {
      add(chunk.validates ? fit.validation : fit.train, cut[at_index(read)].toTensor(),
          whole[at_index(layer.output)].toTensor().index_select(layer.output_axis, channels), walk, layer.bias >= 0);
    });
    return fit;
  }

  /// Those of a layer's first channels that stay.
  at::Tensor kept_channels(const Layer& layer, int64_t channels) const {
    std::vector<int64_t> kept;
    for (int64_t channel = 0; channel < channels; ++channel) {
      if (keep_[at_index(layer.units[static_cast<size_t>(channel)])]) kept.push_back(channel);
    }
    return at::tensor(kept, at::kLong).to(program_.device);
  }

  /// Runs both programs up to a node of theirs, on all chunks of samples or on those that validate, and shows what they
  /// hold. They go on from where the layer before has left them, as far as what that takes may be kept.
  template <typename Look>
  void visit(NodeId whole_node, NodeId cut_node, bool all, const Look& look) {
    const Executor module(module_);
    bool save = false;
    for (size_t c = 0; c < chunks_.size(); ++c) {
      if (!all && !chunks_[c].validates) continue;
      Environment whole = run_original(c, whole_node);
      Environment cut = run_module(module, c, cut_node, whole);
      look(chunks_[c], whole, cut);
      if (c == 0) {
        const int64_t bytes = live_bytes(module_, cut) + live_bytes(program_, whole);
        save = all && bytes / chunks_[c].count * samples_.size(0) <= params_.memory;
        if (save) {
          cut_front_.saved.resize(chunks_.size());
          whole_front_.saved.resize(chunks_.size());
        }
      }
      if (!save) continue;
      forget_start(whole, whole_node);
      cut_front_.saved[c] = std::move(cut);
      whole_front_.saved[c] = std::move(whole);
    }
    if (save) {
      cut_front_.node = cut_node;
      whole_front_.node = whole_node;
    }
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
    if (saved) renew_lists(module, environment);
    module.run(environment, saved ? cut_front_.node : start_.node, node);
    return environment;
  }

  /// Lists of parameters hold those of the time when they were made.
  void renew_lists(const Executor& module, Environment& environment) const {
    for (NodeId n = 0; n < cut_front_.node; ++n) {
      const Node& node = module_.node(n);
      const bool of_parameters =
          node.op == "prim::ListConstruct" && !node.inputs.empty() && module_.is_parameter(node.inputs.front());
      if (of_parameters && !environment[at_index(node.outputs[0])].isNone()) module.run_node(environment, n);
    }
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
