#include "program/core_operators.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/fail.hpp"

namespace incite {
namespace {

/// An operand of the new node: one of the old node's, by its place, or a constant.
using Operand = std::variant<int, bool, std::monostate>;
constexpr std::monostate nothing;

struct CoreRow {
  std::string op, overload;
  std::vector<Operand> operands;
};

const std::map<std::string, CoreRow>& core_rows() {
  static const std::map<std::string, CoreRow> rows = {
      {"aten::_native_batch_norm_legit_no_training", {"aten::batch_norm", "", {0, 1, 2, 3, 4, false, 5, 6, false}}},
      {"aten::native_layer_norm", {"aten::layer_norm", "", {0, 1, 2, 3, 4, false}}},
      {"aten::native_group_norm", {"aten::group_norm", "", {0, 6, 1, 2, 7, false}}},
      {"aten::_softmax", {"aten::softmax", "int", {0, 1, nothing}}},
      {"aten::_log_softmax", {"aten::log_softmax", "int", {0, 1, nothing}}},
      {"aten::_adaptive_avg_pool2d", {"aten::adaptive_avg_pool2d", "", {0, 1}}},
      {"aten::_adaptive_avg_pool3d", {"aten::adaptive_avg_pool3d", "", {0, 1}}},
      {"aten::_scaled_dot_product_flash_attention_for_cpu",
       {"aten::scaled_dot_product_attention", "", {0, 1, 2, 5, 3, 4, 6, false}}},
      {"aten::_unsafe_view", {"aten::reshape", "", {0, 1}}},
      {"aten::_to_copy", {"aten::to", "dtype_layout", {0, 1, 2, 3, 4, 5, false, 6}}},
  };
  return rows;
}

struct AddOperand {
  Program& program;
  const Node& node;

  ValueId operator()(int place) const { return node.inputs.at(static_cast<size_t>(place)); }
  ValueId operator()(bool flag) const { return program.add_constant(flag); }
  ValueId operator()(std::monostate /*nothing*/) const { return program.add_constant(c10::IValue()); }
};

}  // namespace

void lower_core_operators(Program& program) {
  std::vector<bool> used(program.values.size(), false);
  used[at_index(program.output)] = true;
  for (const Node& node : program.nodes) {
    for (const ValueId input : node.inputs)
      used[at_index(input)] = true;
  }
  for (Node& node : program.nodes) {
    const auto row = core_rows().find(node.op);
    if (row == core_rows().end() || !node.overload.empty()) continue;
    if (std::any_of(node.outputs.begin() + 1, node.outputs.end(), [&](ValueId id) { return used[at_index(id)]; }))
      continue;
    std::vector<ValueId> inputs;
    for (const Operand& operand : row->second.operands)
      inputs.push_back(std::visit(AddOperand{program, node}, operand));
    node = make_node(row->second.op, row->second.overload, std::move(inputs), {node.outputs[0]}, node.source);
  }
}

}  // namespace incite
