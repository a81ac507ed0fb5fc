#include "units/output_kind.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>
#include <string>

#include "base/batch.hpp"

namespace incite {
namespace {

/// Softmax over the last dimension. LibTorch's takes one row after another, which is slow where rows are short; turned
/// round, it takes many at a time: seven times as fast for ten classes, as long as they stay in a cache.
at::Tensor softmax_of_rows(const at::Tensor& outputs) {
  constexpr int64_t short_row = 64, at_once = 2048;
  const int64_t columns = outputs.size(-1);
  if (!outputs.is_cpu() || columns == 0 || columns > short_row) return at::softmax(outputs, -1);
  const at::Tensor rows = outputs.reshape({-1, columns});
  at::Tensor result = at::empty_like(rows, at::MemoryFormat::Contiguous);
  in_batches(rows.size(0), at_once, [&](int64_t first, int64_t count) {
    result.narrow(0, first, count).copy_(at::softmax(rows.narrow(0, first, count).t().contiguous(), 0).t());
  });
  return result.view(outputs.sizes());
}

}  // namespace

namespace {

/// Whether a softmax adds up over the outputs, not over positions.
bool normalises_outputs(const Program& program, const UnitMap& map, const Node& node) {
  const Labels& labels = map.activations[at_index(node.outputs[0])];
  const c10::IValue& axis = program.value(node.inputs[1]).content;
  if (labels.units.empty() || !axis.isInt()) return true;
  return (axis.toInt() < 0 ? axis.toInt() + labels.rank : axis.toInt()) == labels.axis;
}

/// Whether a node averages over all axes but the samples' and the channels', and reads the head through relus alone.
bool pools_globally(const Program& program, const Node& node, const Layer& head) {
  ValueId read = node.inputs[0];
  while (read != head.output) {
    if (!program.is_computed(read)) return false;
    const Node& maker = program.node(program.maker(read));
    if (maker.op != "aten::relu") return false;
    read = maker.inputs[0];
  }
  const bool linear = program.node(head.node).op == "aten::linear";
  const int64_t rank = linear ? head.output_axis + 1 : program.value(head.weight).content.toTensor().dim();
  const auto is_list = [&](size_t input) { return program.value(node.inputs[input]).content.isIntList(); };
  if (node.op == "aten::mean" && node.overload == "dim" && is_list(1)) {
    std::set<int64_t> axes;
    for (const int64_t axis : program.value(node.inputs[1]).content.toIntVector())
      axes.insert(axis < 0 ? axis + rank : axis);
    return static_cast<int64_t>(axes.size()) == rank - 2 && !axes.contains(0) && !axes.contains(head.output_axis);
  }
  static const std::set<std::string> adaptive = {"aten::adaptive_avg_pool1d", "aten::adaptive_avg_pool2d",
                                                 "aten::adaptive_avg_pool3d"};
  if (!adaptive.contains(node.op) || head.output_axis != 1 || !is_list(1)) return false;
  const std::vector<int64_t> sizes = program.value(node.inputs[1]).content.toIntVector();
  return static_cast<int64_t>(sizes.size()) == rank - 2 &&
         std::all_of(sizes.begin(), sizes.end(), [](int64_t size) { return size == 1; });
}

}  // namespace

bool is_resampling(const std::string& op) {
  static const std::set<std::string> resampling = {"aten::upsample_nearest1d",  "aten::upsample_nearest2d",
                                                   "aten::upsample_nearest3d",  "aten::upsample_linear1d",
                                                   "aten::upsample_bilinear2d", "aten::upsample_trilinear3d"};
  return resampling.contains(op);
}

OutputPath output_path(const Program& program, const UnitMap& map) {
  static const std::set<std::string> layout = {
      "aten::view", "aten::reshape", "aten::flatten",       "aten::squeeze", "aten::contiguous",  "aten::detach",
      "aten::size", "aten::to",      "prim::ListConstruct", "aten::clone",   "prim::NumToTensor", "aten::Int"};
  if (map.head < 0) return {};
  const Layer& head = map.layer(map.head);
  std::vector<bool> after(program.values.size(), false);
  after[at_index(head.output)] = true;
  OutputPath path;
  path.kind = OutputKind::logits;
  for (const Node& node : program.nodes) {
    const bool reads =
        std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) { return after[at_index(id)]; });
    if (!reads) continue;
    for (const ValueId id : node.outputs)
      after[at_index(id)] = true;
    if (layout.contains(node.op)) continue;
    if (path.kind != OutputKind::logits) return {};
    if (node.op == "aten::softmax" && normalises_outputs(program, map, node)) {
      path.kind = OutputKind::probabilities;
    } else if (node.op == "aten::log_softmax" && normalises_outputs(program, map, node)) {
      path.kind = OutputKind::log_probabilities;
    } else if (node.op == "aten::sigmoid") {
      path.kind = OutputKind::sigmoid;
    } else if (node.op == "aten::relu") {
      path.relus.push_back(node.outputs[0]);
    } else if (is_resampling(node.op) && path.relus.empty()) {
      path.resampled.push_back(node.outputs[0]);
    } else if (!path.pooled && pools_globally(program, node, head)) {
      path.pooled = true;
    } else {
      return {};
    }
  }
  return path;
}

OutputKind output_kind(const Program& program, const UnitMap& map) {
  return output_path(program, map).kind;
}

OutputKind kind_for(Task task, OutputKind kind) {
  return task == Task::multilabel && kind == OutputKind::logits ? OutputKind::label_logits : kind;
}

at::Tensor probabilities(const at::Tensor& outputs, OutputKind kind) {
  switch (kind) {
    case OutputKind::label_logits:
      return outputs.sigmoid();
    case OutputKind::logits:
      return softmax_of_rows(outputs);
    case OutputKind::log_probabilities:
      return outputs.exp();
    default:
      return outputs;
  }
}

at::Tensor logarithms(const at::Tensor& outputs, OutputKind kind) {
  const at::Tensor logs = outputs.to(at::kDouble);
  const bool shares = kind == OutputKind::probabilities || kind == OutputKind::sigmoid;
  return shares ? logs.clamp_min(1e-38).log() : logs;
}

at::Tensor log_odds_alone(const at::Tensor& logarithm) {
  return logarithm - (-logarithm.exp()).clamp_min(-1.0 + 1e-16).log1p();
}

at::Tensor label_log_odds(const at::Tensor& outputs, OutputKind kind) {
  const at::Tensor logs = logarithms(outputs, kind);
  return kind == OutputKind::sigmoid ? log_odds_alone(logs) : logs;
}

double row_distance(OutputKind kind, const OutputSet& set) {
  return kind == OutputKind::sigmoid && set.size() == 1 ? 2.0 : 1.0;
}

at::Tensor log_odds(const at::Tensor& outputs, OutputKind kind, const OutputSet& set, bool own_head) {
  const at::Tensor logs = logarithms(outputs, kind);
  const bool sigmoid = kind == OutputKind::sigmoid;
  const auto at_places = [&](const std::vector<int64_t>& places) {
    return logs.index_select(1, at::tensor(places, at::TensorOptions().dtype(at::kLong).device(logs.device())));
  };
  if (!set.others) {
    const at::Tensor own = own_head || set.size() == logs.size(1) ? logs : at_places(set.outputs);
    return sigmoid ? log_odds_alone(own) : own;
  }
  if (own_head) {
    // Of two sigmoids, the second is 1 less the first.
    const at::Tensor rows = sigmoid && set.size() > 1 ? log_odds_alone(logs) : logs;
    return rows.narrow(1, 1, set.size()) - rows.narrow(1, 0, 1);
  }
  const at::Tensor own = at_places(set.outputs);
  if (sigmoid) return log_odds_alone(own);
  std::vector<int64_t> others;
  for (int64_t i = 0; i < logs.size(1); ++i) {
    if (!std::binary_search(set.outputs.begin(), set.outputs.end(), i)) others.push_back(i);
  }
  return own - at_places(others).logsumexp(1, /*keepdim=*/true);
}

}  // namespace incite
