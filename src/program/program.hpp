#pragma once

#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace incite {

using ValueId = int32_t;
using NodeId = int32_t;

/// An id as the index into the vector that it counts in.
constexpr size_t at_index(int32_t id) {
  return static_cast<size_t>(id);
}

/// What a node does: takes its inputs off the end of the stack and puts its outputs there.
using Operation = std::function<void(std::vector<c10::IValue>&)>;

/// Something that a node reads or makes.
struct Value {
  enum class Kind : uint8_t {
    input,      ///< one of the model's inputs
    parameter,  ///< a trained tensor or a buffer of the model, `content`
    constant,   ///< fixed, `content`
    computed,   ///< made by a node
  };
  Kind kind = Kind::computed;
  std::string name;     ///< a parameter's state_dict key, an input's argument of forward; else empty
  c10::IValue content;  ///< of a parameter or constant
  c10::TypePtr type;
  bool is_buffer = false;  ///< a parameter that is not trained (running statistics)
};

/// One operation.
struct Node {
  std::string op;        ///< TorchScript's name, "aten::conv2d"
  std::string overload;  ///< its overload, "padding"; mostly empty
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  std::string source;  ///< where in the user's code, "net.py:31"
  Operation run;
};

/// A trained model as straight-line code: every value is made once, by a node that stands after all that it reads.
///
/// It is data: stages copy it and change the copy. Tensors are shared between copies and must not be written to.
struct Program {
  std::vector<Value> values;
  std::vector<Node> nodes;
  std::vector<ValueId> inputs;  ///< tensors whose first dimension is the samples, in the order of forward's arguments
  ValueId output = -1;          ///< a tensor, [samples, outputs]
  at::Device device = at::kCPU;

  const Value& value(ValueId id) const { return values[at_index(id)]; }
  Value& value(ValueId id) { return values[at_index(id)]; }
  const Node& node(NodeId id) const { return nodes[at_index(id)]; }
  Node& node(NodeId id) { return nodes[at_index(id)]; }
  bool is_constant(ValueId id) const { return value(id).kind == Value::Kind::constant; }
  bool is_parameter(ValueId id) const { return value(id).kind == Value::Kind::parameter; }
  bool is_computed(ValueId id) const { return value(id).kind == Value::Kind::computed; }

  /// The node that makes a computed value. Throws std::logic_error for any other value.
  NodeId maker(ValueId id) const;

  ValueId add(Value value);
  ValueId add_constant(c10::IValue content);
  /// A value that some node is going to make.
  ValueId add_computed(c10::TypePtr type = c10::TensorType::get());

  /// Adds a node behind all others; returns its first output.
  ValueId append(Node node);

  /// Elements of all trained parameters that the program reads; buffers do not count.
  int64_t parameter_count() const;

  /// Drops nodes whose outputs nothing needs, then the values that no node reads or makes (they stay as holes: ids do
  /// not change).
  void remove_dead_nodes();
};

/// The operation of an `aten` operator for `Node::run`. Throws std::logic_error if LibTorch has no such operator.
Operation find_operation(const std::string& op, const std::string& overload);

/// A node that runs an `aten` operator. It stands in no program yet.
Node make_node(const std::string& op, const std::string& overload, std::vector<ValueId> inputs,
               std::vector<ValueId> outputs, const std::string& source);

/// The same, with a new value of the program for its one output.
Node make_node(Program& program, const std::string& op, const std::string& overload, std::vector<ValueId> inputs,
               const std::string& source, c10::TypePtr type = c10::TensorType::get());

/// The operation that makes a list, tuple or dict of a type from `size` values; a dict's keys stand before their
/// values.
Operation construct(const c10::TypePtr& type, size_t size);

/// A node that makes a list, tuple or dict of a type from its inputs; see construct.
Node make_container(const c10::TypePtr& type, std::vector<ValueId> inputs, ValueId output, const std::string& source);

}  // namespace incite
