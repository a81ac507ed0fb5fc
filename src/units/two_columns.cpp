#include "units/two_columns.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/fail.hpp"
#include "program/column.hpp"
#include "program/executor.hpp"
#include "units/output_kind.hpp"
#include "units/unit_map.hpp"

namespace incite {
namespace {

constexpr double column_tolerance = 1e-6;

class TwoColumns {
 public:
  TwoColumns(const Program& program, const Batch& batch, std::string file)
      : batch_(batch), file_(std::move(file)), program_(program) {
    make_column(program_, batch);
    map_ = analyse(program_, sample_values(program_, batch));
  }

  Program run() {
    if (map_.head < 0) refuse("no one layer makes it");
    const at::Tensor before = output();
    check_steps();
    const Layer& head = map_.layer(map_.head);
    if (head.gates != 1 || head.units.size() != 1)
      refuse(fmt::format("layer '{}' that makes it is recurrent", head.name));
    add_zeros(head.weight, head.weight_axis);
    if (head.bias >= 0) add_zeros(head.bias, 0);
    check_same_function(before);
    return std::move(program_);
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    fail(ExitCode::unsupported,
         "{}: its single output tells two classes apart, but can't be split into one output for each: {}. Export a "
         "model whose last layer has an output for each class, [N, 2]",
         file_, why);
  }

  at::Tensor output() const {
    const at::NoGradGuard no_grad;
    return Executor(program_)(batch_);
  }

  /// Looks at all that stands between the output layer and the output, and makes a sigmoid at its end a softmax.
  void check_steps() {
    static const std::set<std::string> harmless = {"aten::relu",
                                                   "aten::flatten",
                                                   "aten::mean",
                                                   "aten::adaptive_avg_pool1d",
                                                   "aten::adaptive_avg_pool2d",
                                                   "aten::adaptive_avg_pool3d",
                                                   "aten::contiguous",
                                                   "aten::detach"};
    const Layer& head = map_.layer(map_.head);
    for (ValueId at = program_.output; at != head.output;) {
      if (!program_.is_computed(at)) refuse("no one layer makes it");
      const NodeId id = program_.maker(at);
      Node& node = program_.node(id);
      const ValueId read = node.inputs[0];
      if (at == program_.output && node.op == "aten::sigmoid") {
        replace(node, "aten::softmax");
      } else if (at == program_.output && node.op == "aten::log_sigmoid") {
        replace(node, "aten::log_softmax");
      } else if (!harmless.contains(node.op) && !is_resampling(node.op)) {
        refuse(fmt::format("{} at {} stands after layer '{}' that makes it", node.op, node.source, head.name));
      }
      at = read;
    }
  }

  void replace(Node& node, const char* op) {
    const ValueId axis = program_.add_constant(1);
    const ValueId none = program_.add_constant(c10::IValue());
    node = make_node(op, "int", {node.inputs[0], axis, none}, node.outputs, node.source);
  }

  /// Puts zeros before the one channel of a weight or bias.
  void add_zeros(ValueId id, int64_t axis) {
    int64_t readers = 0;
    for (const Node& node : program_.nodes)
      readers += std::count(node.inputs.begin(), node.inputs.end(), id);
    Value& value = program_.value(id);
    if (readers != 1 || !value.content.isTensor()) refuse("the layer that makes it shares its weights with another");
    const at::Tensor one = value.content.toTensor();
    value.content = at::cat({at::zeros_like(one), one}, axis);
  }

  void check_same_function(const at::Tensor& before) const {
    try {
      const at::Tensor after = output();
      const bool fits = after.dim() >= 2 && after.size(1) == 2;
      if (fits && (after.select(1, 1) - before.select(1, 0)).abs().max().item<double>() <=
                      column_tolerance * std::max(1.0, before.abs().max().item<double>())) {
        return;
      }
    } catch (const std::runtime_error&) {  // an operation that counts the outputs
    }
    refuse("an operation after the layer that makes it counts the outputs");
  }

  const Batch& batch_;
  const std::string file_;
  Program program_;
  UnitMap map_;
};

}  // namespace

Program with_two_columns(const Program& program, const Batch& batch, const std::string& file) {
  return TwoColumns(program, batch, file).run();
}

}  // namespace incite
