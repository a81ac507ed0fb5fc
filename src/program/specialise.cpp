#include "specialise.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "incite/base/error.hpp"

namespace incite {
namespace {

namespace jit = torch::jit;

constexpr int64_t longest_loop = 10'000;  // trips unrolled; more is surely not meant to be straight-line code

/// What is known of a TorchScript value while both runs are interpreted side by side.
struct Known {
  std::array<c10::IValue, 2> at;  // its value in each run; unset for containers
  c10::TypePtr type;
  std::shared_ptr<std::vector<Known>> elements;  // of a list, tuple or dict built in the code; shared, since lists are
  std::shared_ptr<std::vector<c10::IValue>> keys;  // of a dict, beside its elements
  std::string module_path;                         // of a submodule: "features.0", "" is the root
  ValueId emitted = -1;                            // in the program; -1 for a constant
  bool content = false;                            // depends on the content of the input, not just on its shape
  bool parameter = false;                          // a tensor that depends on a parameter
  std::string stale;                               // set when an in-place write to a view of it went by: where

  bool is_tensor() const { return !elements && at[0].isTensor(); }
};

/// File and line of a range, in the user's own source where the model's file tells it.
std::optional<std::pair<std::filesystem::path, size_t>> place_of(jit::SourceRange range) {
  if (const auto original = range.findSourceRangeThatGenerated()) range = *original;
  const auto place = range.file_line_col();
  if (!place) return std::nullopt;
  return std::pair(std::filesystem::path(std::get<0>(*place)), std::get<1>(*place));
}

/// Whether a file is PyTorch's own: a user looks for the line that called it.
bool is_library(const std::filesystem::path& file) {
  const std::string path = "/" + file.generic_string();
  return path.find("/torch/nn/") != std::string::npos || path.find("/torch/functional.py") != std::string::npos ||
         path.find("/torch/_") != std::string::npos;
}

std::string source_of(const jit::Node* node) {
  std::vector<jit::SourceRange> ranges = {node->sourceRange()};
  if (const auto& calls = node->callstack()) {
    const auto frames = (*calls)->vec();  // from the outermost call in
    for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame)
      ranges.push_back(std::get<1>(*frame));
  }
  std::string source = "an unknown line";
  bool users = false;
  for (auto range = ranges.rbegin(); range != ranges.rend(); ++range) {
    const auto place = place_of(*range);
    if (!place) continue;
    // The innermost line of the user's; the innermost of the library's only where there is none.
    if (is_library(place->first) && users) continue;
    users = !is_library(place->first);
    source = fmt::format("{}:{}", place->first.filename().string(), place->second);
  }
  return source;
}

bool same(const c10::IValue& a, const c10::IValue& b) {
  if (a.isTensor() && b.isTensor()) {
    const at::Tensor& x = a.toTensor();
    const at::Tensor& y = b.toTensor();
    if (x.defined() != y.defined()) return false;
    return !x.defined() || (x.dtype() == y.dtype() && x.sizes() == y.sizes() && x.device() == y.device() && x.equal(y));
  }
  if (a.isList() && b.isList()) {
    const auto x = a.toListRef();
    const auto y = b.toListRef();
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), same);
  }
  if (a.isTuple() && b.isTuple()) {
    const auto& x = a.toTupleRef().elements();
    const auto& y = b.toTupleRef().elements();
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), same);
  }
  return a.tagKind() == b.tagKind() && a == b;
}

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

bool writes(const c10::FunctionSchema& schema) {
  return std::any_of(schema.arguments().begin(), schema.arguments().end(), [](const c10::Argument& argument) {
    return argument.alias_info() != nullptr && argument.alias_info()->isWrite();
  });
}

/// Whether any node of a block writes to a tensor in place.
bool any_writes(const jit::Block* block) {
  for (const jit::Node* node : block->nodes()) {
    const auto* schema = node->maybeSchema();
    const bool tensor = !node->inputs().empty() && node->input(0)->type()->isSubtypeOf(*c10::TensorType::get());
    if (tensor && schema != nullptr && writes(*schema)) return true;
    for (const jit::Block* inner : node->blocks()) {
      if (any_writes(inner)) return true;
    }
  }
  return false;
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

class Specialiser {
 public:
  Specialiser(const jit::Module& original, const jit::Module& frozen, const std::array<Batch, 2>& batches,
              const std::vector<Argument>& arguments, const std::string& file)
      : file_(file), graph_(frozen.get_method("forward").graph()->copy()) {
    jit::Inline(*graph_);
    writes_ = any_writes(graph_->block());
    program_.device = batches[0].device();
    INCITE_ASSERT(graph_->inputs().size() == arguments.size() + 1);
    for (const auto& parameter : original.named_parameters()) {
      trained_.insert(parameter.name);
      if (parameter.value.numel() > 0) names_.emplace(place_in_memory(parameter.value), parameter.name);
    }

    Known self;
    self.type = graph_->inputs()[0]->type();
    self.at[0] = self.at[1] = c10::IValue(frozen._ivalue());
    known_[graph_->inputs()[0]] = self;

    for (size_t i = 0; i < arguments.size(); ++i)
      known_[graph_->inputs()[i + 1]] = argument(arguments[i], batches);
  }

  Program run(const OutputPath& path) {
    run_block(graph_->block());
    Known output = use(graph_->outputs()[0], graph_->return_node());
    for (const std::string& step : path)
      output = item(output, step);
    if (!output.content) {
      fail(ExitCode::unsupported, "{}: the output of forward does not depend on its input", file_);
    }
    program_.output = operand(output);
    program_.remove_dead_nodes();
    return std::move(program_);
  }

 private:
  Known argument(const Argument& argument, const std::array<Batch, 2>& batches) {
    Known known;
    if (!argument.input) {
      known.at = {argument.otherwise, argument.otherwise};
      known.type = argument.otherwise.type();
      return known;
    }
    known.type = c10::TensorType::get();
    for (size_t s = 0; s < 2; ++s)
      known.at[s] = batches[s][*argument.input].clone();
    known.content = true;
    Value value;
    value.kind = Value::Kind::input;
    value.name = argument.name;
    value.type = known.type;
    known.emitted = program_.add(std::move(value));
    program_.inputs.push_back(known.emitted);
    return known;
  }

  /// One item of what forward returns.
  Known item(Known& whole, const std::string& name) const {
    const auto elements = elements_of(whole);
    INCITE_ASSERT(elements != nullptr);
    const auto names = whole.keys ? item_names(*whole.keys) : item_names(whole.type, elements->size());
    const auto found = std::find(names.begin(), names.end(), name);
    INCITE_ASSERT(found != names.end());
    Known& chosen = (*elements)[static_cast<size_t>(found - names.begin())];
    check_fresh(chosen, graph_->return_node());
    return chosen;
  }

  [[noreturn]] void refuse(const jit::Node* node, const std::string& why) const {
    fail(ExitCode::unsupported, "{}: {}: {}", file_, source_of(node), why);
  }

  Known& use(const jit::Value* value, const jit::Node* reader) {
    Known& known = known_.at(value);
    if (!known.stale.empty()) known = current(known, reader);
    return known;
  }

  void check_fresh(const Known& known, const jit::Node* reader) const {
    if (known.stale.empty()) return;
    refuse(reader,
           fmt::format("a value is read after {} wrote to part of it in place; write it without in-place operations",
                       known.stale));
  }

  // ---- Emitting -------------------------------------------------------------------------------------------------

  /// The program's value for something known; a constant is copied now, since it may be written to later.
  ValueId operand(Known& known) {
    if (known.elements) return emit_container(known);
    if (known.emitted >= 0) return known.emitted;
    c10::IValue content = known.at[0];
    if (content.isTensor() && content.toTensor().defined()) content = content.toTensor().detach().clone();
    const ValueId id = program_.add_constant(std::move(content));
    program_.values[static_cast<size_t>(id)].type = known.type;
    return id;
  }

  /// Whether a container holds nothing but constants.
  static bool constant(const Known& known) {
    if (known.elements) return std::all_of(known.elements->begin(), known.elements->end(), constant);
    return known.emitted < 0;
  }

  ValueId emit_container(Known& known) {
    if (constant(known) && !known.type->isSubtypeOf(*c10::ListType::ofTensors())) {
      const ValueId id = program_.add_constant(materialise(known, 0));
      program_.values[static_cast<size_t>(id)].type = known.type;
      return id;
    }
    Node node;
    const bool is_list = known.type->kind() == c10::TypeKind::ListType;
    node.op = known.keys ? "prim::DictConstruct" : is_list ? "prim::ListConstruct" : "prim::TupleConstruct";
    for (size_t i = 0; i < known.elements->size(); ++i) {
      if (known.keys) node.inputs.push_back(program_.add_constant((*known.keys)[i]));
      node.inputs.push_back(operand((*known.elements)[i]));
    }
    node.outputs = {add_computed(known.type)};
    node.run = construct(known.type, node.inputs.size());
    program_.nodes.push_back(std::move(node));
    return program_.nodes.back().outputs[0];
  }

  ValueId add_computed(const c10::TypePtr& type) {
    Value value;
    value.type = type;
    return program_.add(std::move(value));
  }

  /// The value of something known in run `s`.
  c10::IValue materialise(const Known& known, int s) const {
    if (!known.elements) return known.at[static_cast<size_t>(s)];
    std::vector<c10::IValue> items;
    for (size_t i = 0; i < known.elements->size(); ++i) {
      if (known.keys) items.push_back((*known.keys)[i]);
      items.push_back(materialise((*known.elements)[i], s));
    }
    construct(known.type, items.size())(items);
    return items[0];
  }

  // ---- Interpreting ---------------------------------------------------------------------------------------------

  void run_block(const jit::Block* block) {
    const auto& dying = last_uses(block);
    for (const jit::Node* node : block->nodes()) {
      run_node(node);
      if (const auto dead = dying.find(node); dead != dying.end()) {
        for (const jit::Value* value : dead->second)
          known_.erase(value);
      }
    }
  }

  using LastUses = std::unordered_map<const jit::Node*, std::vector<const jit::Value*>>;

  /// The values of a block that no node after a node reads: activations are freed as they are in any other run.
  const LastUses& last_uses(const jit::Block* block) {
    const auto [found, missing] = last_uses_.try_emplace(block);
    if (!missing) return found->second;
    LastUses& uses = found->second;
    for (const jit::Node* node : block->nodes()) {
      for (const jit::Value* value : node->outputs()) {
        const jit::Node* last = node;
        for (const jit::Use& use : value->uses()) {
          const jit::Node* user = use.user;
          while (user->owningBlock() != block)
            user = user->owningBlock()->owningNode();
          if (user == block->return_node() || last->isBefore(user)) last = user;
          if (user == block->return_node()) break;
        }
        uses[last].push_back(value);
      }
    }
    return uses;
  }

  void run_node(const jit::Node* node) {
    const auto kind = node->kind();
    if (kind == c10::prim::If) return run_if(node);
    if (kind == c10::prim::Loop) return run_loop(node);
    if (kind == c10::prim::Constant) return run_constant(node);
    if (kind == c10::prim::GetAttr) return run_get_attribute(node);
    if (kind == c10::prim::SetAttr) {
      refuse(node,
             fmt::format("forward writes to the model's attribute '{}'; a model to decompose must not change itself",
                         node->s(c10::attr::name)));
    }
    if (kind == c10::prim::RaiseException) {
      refuse(node, fmt::format("forward raises an exception on this input: {}",
                               materialise(use(node->input(0), node), 0).toStringRef()));
    }
    if (kind == c10::prim::CallFunction || kind == c10::prim::CallMethod) {
      refuse(node, "forward calls a function that can't be inlined");
    }
    if (kind == c10::aten::warn || kind == c10::prim::Print) return;
    if (kind == c10::prim::Uninitialized) return set(node->output(), Known{});
    if (run_container(node)) return;
    run_operator(node);
  }

  void set(const jit::Value* value, Known known) {
    if (!known.type) known.type = value->type();
    known_[value] = std::move(known);
  }

  void run_constant(const jit::Node* node) {
    Known known;
    const auto content = jit::toIValue(node->output());
    if (!content) return set(node->output(), std::move(known));  // a function, whose calls are inlined
    for (auto& at : known.at) {
      // Each run has its own copy: it may be written to in place.
      at = content->isTensor() && content->toTensor().defined() ? c10::IValue(content->toTensor().clone()) : *content;
    }
    known.type = node->output()->type();
    name_parameters(known);
    set(node->output(), std::move(known));
  }

  void run_get_attribute(const jit::Node* node) {
    const Known& owner = use(node->input(), node);
    const std::string& name = node->s(c10::attr::name);
    const c10::IValue attribute = owner.at[0].toObjectRef().getAttr(name);
    const std::string path = owner.module_path.empty() ? name : owner.module_path + "." + name;
    Known known;
    known.at = {attribute, attribute};
    if (attribute.isObject()) {
      known.module_path = path;
    } else if (attribute.isTensor() && attribute.toTensor().defined()) {
      known.parameter = true;
      known.emitted = parameter(path, attribute.toTensor());
    }
    known.type = node->output()->type();
    name_parameters(known);
    set(node->output(), std::move(known));
  }

  using PlaceInMemory = std::tuple<void*, std::vector<int64_t>, std::vector<int64_t>>;
  static PlaceInMemory place_in_memory(const at::Tensor& tensor) {
    return {tensor.data_ptr(), tensor.sizes().vec(), tensor.strides().vec()};
  }

  /// A list of tensors that freezing took for a constant, as nn.LSTM keeps its weights: those that are parameters of
  /// the model are parameters again.
  void name_parameters(Known& list) {
    if (!list.at[0].isTensorList()) return;
    elements_of(list);
    for (Known& element : *list.elements) {
      const at::Tensor& tensor = element.at[0].toTensor();
      const auto name = tensor.defined() ? names_.find(place_in_memory(tensor)) : names_.end();
      if (name == names_.end()) continue;
      element.parameter = true;
      element.emitted = parameter(name->second, tensor);
    }
  }

  /// A parameter's value in the program; one that shares its memory with an earlier one is that one.
  ValueId parameter(const std::string& path, const at::Tensor& tensor) {
    const PlaceInMemory storage = place_in_memory(tensor);
    if (const auto found = parameters_.find(storage); found != parameters_.end() && tensor.numel() > 0)
      return found->second;
    Value value;
    value.kind = Value::Kind::parameter;
    value.name = path;
    value.type = c10::TensorType::get();
    value.content = tensor.detach();
    value.is_buffer = !trained_.contains(path);
    const ValueId id = program_.add(std::move(value));
    parameters_.emplace(storage, id);
    return id;
  }

  bool condition(const jit::Value* value, const jit::Node* node, const char* what) {
    const Known& known = use(value, node);
    if (known.content) {
      refuse(node,
             fmt::format(
                 "{} depends on the content of the input; incite decomposes models whose control flow is the same for "
                 "every sample",
                 what));
    }
    if (!same(known.at[0], known.at[1])) {
      refuse(node,
             fmt::format("{} depends on the batch size; incite decomposes models that treat samples one by one", what));
    }
    return known.at[0].toBool();
  }

  void run_if(const jit::Node* node) {
    const jit::Block* taken = node->blocks()[condition(node->input(), node, "a branch") ? 0 : 1];
    run_block(taken);
    for (size_t i = 0; i < node->outputs().size(); ++i)
      set(node->output(i), use(taken->outputs()[i], node));
  }

  void run_loop(const jit::Node* node) {
    const Known& trips = use(node->input(0), node);
    if (trips.content || !same(trips.at[0], trips.at[1])) {
      refuse(node, fmt::format("the number of times that a loop runs depends on {}",
                               trips.content ? "the content of the input" : "the batch size"));
    }
    const int64_t most = trips.at[0].toInt();
    const jit::Block* body = node->blocks()[0];
    std::vector<Known> carried;
    for (size_t i = 2; i < node->inputs().size(); ++i)
      carried.push_back(use(node->input(i), node));
    bool go_on = condition(node->input(1), node, "a loop's condition");
    for (int64_t trip = 0; go_on && trip < most; ++trip) {
      if (trip == longest_loop) refuse(node, fmt::format("a loop runs more than {} times", longest_loop));
      Known counter;
      counter.at[0] = counter.at[1] = trip;
      set(body->inputs()[0], std::move(counter));
      for (size_t i = 0; i < carried.size(); ++i)
        set(body->inputs()[i + 1], carried[i]);
      run_block(body);
      go_on = condition(body->outputs()[0], node, "a loop's condition");
      for (size_t i = 0; i < carried.size(); ++i)
        carried[i] = use(body->outputs()[i + 1], node);
    }
    for (size_t i = 0; i < carried.size(); ++i)
      set(node->output(i), carried[i]);
  }

  // ---- Lists and tuples: never in the program but as operands -----------------------------------------------------

  static Known container(c10::TypePtr type, std::vector<Known> elements) {
    Known known;
    known.type = std::move(type);
    known.elements = std::make_shared<std::vector<Known>>(std::move(elements));
    return known;
  }

  /// The elements of a container, also of one that came as a constant; nothing if `known` is no list, tuple or dict.
  static std::shared_ptr<std::vector<Known>> elements_of(Known& known) {
    if (known.elements) return known.elements;
    const bool is_dict = known.at[0].isGenericDict();
    if (known.emitted >= 0 || (!known.at[0].isList() && !known.at[0].isTuple() && !is_dict)) return nullptr;
    if (is_dict) {
      known.keys = std::make_shared<std::vector<c10::IValue>>();
      for (const auto& entry : known.at[0].toGenericDict())
        known.keys->push_back(entry.key());
    }
    std::vector<Known> elements;
    const auto split = [&known](const c10::IValue& whole) -> std::vector<c10::IValue> {
      if (whole.isList()) return whole.toListRef().vec();
      if (whole.isGenericDict()) {
        std::vector<c10::IValue> values;
        for (const c10::IValue& key : *known.keys)
          values.push_back(whole.toGenericDict().at(key));
        return values;
      }
      return whole.toTupleRef().elements();
    };
    const auto first = split(known.at[0]);
    const auto second = split(known.at[1]);
    for (size_t i = 0; i < first.size(); ++i) {
      Known element;
      element.at = {first[i], second[i]};
      element.type = first[i].type();
      elements.push_back(std::move(element));
    }
    known.elements = std::make_shared<std::vector<Known>>(std::move(elements));
    return known.elements;
  }

  static std::optional<int64_t> fixed_int(const Known& known) {
    if (known.elements || known.content || !known.at[0].isInt() || !same(known.at[0], known.at[1])) return std::nullopt;
    return known.at[0].toInt();
  }

  bool run_container(const jit::Node* node) {
    const std::string op = node->kind().toQualString();
    if (op == "prim::ListConstruct" || op == "prim::TupleConstruct") {
      std::vector<Known> elements;
      for (const jit::Value* input : node->inputs())
        elements.push_back(use(input, node));
      set(node->output(), container(node->output()->type(), std::move(elements)));
      return true;
    }
    if (op == "prim::DictConstruct") {
      run_dict_construct(node);
      return true;
    }
    if (op == "aten::size" && node->inputs().size() == 1) {
      run_sizes(node);
      return true;
    }
    if (node->inputs().empty()) return false;
    const auto elements = elements_of(use(node->input(0), node));
    if (!elements) return false;
    if (use(node->input(0), node).keys) return run_dict(node, op, use(node->input(0), node));

    if (op == "prim::ListUnpack" || op == "prim::TupleUnpack") {
      INCITE_ASSERT(elements->size() == node->outputs().size());
      for (size_t i = 0; i < elements->size(); ++i)
        set(node->output(i), (*elements)[i]);
      return true;
    }
    if (op == "aten::len") {
      Known length;
      length.at[0] = length.at[1] = static_cast<int64_t>(elements->size());
      set(node->output(), std::move(length));
      return true;
    }
    if (op == "aten::__getitem__" || op == "prim::TupleIndex" || op == "aten::_set_item") {
      const auto place = fixed_int(use(node->input(1), node));
      if (!place) refuse(node, "an index into a list depends on the data or on the batch size");
      const auto size = static_cast<int64_t>(elements->size());
      const int64_t index = *place < 0 ? *place + size : *place;
      if (index < 0 || index >= size) refuse(node, fmt::format("index {} into a list of {}", *place, size));
      Known& element = (*elements)[static_cast<size_t>(index)];
      if (op == "aten::_set_item") {
        element = use(node->input(2), node);
        if (!node->outputs().empty()) set(node->output(), use(node->input(0), node));
      } else {
        set(node->output(), element);
      }
      return true;
    }
    if (op == "aten::append") {
      elements->push_back(use(node->input(1), node));
      if (!node->outputs().empty()) set(node->output(), use(node->input(0), node));
      return true;
    }
    if (op == "aten::list") {
      set(node->output(), container(node->output()->type(), *elements));
      return true;
    }
    if (op == "aten::add" && node->output()->type()->kind() == c10::TypeKind::ListType) {
      const auto more = elements_of(use(node->input(1), node));
      std::vector<Known> both = *elements;
      both.insert(both.end(), more->begin(), more->end());
      set(node->output(), container(node->output()->type(), std::move(both)));
      return true;
    }
    if (op == "aten::slice") {
      run_list_slice(node, *elements);
      return true;
    }
    return false;
  }

  // ---- Dicts: as lists, with constant keys ------------------------------------------------------------------------

  c10::IValue constant_key(const jit::Value* value, const jit::Node* node) {
    const Known& key = use(value, node);
    if (key.elements || key.content || key.at[0].isTensor() || !same(key.at[0], key.at[1]))
      refuse(node, "a dict's key depends on the data or on the batch size");
    return key.at[0];
  }

  static void put(const Known& dict, const c10::IValue& key, Known element) {
    const auto found = std::find(dict.keys->begin(), dict.keys->end(), key);
    if (found != dict.keys->end()) {
      (*dict.elements)[static_cast<size_t>(found - dict.keys->begin())] = std::move(element);
    } else {
      dict.keys->push_back(key);
      dict.elements->push_back(std::move(element));
    }
  }

  void run_dict_construct(const jit::Node* node) {
    Known dict = container(node->output()->type(), {});
    dict.keys = std::make_shared<std::vector<c10::IValue>>();
    for (size_t i = 0; i < node->inputs().size(); i += 2)
      put(dict, constant_key(node->input(i), node), use(node->input(i + 1), node));
    set(node->output(), std::move(dict));
  }

  static Known known_constant(const c10::IValue& content) {
    Known known;
    known.at = {content, content};
    known.type = content.type();
    return known;
  }

  /// An operator on a dict; false for one that is not known here.
  bool run_dict(const jit::Node* node, const std::string& op, const Known& dict) {
    if (op == "aten::_set_item") {
      put(dict, constant_key(node->input(1), node), use(node->input(2), node));
      return true;
    }
    if (op == "aten::__getitem__" || op == "aten::get" || op == "aten::__contains__") {
      const c10::IValue key = constant_key(node->input(1), node);
      const auto found = std::find(dict.keys->begin(), dict.keys->end(), key);
      const bool there = found != dict.keys->end();
      if (op == "aten::__contains__") {
        set(node->output(), known_constant(there));
      } else if (there) {
        set(node->output(), (*dict.elements)[static_cast<size_t>(found - dict.keys->begin())]);
      } else if (op == "aten::get") {
        set(node->output(), node->inputs().size() > 2 ? use(node->input(2), node) : known_constant({}));
      } else {
        refuse(node, "a key that is not in the dict");
      }
      return true;
    }
    if (op == "aten::len") {
      set(node->output(), known_constant(static_cast<int64_t>(dict.keys->size())));
      return true;
    }
    if (op == "aten::keys" || op == "aten::values" || op == "aten::items") {
      set(node->output(), list_of_dict(op, dict, node->output()->type()));
      return true;
    }
    return false;
  }

  static Known list_of_dict(const std::string& op, const Known& dict, const c10::TypePtr& type) {
    std::vector<Known> elements;
    for (size_t i = 0; i < dict.keys->size(); ++i) {
      const Known key = known_constant((*dict.keys)[i]);
      const Known& value = (*dict.elements)[i];
      if (op == "aten::items") {
        elements.push_back(container(type->expectRef<c10::ListType>().getElementType(), {key, value}));
      } else {
        elements.push_back(op == "aten::keys" ? key : value);
      }
    }
    return container(type, std::move(elements));
  }

  void run_list_slice(const jit::Node* node, const std::vector<Known>& elements) {
    const auto size = static_cast<int64_t>(elements.size());
    const auto bound = [&](size_t input, int64_t otherwise) {
      const Known& known = use(node->input(input), node);
      if (!known.elements && known.at[0].isNone()) return otherwise;
      const auto fixed = fixed_int(known);
      if (!fixed) refuse(node, "a slice of a list depends on the data or on the batch size");
      return std::clamp<int64_t>(*fixed < 0 ? *fixed + size : *fixed, 0, size);
    };
    const auto step = fixed_int(use(node->input(3), node));
    if (!step || *step < 1) refuse(node, "a slice of a list with a step that is not a positive constant");
    std::vector<Known> part;
    const int64_t end = bound(2, size);
    for (int64_t i = bound(1, 0); i < end; i += *step)
      part.push_back(elements[static_cast<size_t>(i)]);
    set(node->output(), container(node->output()->type(), std::move(part)));
  }

  /// x.size(): a list whose elements are constants where the batch sizes agree, and `x.size(d)` where they do not.
  void run_sizes(const jit::Node* node) {
    Known& tensor = use(node->input(), node);
    const auto first = tensor.at[0].toTensor().sizes();
    const auto second = tensor.at[1].toTensor().sizes();
    if (first.size() != second.size()) refuse(node, "the number of dimensions depends on the batch size");
    std::vector<Known> sizes;
    for (size_t d = 0; d < first.size(); ++d) {
      Known size;
      size.type = c10::IntType::get();
      size.at = {first[d], second[d]};
      if (first[d] != second[d]) {
        Node emitted;
        emitted.op = "aten::size";
        emitted.overload = "int";
        emitted.inputs = {operand(tensor), program_.add_constant(static_cast<int64_t>(d))};
        emitted.outputs = {size.emitted = add_computed(size.type)};
        emitted.source = source_of(node);
        emitted.run = find_operation("aten::size", "int");
        program_.nodes.push_back(std::move(emitted));
      }
      sizes.push_back(std::move(size));
    }
    set(node->output(), container(node->output()->type(), std::move(sizes)));
  }

  // ---- Operators --------------------------------------------------------------------------------------------------

  void run_operator(const jit::Node* node) {
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

  /// Whether an operation that can drop out does not: its share is 0, or it is not being trained.
  bool is_still(const jit::Node* node, const std::string& op) {
    static const std::set<std::string> recurrent = {"aten::lstm", "aten::gru", "aten::rnn_tanh", "aten::rnn_relu"};
    const auto argument = [&](size_t i) { return materialise(use(node->input(i), node), 0); };
    const auto none = [&](size_t i) { return argument(i).isDouble() && argument(i).toDouble() == 0; };
    if (op == "aten::scaled_dot_product_attention") return none(4);
    if (!recurrent.contains(op) || node->inputs().size() != 9) return false;
    return none(5) || (argument(6).isBool() && !argument(6).toBool());
  }

  static bool depends(const Known& known, bool Known::*flag) {
    if (!known.elements) return known.*flag;
    return std::any_of(known.elements->begin(), known.elements->end(),
                       [&](const Known& k) { return depends(k, flag); });
  }

  static Operation operation_of(const jit::Node* node) {
    if (node->schema().is_vararg()) {  // aten::format takes as many values as a number on top of them says
      return
          [operation = node->getOperation(), count = node->inputs().size()](std::vector<c10::IValue>& stack) mutable {
            stack.emplace_back(static_cast<int64_t>(count));
            operation(stack);
          };
    }
    return [operation = node->getOperation()](std::vector<c10::IValue>& stack) mutable { operation(stack); };
  }

  /// The outputs of a node in both runs.
  std::array<std::vector<c10::IValue>, 2> execute(const jit::Node* node, const Operation& operation) {
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

  bool gives_back(const jit::Node* node, const std::array<std::vector<c10::IValue>, 2>& outputs) {
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

  /// Notes a node's outputs, and puts the node into the program unless it is a constant.
  void emit(const jit::Node* node, const std::string& op, const std::string& overload, const Operation& operation,
            const std::array<std::vector<c10::IValue>, 2>& outputs, bool content, bool parameter) {
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
        emitted.outputs.push_back(known.emitted = add_computed(plain_type(known)));
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

  /// Tensors without the shapes that a trace notes: they would be the sample's.
  static c10::TypePtr plain_type(const Known& known) {
    return known.at[0].isTensor() ? c10::TypePtr(c10::TensorType::get()) : known.type;
  }

  /// A list of tensors that a node gave, as its elements.
  Known unpack(const jit::Node* node, const Known& list) {
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
      emitted.outputs.push_back(element.emitted = add_computed(element.type));
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

  // ---- Views and in-place writes ----------------------------------------------------------------------------------

  /// How a tensor came to share the memory of another.
  struct View {
    Known base;
    std::string op, overload;
    std::vector<Known> arguments;  // after the base
  };

  static const void* identity(const Known& known) { return known.at[0].toTensor().unsafeGetTensorImpl(); }

  /// Notes that an output shares its first operand's memory.
  void note_view(const jit::Node* node, const std::string& op, const std::string& overload, const Known& made) {
    if (!writes_ || !made.is_tensor() || !made.at[0].toTensor().defined() || node->inputs().empty()) return;
    const Known& base = known_.at(node->input(0));
    if (!base.is_tensor() || !base.at[0].toTensor().defined()) return;
    if (!made.at[0].toTensor().is_alias_of(base.at[0].toTensor()) || identity(made) == identity(base)) return;
    View view{base, op, overload, {}};
    for (size_t i = 1; i < node->inputs().size(); ++i)
      view.arguments.push_back(known_.at(node->input(i)));
    remember(made, std::move(view));
  }

  void remember(const Known& made, View view) {
    alive_.push_back(made);
    views_.insert_or_assign(identity(made), std::move(view));
  }

  void supersede(const Known& before, const Known& after) {
    alive_.push_back(before);
    newest_.insert_or_assign(identity(before), after);
  }

  /// Runs an operation on what is known in both runs, and puts it into the program unless its result is a constant.
  Known apply(const jit::Node* node, const std::string& op, const std::string& overload, std::vector<Known> inputs) {
    const Operation operation = find_operation(op, overload);
    Known made;
    made.type = c10::TensorType::get();
    for (size_t s = 0; s < 2; ++s) {
      std::vector<c10::IValue> stack;
      for (const Known& input : inputs)
        stack.push_back(materialise(input, static_cast<int>(s)));
      operation(stack);
      made.at[s] = stack[0];
    }
    for (const Known& input : inputs) {
      made.content = made.content || depends(input, &Known::content);
      made.parameter = made.parameter || depends(input, &Known::parameter);
    }
    if (!made.content && !made.parameter && same(made.at[0], made.at[1])) return made;
    Node emitted;
    emitted.op = op;
    emitted.overload = overload;
    for (Known& input : inputs)
      emitted.inputs.push_back(operand(input));
    emitted.outputs = {made.emitted = add_computed(made.type)};
    emitted.source = source_of(node);
    emitted.run = operation;
    program_.nodes.push_back(std::move(emitted));
    return made;
  }

  static Known integer(int64_t value) {
    Known known;
    known.type = c10::IntType::get();
    known.at = {value, value};
    return known;
  }

  /// The base of a view once the view has been written to: `written` in the view's place.
  Known write_back(const jit::Node* node, const View& view, const Known& written) {
    if (view.op == "aten::slice" || view.op == "aten::select") {
      std::vector<Known> inputs = {view.base, written};
      inputs.insert(inputs.end(), view.arguments.begin(), view.arguments.end());
      return apply(node, view.op + "_scatter", "", std::move(inputs));
    }
    if (view.op == "aten::narrow") {
      const auto dimension = fixed_int(view.arguments[0]);
      const auto first = fixed_int(view.arguments[1]);
      const auto length = fixed_int(view.arguments[2]);
      if (dimension && first && length && *first >= 0) {
        return apply(node, "aten::slice_scatter", "",
                     {view.base, written, integer(*dimension), integer(*first), integer(*first + *length), integer(1)});
      }
    }
    if (view.op == "aten::transpose") {
      return apply(node, view.op, view.overload, {written, view.arguments[0], view.arguments[1]});
    }
    if (view.op == "aten::squeeze" && view.overload == "dim") {
      return apply(node, "aten::unsqueeze", "", {written, view.arguments[0]});
    }
    if (view.op == "aten::unsqueeze") return apply(node, "aten::squeeze", "dim", {written, view.arguments[0]});
    if (view.op == "aten::permute") {
      const std::vector<int64_t> order = materialise(view.arguments[0], 0).toIntVector();
      const auto rank = static_cast<int64_t>(order.size());
      std::vector<Known> inverse(order.size());
      for (int64_t axis = 0; axis < rank; ++axis)
        inverse[static_cast<size_t>((order[static_cast<size_t>(axis)] + rank) % rank)] = integer(axis);
      return apply(node, view.op, "", {written, container(c10::ListType::ofInts(), std::move(inverse))});
    }
    if (view.op == "aten::view" || view.op == "aten::reshape" || view.op == "aten::flatten") {
      return apply(node, "aten::reshape_as", "", {written, view.base});
    }
    if (view.op == "aten::detach" || view.op == "aten::alias") return written;
    refuse(node, fmt::format("a write in place into what {} gives can't be made pure; write it without in-place "
                             "operations",
                             view.op));
  }

  /// After a write: every name of the tensor `before` means `after`, the tensors of which it is a view are made anew,
  /// and other views of the same memory are stale.
  void replace(const jit::Node* node, const Known& before, Known& after) {
    std::set<const void*> done;
    const at::Tensor written = before.at[0].toTensor();
    for (auto& [value, known] : known_)
      rebind(known, written, after, source_of(node), done);
    supersede(before, after);
    const auto found = views_.find(identity(before));
    if (found == views_.end()) return;
    View view = found->second;
    view.base = current(view.base, node);
    Known base = write_back(node, view, after);
    replace(node, view.base, base);
    view.base = base;
    remember(after, std::move(view));
  }

  /// What a tensor is after the writes so far: a stale view is taken anew of its base.
  Known current(Known known, const jit::Node* reader) {
    for (auto newer = newest_.find(identity(known)); newer != newest_.end(); newer = newest_.find(identity(known)))
      known = newer->second;
    if (known.stale.empty()) {
      const auto view = views_.find(identity(known));
      if (view == views_.end() || !is_outdated(view->second.base)) return known;
    }
    const auto view = views_.find(identity(known));
    if (view == views_.end()) {
      refuse(reader,
             fmt::format("a value is read after {} wrote to part of it in place; write it without in-place operations",
                         known.stale));
    }
    View again = view->second;
    again.base = current(again.base, reader);
    std::vector<Known> inputs = {again.base};
    inputs.insert(inputs.end(), again.arguments.begin(), again.arguments.end());
    Known made = apply(reader, again.op, again.overload, std::move(inputs));
    supersede(known, made);
    remember(made, std::move(again));
    return made;
  }

  bool is_outdated(const Known& known) const {
    if (newest_.contains(identity(known))) return true;
    const auto view = views_.find(identity(known));
    return view != views_.end() && is_outdated(view->second.base);
  }

  /// A write in place: done for real in both runs where it concerns constants alone; else a pure operation in the
  /// program, whose output is what every name of the tensor means from now.
  void run_in_place(const jit::Node* node, const std::string& op, const c10::FunctionSchema& schema) {
    const Known target = use(node->input(0), node);
    const bool only_first =
        schema.arguments()[0].alias_info() != nullptr && schema.arguments()[0].alias_info()->isWrite();
    if (!target.is_tensor() || !only_first || node->outputs().size() != 1) {
      refuse(node, fmt::format("{} writes in place in a way that incite can't make pure", op));
    }
    bool content = false;
    bool parameter = false;
    for (const jit::Value* input : node->inputs()) {
      content = content || depends(known_.at(input), &Known::content);
      parameter = parameter || depends(known_.at(input), &Known::parameter);
    }
    check_not_parameter(node, op, target);
    if (target.emitted < 0 && !content && !parameter) {  // a constant stays one
      const auto outputs = execute(node, operation_of(node));
      Known result = target;
      result.at = {outputs[0][0], outputs[1][0]};
      set(node->output(), std::move(result));
      return;
    }
    if (!op.ends_with('_')) refuse(node, fmt::format("{} writes in place in a way that incite can't make pure", op));
    const std::string pure = op == "aten::copy_" ? "aten::copy" : op.substr(0, op.size() - 1);
    Operation operation;
    try {
      operation = find_operation(pure, schema.overload_name());
    } catch (const std::logic_error&) {
      refuse(node, fmt::format("{} writes in place, and there is no pure operation in its stead", op));
    }
    const auto outputs = execute(node, operation);
    for (size_t s = 0; s < 2; ++s) {
      if (outputs[s][0].toTensor().dtype() != target.at[s].toTensor().dtype() ||
          outputs[s][0].toTensor().sizes() != target.at[s].toTensor().sizes()) {
        refuse(node, fmt::format("{} writes in place into a tensor of another type or shape", op));
      }
    }
    emit(node, pure, schema.overload_name(), operation, outputs, content, parameter);
    Known result = known_.at(node->output());
    replace(node, target, result);
    set(node->output(), std::move(result));
  }

  /// Neither a parameter nor a view of one may be written to.
  void check_not_parameter(const jit::Node* node, const std::string& op, const Known& target) const {
    for (const Known* known = &target; known != nullptr;) {
      if (known->emitted >= 0 && program_.is_parameter(known->emitted)) {
        refuse(node, fmt::format("{} writes to the parameter '{}'; a model to decompose must not change itself", op,
                                 program_.value(known->emitted).name));
      }
      const auto view = views_.find(identity(*known));
      known = view == views_.end() ? nullptr : &view->second.base;
    }
  }

  /// Makes every name of the tensor `written` mean `result`; a value that shares its memory in another shape is stale.
  static void rebind(Known& known, const at::Tensor& written, const Known& result, const std::string& source,
                     std::set<const void*>& done) {
    if (known.elements) {
      if (!done.insert(known.elements.get()).second) return;
      for (Known& element : *known.elements)
        rebind(element, written, result, source, done);
      return;
    }
    if (!known.at[0].isTensor() || !known.at[0].toTensor().defined()) return;
    const at::Tensor& tensor = known.at[0].toTensor();
    if (!tensor.is_alias_of(written)) return;
    const bool same_view = tensor.data_ptr() == written.data_ptr() && tensor.sizes() == written.sizes() &&
                           tensor.strides() == written.strides();
    if (same_view) {
      known = result;
    } else {
      known.stale = source;
    }
  }

  std::unordered_map<const jit::Block*, LastUses> last_uses_;
  bool writes_ = false;                  // whether forward writes in place anywhere: only then views matter
  std::vector<Known> alive_;             // whose tensors the next two have for keys
  std::map<const void*, View> views_;    // by the tensor that is a view
  std::map<const void*, Known> newest_;  // by a tensor that was written to: what it is now
  const std::string& file_;
  std::shared_ptr<jit::Graph> graph_;
  Program program_;
  std::unordered_map<const jit::Value*, Known> known_;
  std::map<PlaceInMemory, ValueId> parameters_;
  std::map<PlaceInMemory, std::string> names_;  // of all parameters of the model
  std::set<std::string> trained_;
};

}  // namespace

Program specialise(const torch::jit::Module& original, const torch::jit::Module& frozen,
                   const std::array<Batch, 2>& batches, const std::vector<Argument>& arguments,
                   const OutputPath& output, const std::string& file) {
  return Specialiser(original, frozen, batches, arguments, file).run(output);
}

}  // namespace incite
