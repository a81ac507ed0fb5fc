#include "program/pt2_graph.hpp"

#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/fail.hpp"
#include "program/pt2_source.hpp"
#include "program/source.hpp"
#include "program/specialiser.hpp"

namespace incite {
namespace {

/// Operations on sizes, which are Python's own, and TorchScript's names for them.
const std::map<std::string, std::string>& size_operations() {
  static const std::map<std::string, std::string> rows = {
      {"_operator.add", "aten::add"},       {"_operator.sub", "aten::sub"},
      {"_operator.mul", "aten::mul"},       {"_operator.neg", "aten::neg"},
      {"_operator.mod", "aten::remainder"}, {"_operator.pow", "aten::pow"},
      {"_operator.eq", "aten::eq"},         {"_operator.ne", "aten::ne"},
      {"_operator.lt", "aten::lt"},         {"_operator.le", "aten::le"},
      {"_operator.gt", "aten::gt"},         {"_operator.ge", "aten::ge"},
      {"_operator.and_", "aten::__and__"},  {"_operator.or_", "aten::__or__"},
      {"_operator.truediv", "aten::div"},   {"_operator.floordiv", "aten::floordiv"},
      {"torch.sym_max", "prim::max"},       {"torch.sym_min", "prim::min"},
      {"torch.sym_float", "aten::Float"},   {"torch.sym_int", "aten::Int"},
      {"torch.sym_not", "aten::__not__"},   {"torch.sym_sqrt", "aten::sqrt"},
      {"torch._sym_sqrt", "aten::sqrt"},    {"math.trunc", "aten::Int"},
      {"math.ceil", "aten::ceil"},          {"math.floor", "aten::floor"},
  };
  return rows;
}

/// Operators that only check what export assumed: incite compares the result with the model's at several batch sizes.
bool is_check(const std::string& target) {
  static const std::set<std::string> targets = {
      "torch.ops.aten._assert_scalar.default", "torch.ops.aten._assert_async.msg",
      "torch.ops.aten._assert_tensor_metadata.default", "torch.ops.aten.sym_constrain_range.default",
      "torch.ops.aten.sym_constrain_range_for_size.default"};
  return targets.contains(target);
}

/// An operator's name and overload in TorchScript.
struct Operator {
  std::string name, overload;
};

/// Operators of torch.export that TorchScript has under other names, with the same arguments.
std::optional<Operator> renamed(const std::string& target) {
  static const std::map<std::string, Operator> rows = {
      {"torch.ops.aten.sym_size.int", {"aten::size", "int"}},
      {"torch.ops.aten.sym_stride.int", {"aten::stride", "int"}},
      {"torch.ops.aten.sym_numel.default", {"aten::numel", ""}},
      {"torch.ops.aten.lift_fresh_copy.default", {"aten::detach", ""}},
      {"torch.ops.aten.lift_fresh.default", {"aten::detach", ""}},
  };
  const auto row = rows.find(target);
  return row == rows.end() ? std::nullopt : std::optional(row->second);
}

/// "torch.ops.aten.conv2d.padding": aten::conv2d, padding; nothing for a target of another form.
std::optional<Operator> operator_of(const std::string& target) {
  if (auto other = renamed(target)) return other;
  constexpr std::string_view start = "torch.ops.";
  if (!target.starts_with(start)) return std::nullopt;
  const std::string rest = target.substr(start.size());
  const size_t first = rest.find('.');
  const size_t last = rest.rfind('.');
  if (first == std::string::npos || first == last) return std::nullopt;
  const std::string overload = rest.substr(last + 1);
  return Operator{rest.substr(0, first) + "::" + rest.substr(first + 1, last - first - 1),
                  overload == "default" ? "" : overload};
}

class NodeBuilder {
 public:
  NodeBuilder(Pt2Target& target, Pt2Values& values) : target_(target), graph_(*target.graph), values_(values) {}

  void add(const JsonView& node) {
    range_ = pt2_source(node);
    source_ = source_of(range_);
    const std::string& target = node.at("target").text();
    if (is_check(target)) return;
    if (target == "torch.ops.higher_order.wrap_with_set_grad_enabled") return add_inner_graph(node);
    if (target.starts_with("torch.ops.higher_order.")) {
      refuse(fmt::format("{} is control flow or another operation on graphs; write forward without it",
                         printable(target)));
    }
    if (const auto row = size_operations().find(target); row != size_operations().end())
      return add_size_operation(node, row->second);
    add_operator(node, target);
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    fail(ExitCode::unsupported, "{}: {}: {}", target_.file, source_, why);
  }

  void name(const JsonView& as, jit::Value* value) {
    if (!values_.emplace(as.text(), value).second) as.refuse(fmt::format("'{}' is made twice", printable(as.text())));
  }

  jit::Node* insert(jit::Node* node) {
    node->setSourceRange(range_);
    return graph_.insertNode(node);
  }

  /// Names one output of a node as the archive does.
  void name_output(const JsonView& output, jit::Value* value) {
    const auto [kind, content] = output.only();
    if (kind == "as_none") return;
    if (kind == "as_tensor") return name(content.at("name"), value);
    if (kind == "as_sym_int" || kind == "as_sym_float" || kind == "as_sym_bool")
      return name(content.at("as_name"), value);
    if (kind == "as_tensors") return name_items(content, value);
    output.refuse(fmt::format("an output of kind '{}', which is not known to incite", printable(kind)));
  }

  /// A list of tensors: the archive names its items.
  void name_items(const JsonView& names, jit::Value* list) {
    if (list->type()->kind() != c10::TypeKind::ListType) names.refuse("several tensors; expected one");
    const std::vector<JsonView> items = names.items();
    jit::Node* unpack = insert(graph_.createListUnpack(list, items.size()));
    for (size_t i = 0; i < items.size(); ++i)
      name(items[i].at("name"), unpack->output(i));
  }

  /// with torch.no_grad(): its nodes, as if they stood there; gradients make no difference to the result.
  void add_inner_graph(const JsonView& node) {
    const std::vector<JsonView> inputs = node.at("inputs").items();
    if (inputs.size() < 2) node.at("inputs").refuse("too few; expected a flag and a graph");
    const JsonView graph = inputs[1].at("arg").at("as_graph").at("graph");
    const std::vector<JsonView> names = graph.at("inputs").items();
    if (names.size() != inputs.size() - 2) graph.at("inputs").refuse("not as many as operands");
    Pt2Values inner;
    for (size_t i = 0; i < names.size(); ++i) {
      const auto [kind, content] = names[i].only();
      const JsonView name = content.at(kind == "as_tensor" ? "name" : "as_name");
      inner[name.text()] = operand(inputs[i + 2].at("arg"));
    }
    add_pt2_nodes(graph, target_, inner);
    std::vector<jit::Value*> results;
    for (const JsonView& output : graph.at("outputs").items())
      results.push_back(operand_of(output, any(), graph_, inner, target_.device));
    name_results(node, results);
  }

  void name_results(const JsonView& node, const std::vector<jit::Value*>& results) {
    std::vector<JsonView> outputs = node.at("outputs").items();
    if (outputs.size() == 1 && outputs[0].find("as_tensors")) {
      const std::vector<JsonView> names = outputs[0].at("as_tensors").items();
      if (names.size() != results.size()) outputs[0].refuse("not as many as the graph's outputs");
      for (size_t i = 0; i < names.size(); ++i)
        name(names[i].at("name"), results[i]);
      return;
    }
    if (outputs.size() != results.size()) node.at("outputs").refuse("not as many as the graph's outputs");
    for (size_t i = 0; i < outputs.size(); ++i)
      name_output(outputs[i], results[i]);
  }

  static c10::Argument any() { return {"operand", c10::AnyType::get()}; }

  jit::Value* operand(const JsonView& argument) { return operand_of(argument, any(), graph_, values_, target_.device); }

  void add_size_operation(const JsonView& node, const std::string& op) {
    std::vector<jit::Value*> operands;
    for (const JsonView& input : node.at("inputs").items())
      operands.push_back(operand(input.at("arg")));
    jit::Node* made = insert(graph_.create(c10::Symbol::fromQualString(op), operands));
    const auto* schema = made->maybeSchema();
    if (schema == nullptr)
      refuse(fmt::format("{} of such operands is not known to incite", printable(node.at("target").text())));
    made->output()->setType(schema->returns().at(0).type());
    name_results(node, {made->output()});
  }

  void add_operator(const JsonView& node, const std::string& target) {
    const auto op = operator_of(target);
    const auto handle = op ? c10::Dispatcher::singleton().findSchema({op->name, op->overload}) : std::nullopt;
    if (!handle) refuse(fmt::format("operation {} is not known to incite", printable(target)));
    const c10::FunctionSchema& schema = handle->schema();
    check_changes_nothing(node, schema);
    const std::vector<jit::Value*> operands = operands_of(node, schema);
    check_evaluation(schema, operands);
    jit::Node* made = insert(graph_.create(c10::Symbol::fromQualString(op->name), operands, schema.returns().size()));
    for (size_t i = 0; i < schema.returns().size(); ++i)
      made->output(i)->setType(schema.returns()[i].type());
    const auto* found = made->maybeSchema();
    const bool other_overload = found != nullptr && found->overload_name() != op->overload;
    if (found == nullptr || (other_overload && !number_for_tensor_)) {
      refuse(fmt::format("the arguments of {} are not those that incite knows", printable(target)));
    }
    std::vector<JsonView> outputs = node.at("outputs").items();
    if (outputs.size() != made->outputs().size())
      node.at("outputs").refuse(fmt::format("{}; expected {}", outputs.size(), made->outputs().size()));
    for (size_t i = 0; i < outputs.size(); ++i)
      name_output(outputs[i], made->output(i));
  }

  std::vector<jit::Value*> operands_of(const JsonView& node, const c10::FunctionSchema& schema) {
    std::map<std::string, JsonView> given;
    for (const JsonView& input : node.at("inputs").items()) {
      if (!given.emplace(input.at("name").text(), input.at("arg")).second) input.refuse("given twice");
    }
    number_for_tensor_ = false;
    std::vector<jit::Value*> operands;
    for (const c10::Argument& parameter : schema.arguments()) {
      const auto found = given.find(parameter.name());
      if (found == given.end()) {
        operands.push_back(graph_.insertConstant(default_of(node, parameter)));
        continue;
      }
      operands.push_back(operand_of(found->second, parameter, graph_, values_, target_.device));
      // x * 2 is mul.Tensor in an archive; TorchScript has mul.Scalar for it.
      if (parameter.type()->kind() == c10::TypeKind::TensorType &&
          operands.back()->type()->isSubtypeOf(*c10::NumberType::get()))
        number_for_tensor_ = true;
      given.erase(found);
    }
    if (!given.empty())
      node.at("inputs").refuse(fmt::format("'{}' is no argument of this operator", printable(given.begin()->first)));
    return operands;
  }

  c10::IValue default_of(const JsonView& node, const c10::Argument& parameter) const {
    if (parameter.default_value()) return *parameter.default_value();
    if (parameter.type()->kind() == c10::TypeKind::OptionalType) return {};
    node.at("inputs").refuse(fmt::format("no '{}'; expected one", parameter.name()));
  }

  /// Refuses a node that writes to one of the model's own tensors.
  void check_changes_nothing(const JsonView& node, const c10::FunctionSchema& schema) {
    if (!writes(schema)) return;
    for (const JsonView& input : node.at("inputs").items()) {
      const auto tensor = input.at("arg").find("as_tensor");
      if (!tensor) continue;
      const auto own = target_.tensors.find(value_of(values_, tensor->at("name")));
      if (own == target_.tensors.end() || !is_written(schema, input.at("name").text())) continue;
      refuse(
          fmt::format("{} changes the model's '{}', as in training; expected a model that does not change itself. "
                      "Call model.eval() before torch.export.export",
                      schema.name(), own->second));
    }
  }

  static bool is_written(const c10::FunctionSchema& schema, const std::string& name) {
    return std::any_of(schema.arguments().begin(), schema.arguments().end(), [&](const c10::Argument& argument) {
      return argument.name() == name && argument.alias_info() != nullptr && argument.alias_info()->isWrite();
    });
  }

  /// Refuses normalisation that updates running statistics: no schema says that it writes.
  void check_evaluation(const c10::FunctionSchema& schema, const std::vector<jit::Value*>& operands) const {
    const auto mean = schema.argumentIndexWithName("running_mean");
    auto flag = schema.argumentIndexWithName("training");
    if (!flag) flag = schema.argumentIndexWithName("use_input_stats");
    if (!mean || !flag || !target_.tensors.contains(operands[static_cast<size_t>(*mean)])) return;
    const auto training = jit::toIValue(operands[static_cast<size_t>(*flag)]);
    if (!training || !training->isBool() || !training->toBool()) return;
    refuse(
        fmt::format("{} updates its running statistics, as in training; expected a model for evaluation. Call "
                    "model.eval() before torch.export.export",
                    schema.name()));
  }

  Pt2Target& target_;
  jit::Graph& graph_;
  Pt2Values& values_;
  std::string source_;
  jit::SourceRange range_;
  bool number_for_tensor_ = false;  // of the operands_of last made
};

}  // namespace

void add_pt2_nodes(const JsonView& graph, Pt2Target& target, Pt2Values& values) {
  NodeBuilder builder(target, values);
  for (const JsonView& node : graph.at("nodes").items())
    builder.add(node);
}

}  // namespace incite
