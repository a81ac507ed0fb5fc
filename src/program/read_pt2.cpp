#include "program/read_pt2.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/jit/api/compilation_unit.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <memory>
#include <vector>

#include "base/fail.hpp"
#include "program/pt2_archive.hpp"
#include "program/pt2_attributes.hpp"
#include "program/pt2_graph.hpp"
#include "program/pt2_outputs.hpp"

namespace incite {
namespace {

namespace jit = torch::jit;

constexpr int64_t schema_major = 8;

/// A module under construction: its own tensors and its submodules, by name.
struct Pt2Part {
  std::map<std::string, Payload> tensors;
  std::map<std::string, Pt2Part> parts;
};

jit::Module make_pt2_module(const Pt2Part& part, std::string name, const std::shared_ptr<jit::CompilationUnit>& unit) {
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_'; },
      '_');
  jit::Module module(c10::QualifiedName("__torch__." + name), unit, /*shouldMangle=*/true);
  for (const auto& [key, payload] : part.tensors) {
    const at::Tensor& tensor = payload.tensor;
    if (payload.is_parameter) {
      module.register_parameter(key, tensor.detach().requires_grad_(tensor.is_floating_point()), /*is_buffer=*/false);
    } else {
      module.register_buffer(key, tensor);
    }
  }
  for (const auto& [key, inner] : part.parts)
    module.register_module(key, make_pt2_module(inner, name + "_" + key, unit));
  if (!module.hasattr("training")) module.register_attribute("training", c10::BoolType::get(), false);
  return module;
}

bool is_identifier(const std::string& name) {
  const auto fits = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  return !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0 &&
         std::all_of(name.begin(), name.end(), fits);
}

class Pt2Reader {
 public:
  Pt2Reader(const ZipArchive& zip, const std::string& file, c10::Device device)
      : archive_(zip, file), root_(archive_.model(), archive_.model_place()), target_{nullptr, device, file, {}} {
    target_.graph = std::make_shared<jit::Graph>();
  }

  jit::Module module() {
    check_version();
    const JsonView program = root_.at("graph_module");
    const JsonView graph = program.at("graph");
    check_outputs(program);
    place_tensors(program);
    const auto unit = std::make_shared<jit::CompilationUnit>();
    jit::Module module = make_pt2_module(tree_, "Exported", unit);
    add_attributes(archive_, target_.file, module);
    jit::Value* self = target_.graph->addInput("self");
    self->setType(module.type());
    get_tensors(tree_, self, "");
    add_inputs(program);
    add_pt2_nodes(graph, target_, values_);
    std::vector<jit::Value*> outputs;
    for (const JsonView& output : graph.at("outputs").items())
      outputs.push_back(operand_of(output, {"output", c10::AnyType::get()}, *target_.graph, values_, target_.device));
    target_.graph->registerOutput(put_together(outputs, program, *target_.graph));
    target_.graph->lint();
    module.type()->addMethod(
        unit->create_function(c10::QualifiedName(*module.type()->name(), "forward"), target_.graph));
    return module;
  }

 private:
  void check_version() const {
    const JsonView major = root_.at("schema_version").at("major");
    if (major.integer() == schema_major) return;
    fail(ExitCode::model_file,
         "{}: a .pt2 archive of schema {}; expected schema {}. Export the model again with PyTorch 2.8 or newer, such "
         "as the 2.13 that incite is built with",
         target_.file, major.integer(), schema_major);
  }

  /// Refuses a program that changes its own tensors or its inputs.
  void check_outputs(const JsonView& program) const {
    for (const JsonView& spec : program.at("signature").at("output_specs").items()) {
      const auto [kind, content] = spec.only();
      if (kind == "user_output") continue;
      const auto name = content.find("buffer_name");
      fail(ExitCode::unsupported,
           "{}: forward has an output of kind {}{}; expected a model that changes neither itself nor its inputs. Call "
           "model.eval() before torch.export.export",
           target_.file, printable(kind), name ? fmt::format(" ('{}')", printable(name->text())) : "");
    }
  }

  // ---- Parameters, buffers and constants

  /// Sorts the model's tensors into the tree of its modules, and constants into the graph.
  void place_tensors(const JsonView& program) {
    std::map<std::string, Payload> weights = archive_.weights();
    std::map<std::string, Payload> constants = archive_.constants();
    const auto take = [&](const JsonView& name, std::map<std::string, Payload>& first,
                          std::map<std::string, Payload>& second) {
      for (auto* all : {&first, &second}) {
        if (const auto found = all->find(name.text()); found != all->end()) return found->second;
      }
      name.refuse(fmt::format("the archive has no tensor '{}'", printable(name.text())));
    };
    for (const JsonView& spec : program.at("signature").at("input_specs").items()) {
      const auto [kind, content] = spec.only();
      if (kind == "parameter" || kind == "buffer") {
        const JsonView name = content.at(kind + "_name");
        Payload payload = take(name, weights, constants);
        payload.is_parameter = kind == "parameter";
        place(name, payload);
        names_.emplace_back(content.at("arg").at("name"), name.text());
      } else if (kind == "tensor_constant") {
        const Payload payload = take(content.at("tensor_constant_name"), constants, weights);
        const JsonView name = content.at("arg").at("name");
        put(name, target_.graph->insertConstant(payload.tensor.detach().to(target_.device)));
      } else if (kind == "custom_obj" || kind == "token") {
        fail(ExitCode::unsupported, "{}: a custom object; expected a model of tensors alone. Write forward without it",
             content.where());
      } else if (kind != "user_input" && kind != "constant_input") {
        fail(ExitCode::unsupported, "{}: an input of kind '{}', which is not known to incite", content.where(),
             printable(kind));
      }
    }
  }

  void place(const JsonView& name, const Payload& payload) {
    std::string path = name.text();
    Pt2Part* part = &tree_;
    for (size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.')) {
      part = &part->parts[path.substr(0, dot)];
      path = path.substr(dot + 1);
    }
    const bool taken = part->parts.contains(path) || !part->tensors.emplace(path, payload).second;
    if (taken || path.empty() || path == "training")
      name.refuse(fmt::format("'{}' is no name for a tensor, or there twice", printable(name.text())));
  }

  void get_tensors(const Pt2Part& part, jit::Value* owner, const std::string& prefix) {
    for (const auto& [key, payload] : part.tensors)
      tensors_[prefix + key] = target_.graph->insertGetAttr(owner, key);
    for (const auto& [key, inner] : part.parts) {
      if (part.tensors.contains(key))
        root_.refuse(fmt::format("'{}' is a tensor and a module", printable(prefix + key)));
      get_tensors(inner, target_.graph->insertGetAttr(owner, key), prefix + key + ".");
    }
    if (!prefix.empty()) return;
    for (const auto& [argument, name] : names_) {
      put(argument, tensors_.at(name));
      target_.tensors.emplace(tensors_.at(name), name);
    }
  }

  void put(const JsonView& name, jit::Value* value) {
    if (!values_.emplace(name.text(), value).second)
      name.refuse(fmt::format("'{}' is made twice", printable(name.text())));
  }

  // ---- Inputs

  void add_inputs(const JsonView& program) {
    const JsonView sizes = program.at("graph").at("tensor_values");
    for (const JsonView& spec : program.at("signature").at("input_specs").items()) {
      const auto [kind, content] = spec.only();
      if (kind == "constant_input") {
        const c10::IValue constant = plain_constant(content.at("value"));
        values_.emplace(content.at("name").text(), target_.graph->insertConstant(constant));
      }
      if (kind == "user_input") add_input(content.at("arg"), sizes);
    }
  }

  void add_input(const JsonView& argument, const JsonView& sizes) {
    const auto [kind, content] = argument.only();
    if (kind != "as_tensor") {
      fail(ExitCode::unsupported, "{}: forward takes an input of kind '{}'; incite can pass only tensors",
           argument.where(), printable(kind));
    }
    const JsonView name = content.at("name");
    if (!is_identifier(name.text())) name.refuse(fmt::format("'{}' is no name", printable(name.text())));
    jit::Value* input = target_.graph->addInput(name.text());
    input->setType(c10::TensorType::get());
    put(name, input);
    check_shape(name.text(), input, sizes.at(name.text()).at("sizes"));
  }

  /// The sizes that export fixed are a part of the code: it must not run on others, where it would give nonsense.
  void check_shape(const std::string& name, jit::Value* input, const JsonView& sizes) {
    std::vector<JsonView> axes = sizes.items();
    if (!axes.empty()) check_batch_size(name, axes[0]);
    const auto count = static_cast<int64_t>(axes.size());
    require(target_.graph->insert(c10::aten::dim, {input}), count,
            fmt::format("{} has another number of dimensions than the {} that it was exported with", name, count));
    for (int64_t axis = 1; axis < count; ++axis) {
      const auto [kind, size] = axes[static_cast<size_t>(axis)].only();
      if (kind != "as_int") continue;
      require(target_.graph->insert(c10::aten::size, {input, axis}), size.integer(),
              fmt::format("{} has another size along dimension {} than the {} that it was exported with", name, axis,
                          size.integer()));
    }
  }

  void check_batch_size(const std::string& name, const JsonView& samples) const {
    const auto [kind, size] = samples.only();
    if (kind != "as_int") return;
    fail(ExitCode::unsupported,
         "{}: the batch size {} is fixed in the model: its input '{}' takes exactly {} samples at a time. Export it "
         "with dynamic_shapes={{\"{}\": {{0: torch.export.Dim(\"n\")}}}}",
         target_.file, size.integer(), name, size.integer(), name);
  }

  /// Raises an exception where a size is another.
  void require(jit::Value* size, int64_t expected, const std::string& message) {
    jit::Graph& graph = *target_.graph;
    jit::Value* other = graph.insert(c10::aten::ne, {size, expected});
    jit::Node* branch = graph.insertNode(graph.create(c10::prim::If, {other}, 0));
    jit::Block* raises = branch->addBlock();
    branch->addBlock();
    const jit::WithInsertPoint inside(raises);
    jit::Value* text = graph.insertConstant(message);
    jit::Value* kind = graph.insertConstant(std::string("builtins.RuntimeError"));
    graph.insertNode(graph.create(c10::prim::RaiseException, {text, kind}, 0));
  }

  const Pt2Archive archive_;
  const JsonView root_;
  Pt2Target target_;
  Pt2Part tree_;
  std::vector<std::pair<JsonView, std::string>> names_;  // of arguments that are the model's tensors, and their keys
  std::map<std::string, jit::Value*> tensors_;           // by key
  Pt2Values values_;
};

}  // namespace

jit::Module read_pt2(const ZipArchive& zip, const std::string& file, c10::Device device) {
  return Pt2Reader(zip, file, device).module();
}

}  // namespace incite
