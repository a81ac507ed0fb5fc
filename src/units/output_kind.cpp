#include "incite/units/output_kind.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>
#include <string>

#include "incite/base/error.hpp"

namespace incite {

const char* to_string(OutputKind kind) {
  switch (kind) {
    case OutputKind::logits:
      return "logits";
    case OutputKind::probabilities:
      return "probabilities";
    case OutputKind::log_probabilities:
      return "log-probabilities";
    case OutputKind::sigmoid:
      return "sigmoid";
    case OutputKind::other:
      return "other";
  }
  throw std::logic_error("an output kind without a name");
}

OutputKind output_kind(const Program& program, const UnitMap& map) {
  static const std::set<std::string> layout = {
      "aten::view", "aten::reshape", "aten::flatten",       "aten::squeeze", "aten::contiguous",  "aten::detach",
      "aten::size", "aten::to",      "prim::ListConstruct", "aten::clone",   "prim::NumToTensor", "aten::Int"};
  if (map.head < 0) return OutputKind::other;
  const Layer& head = map.layers[static_cast<size_t>(map.head)];
  std::vector<bool> after(program.values.size(), false);
  after[static_cast<size_t>(head.output)] = true;
  OutputKind kind = OutputKind::logits;
  for (const Node& node : program.nodes) {
    const bool reads =
        std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) { return after[static_cast<size_t>(id)]; });
    if (!reads) continue;
    for (const ValueId id : node.outputs)
      after[static_cast<size_t>(id)] = true;
    if (layout.contains(node.op)) continue;
    if (kind != OutputKind::logits) return OutputKind::other;
    if (node.op == "aten::softmax") {
      kind = OutputKind::probabilities;
    } else if (node.op == "aten::log_softmax") {
      kind = OutputKind::log_probabilities;
    } else if (node.op == "aten::sigmoid") {
      kind = OutputKind::sigmoid;
    } else {
      return OutputKind::other;
    }
  }
  return kind;
}

at::Tensor probabilities(const at::Tensor& outputs, OutputKind kind) {
  switch (kind) {
    case OutputKind::logits:
      return at::softmax(outputs, -1);
    case OutputKind::log_probabilities:
      return outputs.exp();
    default:
      return outputs;
  }
}

at::Tensor log_odds(const at::Tensor& outputs, OutputKind kind, std::optional<int64_t> column) {
  at::Tensor logs = outputs.to(at::kDouble);
  // Probabilities that float32 rounds to 0 still rank above none.
  if (kind == OutputKind::probabilities || kind == OutputKind::sigmoid) logs = logs.clamp_min(1e-38).log();
  if (!column) return logs.select(1, 1) - logs.select(1, 0);
  const at::Tensor own = logs.select(1, *column);
  if (kind == OutputKind::sigmoid) return own - (-own.exp()).clamp_min(-1.0 + 1e-16).log1p();
  std::vector<int64_t> others;
  for (int64_t i = 0; i < logs.size(1); ++i) {
    if (i != *column) others.push_back(i);
  }
  return own - logs.index_select(1, at::tensor(others, at::TensorOptions().dtype(at::kLong).device(logs.device())))
                   .logsumexp(1);
}

}  // namespace incite
