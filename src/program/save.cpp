#include "program/save.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/jit/api/compilation_unit.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <memory>
#include <sstream>
#include <unordered_map>

#include "base/fail.hpp"
#include "program/attributes.hpp"

namespace incite {
namespace {

namespace jit = torch::jit;

constexpr const char* training_attribute = "training";

/// A module under construction: its own tensors and its submodules, by name.
struct Part {
  std::map<std::string, ValueId> tensors;
  std::map<std::string, Part> parts;
};

class Writer {
 public:
  explicit Writer(const Program& program)
      : program_(program), unit_(std::make_shared<jit::CompilationUnit>()), graph_(std::make_shared<jit::Graph>()) {}

  std::string bytes(const std::string& identity) {
    collect_parameters();
    jit::Module root = make_module(tree_, "Module");
    if (!identity.empty() && !root.hasattr(identity_attribute))
      root.register_attribute(identity_attribute, c10::StringType::get(), identity);
    jit::Value* self = graph_->addInput("self");
    self->setType(root.type());
    make_parameters(tree_, self);
    for (const ValueId id : program_.inputs) {
      jit::Value* input = graph_->addInput(program_.value(id).name);
      input->setType(c10::TensorType::get());
      made_[id] = input;
    }
    for (const Node& node : program_.nodes)
      make_node(node);
    graph_->registerOutput(made(program_.output));
    graph_->lint();
    root.type()->addMethod(unit_->create_function(c10::QualifiedName(*root.type()->name(), "forward"), graph_));
    std::ostringstream stream;
    root.save(stream);
    return std::move(stream).str();
  }

 private:
  void collect_parameters() {
    for (const Node& node : program_.nodes) {
      for (const ValueId id : node.inputs) {
        if (program_.is_parameter(id)) place(id);
      }
    }
  }

  void place(ValueId id) {
    std::string path = program_.value(id).name;
    Part* part = &tree_;
    for (size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.')) {
      part = &part->parts[path.substr(0, dot)];
      path = path.substr(dot + 1);
    }
    part->tensors[path] = id;
  }

  // Names of classes must be identifiers: "features.0" becomes "Module_features_0".
  jit::Module make_module(const Part& part, std::string name) {
    std::replace_if(
        name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_'; },
        '_');
    jit::Module module(c10::QualifiedName("__torch__." + name), unit_, /*shouldMangle=*/true);
    for (const auto& [key, id] : part.tensors) {
      const Value& value = program_.value(id);
      at::Tensor tensor = value.content.toTensor().detach().to(at::kCPU).contiguous();
      if (value.is_buffer) {
        module.register_buffer(key, tensor);
      } else {
        module.register_parameter(key, tensor.detach().requires_grad_(tensor.is_floating_point()), /*is_buffer=*/false);
      }
    }
    for (const auto& [key, inner] : part.parts)
      module.register_module(key, make_module(inner, name + "_" + key));
    // Python's module.train() and module.eval() set it, here and in all parts.
    module.register_attribute(training_attribute, c10::BoolType::get(), false);
    return module;
  }

  void make_parameters(const Part& part, jit::Value* owner) {
    for (const auto& [key, id] : part.tensors) {
      made_[id] = graph_->insertGetAttr(owner, key);
      owners_[id] = owner;
    }
    for (const auto& [key, inner] : part.parts)
      make_parameters(inner, graph_->insertGetAttr(owner, key));
  }

  jit::Value* made(ValueId id) {
    if (const auto found = made_.find(id); found != made_.end()) return found->second;
    const Value& value = program_.value(id);
    INCITE_ASSERT(value.kind == Value::Kind::constant);
    c10::IValue content = value.content;
    if (content.isTensor() && content.toTensor().defined()) content = content.toTensor().to(at::kCPU);
    if (content.isDevice()) content = c10::Device(at::kCPU);
    jit::Value* constant = graph_->insertConstant(content);
    made_[id] = constant;
    return constant;
  }

  /// Whether a node is a batch norm with running statistics of its own, which it takes anew of each batch in training.
  bool keeps_statistics(const Node& node) const {
    if (node.op != "aten::batch_norm" || !program_.is_constant(node.inputs[5])) return false;
    return program_.is_parameter(node.inputs[3]) && program_.value(node.inputs[3]).is_buffer &&
           !program_.value(node.inputs[5]).content.toBool();
  }

  void make_node(const Node& node) {
    std::vector<jit::Value*> inputs;
    for (const ValueId id : node.inputs)
      inputs.push_back(made(id));
    if (keeps_statistics(node)) inputs[5] = graph_->insertGetAttr(owners_.at(node.inputs[3]), training_attribute);
    jit::Node* written = graph_->create(c10::Symbol::fromQualString(node.op), inputs, node.outputs.size());
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      written->output(i)->setType(program_.value(node.outputs[i]).type);
      made_[node.outputs[i]] = written->output(i);
    }
    graph_->insertNode(written);
  }

  const Program& program_;
  std::shared_ptr<jit::CompilationUnit> unit_;
  std::shared_ptr<jit::Graph> graph_;
  Part tree_;
  std::unordered_map<ValueId, jit::Value*> made_;
  std::unordered_map<ValueId, jit::Value*> owners_;  // by parameter
};

}  // namespace

std::string serialise(const Program& program, const std::string& identity) {
  return Writer(program).bytes(identity);
}

}  // namespace incite
