// Operators while specialising: run in both runs, and put into the program unless their results are constants.

#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <set>

#include "program/specialiser.hpp"

namespace incite {
namespace {

/// Operators that look at a tensor's shape or type, never at its content.
bool reads_shape_only(const std::string& op) {
  static const std::set<std::string> ops = {
      "aten::size",          "aten::dim",        "aten::len",           "aten::numel",
      "aten::stride",        "aten::is_cuda",    "prim::is_cuda",       "prim::device",
      "prim::dtype",         "prim::layout",     "prim::shape",         "aten::zeros_like",
      "aten::ones_like",     "aten::full_like",  "aten::new_zeros",     "aten::new_ones",
      "aten::new_full",      "aten::empty_like", "aten::new_empty",     "aten::is_floating_point",
      "aten::is_complex",    "aten::get_device", "aten::is_contiguous", "aten::sym_size",
      "prim::requires_grad", "prim::is_cpu",     "prim::is_xla",        "prim::is_sparse",
      "prim::is_sparse_csr", "prim::is_mkldnn",  "prim::is_quantized",  "prim::is_nested",
      "prim::is_meta",       "prim::is_mps",     "prim::itemsize",      "prim::nbytes",
      "aten::is_same_size",  "prim::ndim",       "aten::__is__",        "aten::__isnot__"};
  return ops.contains(op);
}

bool is_dropout(const std::string& op) {
  static const std::set<std::string> ops = {
      "aten::dropout",       "aten::dropout_",       "aten::feature_dropout",       "aten::feature_dropout_",
      "aten::alpha_dropout", "aten::alpha_dropout_", "aten::feature_alpha_dropout", "aten::feature_alpha_dropout_"};
  return ops.contains(op);
}

/// Operators that may give their operand back unchanged.
bool may_be_identity(const std::string& op) {
  static const std::set<std::string> ops = {"aten::to",      "aten::detach",         "aten::contiguous", "aten::alias",
                                            "aten::type_as", "aten::requires_grad_", "aten::expand_as",  "aten::expand",
                                            "aten::cpu",     "aten::cuda",           "aten::float"};
  return ops.contains(op);
}

}  // namespace

void Specialiser::run_operator(const jit::Node* node) {
  const std::string op = node->kind().toQualString();
  if (op == "prim::unchecked_cast" || op == "prim::unchecked_unwrap_optional" || op == "aten::_unwrap_optional") {
    Known unwrapped = use(node->input(), node);
    unwrapped.type = node->output()->type();
    return set(node->output(), std::move(unwrapped));
  }
  if (is_dropout(op)) {
    const Known& training = use(node->input(2), node);
    if (!training.content && training.at[0].isBool() && !training.at[0].toBool()) {
      return set(node->output(), use(node->input(0), node));
    }
  }
  const auto* schema = node->maybeSchema();
  if (schema == nullptr) refuse(node, fmt::format("operation {} is not known to incite", op));
  if (node->isNondeterministic() && !is_still(node, op)) {
    refuse(node,
           fmt::format("{} uses random numbers; incite decomposes models that give the same output every time", op));
  }
  if (writes(*schema)) return run_in_place(node, op, *schema);
  if (frozen_ && (run_product(node, op) || (op == "aten::add" && run_bias(node)))) return;
  name_weights(node, op);
  if (op == "aten::squeeze" && run_squeeze(node)) return;

  const Operation operation = operation_of(node);
  const auto outputs = execute(node, operation);
  bool content = false;
  bool parameter = false;
  for (const jit::Value* input : node->inputs()) {
    content = content || depends(known_.at(input), &Known::content);
    parameter = parameter || depends(known_.at(input), &Known::parameter);
  }
  if (reads_shape_only(op)) content = parameter = false;
  if (may_be_identity(op) && !content && gives_back(node, outputs)) {
    return set(node->output(), use(node->input(0), node));
  }
  emit(node, op, schema->overload_name(), operation, outputs, content, parameter);
}

bool Specialiser::run_squeeze(const jit::Node* node) {
  const Known x = use(node->input(0), node);
  const at::Tensor& first = x.at[0].toTensor();
  const at::Tensor& second = x.at[1].toTensor();
  if (!x.content || first.dim() != second.dim()) return false;
  if (node->inputs().size() == 1) {
    std::vector<Known> ones;
    for (int64_t axis = 0; axis < first.dim(); ++axis) {
      if (first.size(axis) == 1 && second.size(axis) == 1) ones.push_back(integer(axis));
    }
    if (ones.empty()) {
      set(node->output(), x);
      return true;
    }
    const Known axes = container(c10::ListType::ofInts(), std::move(ones));
    Known squeezed = apply(node, "aten::squeeze", "dims", {x, axes});
    if (writes_) remember(squeezed, View{x, "aten::squeeze", "dims", {axes}});
    set(node->output(), std::move(squeezed));
    return true;
  }
  const c10::IValue named = materialise(use(node->input(1), node), 0);
  for (int64_t axis : named.isInt() ? std::vector{named.toInt()} : named.toIntVector()) {
    axis = axis < 0 ? axis + first.dim() : axis;
    if (axis < 0 || axis >= first.dim() || first.size(axis) != batch_sizes_[0] || second.size(axis) != batch_sizes_[1])
      continue;
    refuse(node, fmt::format("squeeze({}) removes the samples' axis when there is one sample; incite decomposes "
                             "models that treat samples one by one. Leave it out, or name another axis",
                             axis));
  }
  return false;
}

bool Specialiser::is_still(const jit::Node* node, const std::string& op) {
  static const std::set<std::string> recurrent = {"aten::lstm", "aten::gru", "aten::rnn_tanh", "aten::rnn_relu"};
  const auto argument = [&](size_t i) { return materialise(use(node->input(i), node), 0); };
  const auto none = [&](size_t i) { return argument(i).isDouble() && argument(i).toDouble() == 0; };
  if (op == "aten::scaled_dot_product_attention") return none(4);
  if (!recurrent.contains(op) || node->inputs().size() != 9) return false;
  return none(5) || (argument(6).isBool() && !argument(6).toBool());
}

bool Specialiser::depends(const Known& known, bool Known::*flag) {
  if (!known.elements) return known.*flag;
  return std::any_of(known.elements->begin(), known.elements->end(), [&](const Known& k) { return depends(k, flag); });
}

Operation Specialiser::operation_of(const jit::Node* node) {
  if (node->schema().is_vararg()) {  // aten::format takes as many values as a number on top of them says
    return [operation = node->getOperation(), count = node->inputs().size()](std::vector<c10::IValue>& stack) mutable {
      stack.emplace_back(static_cast<int64_t>(count));
      operation(stack);
    };
  }
  return [operation = node->getOperation()](std::vector<c10::IValue>& stack) mutable { operation(stack); };
}

std::array<std::vector<c10::IValue>, 2> Specialiser::execute(const jit::Node* node, const Operation& operation) {
  std::array<std::vector<c10::IValue>, 2> stacks;
  for (int s = 0; s < 2; ++s) {
    auto& stack = stacks[static_cast<size_t>(s)];
    for (const jit::Value* input : node->inputs())
      stack.push_back(materialise(use(input, node), s));
    operation(stack);
    INCITE_ASSERT(stack.size() == node->outputs().size());
    for (c10::IValue& made : stack) {  // else each output would keep alive all that it was made from
      if (made.isTensor() && made.toTensor().requires_grad()) made = made.toTensor().detach();
    }
  }
  return stacks;
}

bool Specialiser::gives_back(const jit::Node* node, const std::array<std::vector<c10::IValue>, 2>& outputs) {
  const Known& operand = known_.at(node->input(0));
  for (size_t s = 0; s < 2; ++s) {
    if (!operand.is_tensor() || !outputs[s][0].isTensor()) return false;
    const at::Tensor& before = operand.at[s].toTensor();
    const at::Tensor& after = outputs[s][0].toTensor();
    const bool identical = before.is_alias_of(after) && before.data_ptr() == after.data_ptr() &&
                           before.sizes() == after.sizes() && before.strides() == after.strides();
    if (!identical) return false;
  }
  return true;
}

void Specialiser::emit(const jit::Node* node, const std::string& op, const std::string& overload,
                       const Operation& operation, const std::array<std::vector<c10::IValue>, 2>& outputs, bool content,
                       bool parameter) {
  std::vector<Known> made(node->outputs().size());
  bool fixed = !content;
  for (size_t i = 0; i < made.size(); ++i) {
    made[i].at = {outputs[0][i], outputs[1][i]};
    made[i].type = node->output(i)->type();
    made[i].content = content;
    const bool tensor = made[i].at[0].isTensor() || made[i].at[0].isTensorList() || made[i].at[0].isTuple();
    made[i].parameter = tensor && parameter;
    fixed = fixed && !made[i].parameter && same(made[i].at[0], made[i].at[1]);
  }
  if (!fixed) {
    Node emitted;
    emitted.op = op;
    emitted.overload = overload;
    for (const jit::Value* input : node->inputs())
      emitted.inputs.push_back(operand(known_.at(input)));
    for (Known& known : made)
      emitted.outputs.push_back(known.emitted = program_.add_computed(plain_type(known)));
    emitted.source = source_of(node);
    emitted.run = operation;
    program_.nodes.push_back(std::move(emitted));
  }
  for (size_t i = 0; i < made.size(); ++i) {
    if (made[i].emitted >= 0 && made[i].at[0].isTensorList()) made[i] = unpack(node, made[i]);
    note_view(node, op, overload, made[i]);
    set(node->output(i), std::move(made[i]));
  }
}

c10::TypePtr Specialiser::plain_type(const Known& known) {
  return known.at[0].isTensor() ? c10::TypePtr(c10::TensorType::get()) : known.type;
}

Known Specialiser::unpack(const jit::Node* node, const Known& list) {
  const auto first = list.at[0].toTensorVector();
  const auto second = list.at[1].toTensorVector();
  if (first.size() != second.size()) refuse(node, "the length of a list depends on the batch size");
  Node emitted;
  emitted.op = "prim::ListUnpack";
  emitted.inputs = {list.emitted};
  emitted.source = source_of(node);
  std::vector<Known> elements;
  for (size_t i = 0; i < first.size(); ++i) {
    Known element;
    element.at = {first[i], second[i]};
    element.type = c10::TensorType::get();
    element.content = list.content;
    element.parameter = list.parameter;
    emitted.outputs.push_back(element.emitted = program_.add_computed(element.type));
    elements.push_back(std::move(element));
  }
  emitted.run = [](std::vector<c10::IValue>& stack) {
    const std::vector<at::Tensor> items = stack.back().toTensorVector();
    stack.pop_back();
    for (const at::Tensor& item : items)
      stack.emplace_back(item);
  };
  program_.nodes.push_back(std::move(emitted));
  return container(list.type, std::move(elements));
}

}  // namespace incite
