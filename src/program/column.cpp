#include "program/column.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>
#include <string>

#include "base/fail.hpp"
#include "program/executor.hpp"

namespace incite {
namespace {

/// Operations that keep all elements, in their order, where there is one for each sample.
bool lays_out(const Node& node) {
  static const std::set<std::string> ops = {"aten::view",      "aten::reshape",    "aten::flatten", "aten::squeeze",
                                            "aten::unsqueeze", "aten::contiguous", "aten::detach",  "aten::clone",
                                            "aten::select",    "aten::slice"};
  return ops.contains(node.op);
}

class Columns {
 public:
  Columns(Program& program, const Batch& batch)
      : program_(program), samples_(batch.samples()), sample_(sample_values(program, batch)) {}

  void run() {
    if (!has_one_each(program_.output)) return;
    std::vector<NodeId> chain;  // from the output back
    ValueId start = program_.output;
    while (program_.is_computed(start)) {
      const NodeId maker = program_.maker(start);
      if (!passes(program_.node(maker))) break;
      chain.push_back(maker);
      start = program_.node(maker).inputs[0];
    }
    const bool laid_out =
        std::any_of(chain.begin(), chain.end(), [&](NodeId id) { return lays_out(program_.node(id)); });
    if (!laid_out && is_column(start)) return;
    ValueId made = as_column(start);
    for (auto id = chain.rbegin(); id != chain.rend(); ++id) {
      if (lays_out(program_.node(*id))) continue;
      Node node = program_.node(*id);
      node.inputs[0] = made;
      node.outputs = {program_.add_computed()};
      made = program_.append(std::move(node));
    }
    program_.output = made;
    program_.remove_dead_nodes();
  }

 private:
  const std::vector<int64_t>& shape(ValueId id) const { return sample_.shape(id); }
  int64_t batch_axis(ValueId id) const { return sample_.batch_axis(id); }

  /// Whether a value has one element for each sample.
  bool has_one_each(ValueId id) const {
    int64_t elements = 1;
    for (const int64_t size : shape(id))
      elements *= size;
    return batch_axis(id) >= 0 && elements == samples_;
  }

  bool is_column(ValueId id) const { return shape(id) == std::vector<int64_t>{samples_, 1}; }

  /// Whether the node takes one element for each sample and gives the same, laid out or changed one by one.
  bool passes(const Node& node) const {
    static const std::set<std::string> one_by_one = {
        "aten::sigmoid", "aten::relu",     "aten::log_sigmoid", "aten::tanh", "aten::hardtanh", "aten::clamp",
        "aten::exp",     "aten::softplus", "aten::leaky_relu",  "aten::neg",  "aten::abs",      "aten::hardsigmoid"};
    if (node.outputs.size() != 1 || node.inputs.empty() || !has_one_each(node.inputs[0])) return false;
    if (!has_one_each(node.outputs[0])) return false;
    if (lays_out(node)) return true;
    return one_by_one.contains(node.op) && std::all_of(node.inputs.begin() + 1, node.inputs.end(),
                                                       [&](ValueId id) { return program_.is_constant(id); });
  }

  ValueId as_column(ValueId id) {
    if (is_column(id)) return id;
    const std::string source = program_.is_computed(id) ? program_.node(program_.maker(id)).source : "";
    const auto append = [&](const char* op, const char* overload, std::vector<ValueId> inputs) {
      return program_.append(make_node(program_, op, overload, std::move(inputs), source));
    };
    if (batch_axis(id) != 0)
      return append("aten::reshape", "", {id, program_.add_constant(std::vector<int64_t>{-1, 1})});
    if (shape(id).size() == 1) return append("aten::unsqueeze", "", {id, program_.add_constant(1)});
    return append("aten::flatten", "using_ints", {id, program_.add_constant(1), program_.add_constant(-1)});
  }

  Program& program_;
  const int64_t samples_;
  const Sample sample_;
};

}  // namespace

void make_column(Program& program, const Batch& batch) {
  Columns(program, batch).run();
}

}  // namespace incite
