#include "program/specialise.hpp"

#include <torch/csrc/jit/passes/inliner.h>

#include <algorithm>

#include "program/specialiser.hpp"

namespace incite {
namespace {

constexpr int64_t longest_loop = 10'000;  // trips unrolled; more is surely not meant to be straight-line code

}  // namespace

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

Specialiser::Specialiser(const jit::Module& original, const jit::Module& frozen, const std::array<Batch, 2>& batches,
                         const std::vector<Argument>& arguments, const std::string& file)
    : batch_sizes_{batches[0].samples(), batches[1].samples()},
      file_(file),
      graph_(frozen.get_method("forward").graph()->copy()) {
  jit::Inline(*graph_);
  writes_ = any_writes(graph_->block());
  program_.device = batches[0].device();
  INCITE_ASSERT(graph_->inputs().size() == arguments.size() + 1);
  for (const auto& parameter : original.named_parameters()) {
    trained_.insert(parameter.name);
    if (parameter.value.numel() > 0) names_.emplace(place_in_memory(parameter.value), parameter.name);
  }
  frozen_ = trained_.empty();
  keys_ = trained_;
  for (const auto& buffer : original.named_buffers())
    keys_.insert(buffer.name);
  separate_equal_constants();

  Known self;
  self.type = graph_->inputs()[0]->type();
  self.at[0] = self.at[1] = c10::IValue(frozen._ivalue());
  known_[graph_->inputs()[0]] = self;

  for (size_t i = 0; i < arguments.size(); ++i)
    known_[graph_->inputs()[i + 1]] = argument(arguments[i], batches);
}

Program Specialiser::run(const ItemPath& path) {
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

Known Specialiser::argument(const Argument& argument, const std::array<Batch, 2>& batches) {
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

Known Specialiser::item(Known& whole, const std::string& name) {
  const auto elements = elements_of(whole);
  INCITE_ASSERT(elements != nullptr);
  const auto names = whole.keys ? item_names(*whole.keys) : item_names(whole.type, elements->size());
  const auto found = std::find(names.begin(), names.end(), name);
  INCITE_ASSERT(found != names.end());
  Known& chosen = (*elements)[static_cast<size_t>(found - names.begin())];
  return chosen.stale.empty() ? chosen : current(chosen, graph_->return_node());
}

void Specialiser::refuse(const jit::Node* node, const std::string& why) const {
  fail(ExitCode::unsupported, "{}: {}: {}", file_, source_of(node), why);
}

Known& Specialiser::use(const jit::Value* value, const jit::Node* reader) {
  Known& known = known_.at(value);
  if (!known.stale.empty()) known = current(known, reader);
  return known;
}

// ---- Emitting

ValueId Specialiser::operand(Known& known) {
  if (known.elements) return emit_container(known);
  if (known.emitted >= 0) return known.emitted;
  c10::IValue content = known.at[0];
  if (content.isTensor() && content.toTensor().defined()) content = content.toTensor().detach().clone();
  const ValueId id = program_.add_constant(std::move(content));
  program_.value(id).type = known.type;
  return id;
}

bool Specialiser::constant(const Known& known) {
  if (known.elements) return std::all_of(known.elements->begin(), known.elements->end(), constant);
  return known.emitted < 0;
}

ValueId Specialiser::emit_container(Known& known) {
  if (constant(known) && !known.type->isSubtypeOf(*c10::ListType::ofTensors())) {
    const ValueId id = program_.add_constant(materialise(known, 0));
    program_.value(id).type = known.type;
    return id;
  }
  std::vector<ValueId> inputs;
  for (size_t i = 0; i < known.elements->size(); ++i) {
    if (known.keys) inputs.push_back(program_.add_constant((*known.keys)[i]));
    inputs.push_back(operand((*known.elements)[i]));
  }
  return program_.append(make_container(known.type, std::move(inputs), program_.add_computed(known.type), ""));
}

c10::IValue Specialiser::materialise(const Known& known, int s) const {
  if (!known.elements) return known.at[static_cast<size_t>(s)];
  std::vector<c10::IValue> items;
  for (size_t i = 0; i < known.elements->size(); ++i) {
    if (known.keys) items.push_back((*known.keys)[i]);
    items.push_back(materialise((*known.elements)[i], s));
  }
  construct(known.type, items.size())(items);
  return items[0];
}

// ---- Interpreting

void Specialiser::run_block(const jit::Block* block) {
  const auto& dying = last_uses(block);
  for (const jit::Node* node : block->nodes()) {
    run_node(node);
    if (const auto dead = dying.find(node); dead != dying.end()) {
      for (const jit::Value* value : dead->second)
        known_.erase(value);
    }
  }
}

const Specialiser::LastUses& Specialiser::last_uses(const jit::Block* block) {
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

void Specialiser::run_node(const jit::Node* node) {
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

void Specialiser::set(const jit::Value* value, Known known) {
  if (!known.type) known.type = value->type();
  known_[value] = std::move(known);
}

void Specialiser::run_constant(const jit::Node* node) {
  Known known;
  const auto content = jit::toIValue(node->output());
  if (!content) return set(node->output(), std::move(known));  // a function, whose calls are inlined
  for (auto& at : known.at) {
    // Each run has its own copy: it may be written to in place.
    at = content->isTensor() && content->toTensor().defined() ? c10::IValue(content->toTensor().clone()) : *content;
  }
  known.type = node->output()->type();
  name_parameters(known);
  if (content->isTensor() && content->toTensor().defined()) {
    alive_.push_back(known);  // its copy's address is a key
    stored_.emplace(identity(known), content->toTensor());
  }
  set(node->output(), std::move(known));
}

void Specialiser::run_get_attribute(const jit::Node* node) {
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

Specialiser::PlaceInMemory Specialiser::place_in_memory(const at::Tensor& tensor) {
  return {tensor.data_ptr(), tensor.sizes().vec(), tensor.strides().vec()};
}

void Specialiser::name_parameters(Known& list) {
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

ValueId Specialiser::parameter(const std::string& path, const at::Tensor& tensor) {
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

bool Specialiser::condition(const jit::Value* value, const jit::Node* node, const char* what) {
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

void Specialiser::run_if(const jit::Node* node) {
  const jit::Block* taken = node->blocks()[condition(node->input(), node, "a branch") ? 0 : 1];
  run_block(taken);
  for (size_t i = 0; i < node->outputs().size(); ++i)
    set(node->output(i), use(taken->outputs()[i], node));
}

void Specialiser::run_loop(const jit::Node* node) {
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

Program specialise(const torch::jit::Module& original, const torch::jit::Module& frozen,
                   const std::array<Batch, 2>& batches, const std::vector<Argument>& arguments, const ItemPath& output,
                   const std::string& file) {
  return Specialiser(original, frozen, batches, arguments, file).run(output);
}

}  // namespace incite
