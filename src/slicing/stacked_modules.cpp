#include "slicing/stacked_modules.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>

#include "program/convolution.hpp"
#include "program/executor.hpp"

namespace incite {
namespace {

constexpr double most_difference = 1e-4;  // relative, to the modules run one by one
constexpr int64_t checked_rows = 8;       // of tails

/// There is no such form.
class Unstackable : public std::runtime_error {
 public:
  explicit Unstackable(const std::string& what) : std::runtime_error(what) {}
};

/// With zeros behind it along each axis, up to these sizes.
at::Tensor filled_up(const at::Tensor& tensor, const std::vector<int64_t>& sizes, double with = 0) {
  std::vector<int64_t> padding;  // the last axis first
  for (int64_t axis = tensor.dim() - 1; axis >= 0; --axis) {
    const int64_t more = sizes[static_cast<size_t>(axis)] - tensor.size(axis);
    if (more < 0) throw Unstackable("a weight is wider than what it reads");
    padding.insert(padding.end(), {0, more});
  }
  const bool fits = std::all_of(padding.begin(), padding.end(), [](int64_t more) { return more == 0; });
  return fits ? tensor : at::constant_pad_nd(tensor, padding, with);
}

bool same_structure(const Program& a, const Program& b) {
  return a.values.size() == b.values.size() && a.inputs == b.inputs && a.output == b.output &&
         std::equal(a.nodes.begin(), a.nodes.end(), b.nodes.begin(), b.nodes.end(), [](const Node& x, const Node& y) {
           return x.op == y.op && x.overload == y.overload && x.inputs == y.inputs && x.outputs == y.outputs;
         });
}

/// Operations on each channel by itself, whose other inputs are constants.
bool is_channelwise(const std::string& op) {
  static const std::set<std::string> ops = {"aten::relu",
                                            "aten::relu6",
                                            "aten::tanh",
                                            "aten::sigmoid",
                                            "aten::hardtanh",
                                            "aten::hardswish",
                                            "aten::hardsigmoid",
                                            "aten::silu",
                                            "aten::gelu",
                                            "aten::elu",
                                            "aten::leaky_relu",
                                            "aten::clamp",
                                            "aten::dropout",
                                            "aten::alias",
                                            "aten::contiguous",
                                            "aten::max_pool2d",
                                            "aten::avg_pool2d",
                                            "aten::max_pool1d",
                                            "aten::avg_pool1d",
                                            "aten::adaptive_avg_pool2d",
                                            "aten::adaptive_max_pool2d"};
  return ops.count(op) > 0;
}

}  // namespace

StackedValue stacked(const std::vector<at::Tensor>& of_modules) {
  StackedValue made;
  int64_t room = 0;
  for (const at::Tensor& own : of_modules) {
    made.widths.push_back(own.size(1));
    room = std::max(room, own.size(1));
  }
  std::vector<at::Tensor> filled;
  for (const at::Tensor& own : of_modules) {
    std::vector<int64_t> sizes = own.sizes().vec();
    sizes[1] = room;
    filled.push_back(filled_up(own, sizes));
  }
  made.values = at::cat(filled, 1);
  return made;
}

/// One run: what the modules share, and what is side by side.
class StackedModules::Run {
 public:
  explicit Run(const StackedModules& of)
      : modules_(of.modules_), first_(*of.modules_.front()), shared_(of.shared_), last_reads_(of.last_reads_) {}

  void start(const Batch& batch) { environment_ = shared_.start(batch); }
  void start(const Tail& tail, const std::vector<StackedValue>& inputs) {
    environment_ = shared_.resume({});
    for (size_t i = 0; i < inputs.size(); ++i)
      stacked_[tail.reads[i]] = inputs[i];
  }

  void run_node(NodeId number) {
    const Node& node = first_.node(number);
    if (reads_parameters(node) ||
        std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) { return stacked_.count(id) > 0; })) {
      stacked_[node.outputs.at(0)] = run_stacked(number);
    } else {
      shared_.run_node(environment_, number);
    }
    for (const ValueId id : node.inputs) {
      if (last_reads_[at_index(id)] != number || id == first_.output) continue;
      stacked_.erase(id);
      if (first_.is_computed(id)) environment_[at_index(id)] = c10::IValue();
    }
  }

  std::vector<at::Tensor> outputs() const {
    const auto found = stacked_.find(first_.output);
    if (found == stacked_.end()) throw Unstackable("the output does not depend on the weights");
    const StackedValue& all = found->second;
    std::vector<at::Tensor> own;
    for (int64_t m = 0; m < all.modules(); ++m)
      own.push_back(all.values.narrow(1, m * all.room(), all.widths[static_cast<size_t>(m)]));
    return own;
  }

 private:
  // ---- Inputs -------------------------------------------------------------------------------------------------------

  bool reads_parameters(const Node& node) const {
    return std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) { return first_.is_parameter(id); });
  }

  const StackedValue& stacked_at(ValueId id) const {
    const auto found = stacked_.find(id);
    if (found == stacked_.end()) throw Unstackable("expected a value of each module");
    return found->second;
  }

  std::vector<at::Tensor> tensors(ValueId id) const {
    std::vector<at::Tensor> all;
    for (const Program* module : modules_) {
      const c10::IValue& content = module->value(id).content;
      if (!content.isTensor() || !content.toTensor().defined()) throw Unstackable("expected a weight");
      all.push_back(content.toTensor());
    }
    return all;
  }

  bool is_none(ValueId id) const { return first_.is_constant(id) && first_.value(id).content.isNone(); }

  /// What a node does with `value` in place of its first input; all else that it reads must be the same in all modules.
  at::Tensor applied(NodeId number, const at::Tensor& value) const {
    const Node& node = first_.node(number);
    std::vector<c10::IValue> inputs = {value};
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      const ValueId id = node.inputs[i];
      if (!first_.is_constant(id) || first_.value(id).content.isTensor()) throw Unstackable(node.op);
      for (const Program* module : modules_) {
        if (!(module->value(id).content == first_.value(id).content)) throw Unstackable(node.op);
      }
      inputs.push_back(first_.value(id).content);
    }
    return shared_.apply(number, std::move(inputs))[0].toTensor();
  }

  // ---- Operations ---------------------------------------------------------------------------------------------------

  StackedValue run_stacked(NodeId number) const {
    const Node& node = first_.node(number);
    if (node.outputs.size() != 1) throw Unstackable(node.op);
    if (is_convolution(node.op)) return convolution(number);
    if (node.op == "aten::linear") return linear(node);
    if (node.op == "aten::batch_norm") return batch_norm(node);
    if (node.op == "aten::add" || node.op == "aten::mul") return of_two(number);
    if (node.op == "aten::flatten" || node.op == "aten::reshape" || node.op == "aten::view") return flat(node);
    if (node.op == "aten::mean") return mean(number);
    if (node.op == "aten::softmax" || node.op == "aten::log_softmax") return softmax(node);
    if (!is_channelwise(node.op)) throw Unstackable(node.op);
    const StackedValue& x = stacked_at(node.inputs[0]);
    return {applied(number, x.values), x.widths};
  }

  /// Weights filled up to the widest module's rows and, where `columns` >= 0, to so many columns: [modules · rows,
  /// ...].
  at::Tensor weights(ValueId id, int64_t columns, std::vector<int64_t>& widths) const {
    const std::vector<at::Tensor> all = tensors(id);
    widths.clear();
    int64_t rows = 0;
    for (const at::Tensor& own : all) {
      widths.push_back(own.size(0));
      rows = std::max(rows, own.size(0));
    }
    std::vector<at::Tensor> filled;
    for (const at::Tensor& own : all) {
      std::vector<int64_t> sizes = own.sizes().vec();
      sizes[0] = rows;
      if (columns >= 0) sizes[1] = columns;
      filled.push_back(filled_up(own, sizes));
    }
    return at::cat(filled);
  }

  /// Of each channel one, filled up to so many.
  at::Tensor by_channel(ValueId id, int64_t room, double with = 0) const {
    if (is_none(id)) return {};
    std::vector<at::Tensor> filled;
    for (const at::Tensor& own : tensors(id))
      filled.push_back(filled_up(own, {room}, with));
    return at::cat(filled);
  }

  StackedValue convolution(NodeId number) const {
    const Node& node = first_.node(number);
    const std::optional<Convolution> known = convolution_of(first_, node);
    if (!known || known->transposed || node.op == "aten::convolution" || !known->groups.isInt())
      throw Unstackable(node.op);
    const auto modules = static_cast<int64_t>(modules_.size());
    const bool depthwise = known->groups.toInt() > 1;
    std::vector<c10::IValue> inputs;
    for (const ValueId id : node.inputs)
      inputs.push_back(first_.value(id).content);
    StackedValue made;
    const auto found = stacked_.find(node.inputs[0]);
    if (found == stacked_.end()) {
      if (depthwise) throw Unstackable("groups of an input that modules share");
      inputs[0] = environment_[at_index(node.inputs[0])];
      inputs[1] = weights(node.inputs[1], -1, made.widths);
    } else {
      const StackedValue& x = found->second;
      inputs[0] = x.values;
      inputs[1] = weights(node.inputs[1], depthwise ? 1 : x.room(), made.widths);
      for (const Program* module : modules_) {
        const at::Tensor weight = module->value(node.inputs[1]).content.toTensor();
        const c10::IValue& groups = module->value(node.inputs[known->groups_input]).content;
        if (depthwise && (weight.size(1) != 1 || groups != c10::IValue(weight.size(0))))
          throw Unstackable("groups of several channels");
      }
      inputs[known->groups_input] = depthwise ? x.values.size(1) : modules;
    }
    const at::Tensor weight = inputs[1].toTensor();
    if (weight.dim() == 4) inputs[1] = weight.contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor bias = by_channel(node.inputs[2], weight.size(0) / modules);
    inputs[2] = bias.defined() ? c10::IValue(bias) : c10::IValue();
    made.values = shared_.apply(number, std::move(inputs))[0].toTensor();
    return made;
  }

  StackedValue linear(const Node& node) const {
    const auto modules = static_cast<int64_t>(modules_.size());
    StackedValue made;
    const auto found = stacked_.find(node.inputs[0]);
    if (found == stacked_.end()) {
      const at::Tensor x = environment_[at_index(node.inputs[0])].toTensor();
      if (x.dim() != 2) throw Unstackable("a linear layer at positions");
      const at::Tensor weight = weights(node.inputs[1], -1, made.widths);
      made.values = at::linear(x, weight, by_channel(node.inputs[2], weight.size(0) / modules));
      return made;
    }
    const StackedValue& x = found->second;
    if (x.values.dim() != 2) throw Unstackable("a linear layer at positions");
    const at::Tensor weight = weights(node.inputs[1], x.room(), made.widths).view({modules, -1, x.room()});
    const at::Tensor of_modules = x.values.view({-1, modules, x.room()}).transpose(0, 1);
    at::Tensor y = at::bmm(of_modules, weight.transpose(1, 2)).transpose(0, 1).flatten(1);
    const at::Tensor bias = by_channel(node.inputs[2], weight.size(1));
    made.values = bias.defined() ? y + bias : y;
    return made;
  }

  StackedValue batch_norm(const Node& node) const {
    const StackedValue& x = stacked_at(node.inputs[0]);
    const auto constant = [&](size_t input) { return first_.value(node.inputs[input]).content; };
    if (!constant(5).isBool() || constant(5).toBool() || !constant(7).isDouble()) throw Unstackable("batch statistics");
    const at::Tensor values =
        at::batch_norm(x.values, by_channel(node.inputs[1], x.room()), by_channel(node.inputs[2], x.room()),
                       by_channel(node.inputs[3], x.room()), by_channel(node.inputs[4], x.room(), 1),
                       /*training=*/false, /*momentum=*/0, constant(7).toDouble(), /*cudnn_enabled=*/false);
    return {values, x.widths};
  }

  /// A sum or product of two values of each module, or of one and a number.
  StackedValue of_two(NodeId number) const {
    const Node& node = first_.node(number);
    const StackedValue& a = stacked_at(node.inputs[0]);
    const auto found = stacked_.find(node.inputs[1]);
    if (found == stacked_.end()) return {applied(number, a.values), a.widths};
    const StackedValue& b = found->second;
    const bool plain = node.inputs.size() == 2 || first_.value(node.inputs[2]).content == c10::IValue(1);
    if (a.values.sizes() != b.values.sizes() || a.widths != b.widths || !plain) throw Unstackable(node.op);
    return {node.op == "aten::add" ? a.values + b.values : a.values * b.values, a.widths};
  }

  /// Of channels and positions, one axis.
  StackedValue flat(const Node& node) const {
    const StackedValue& x = stacked_at(node.inputs[0]);
    const auto constant = [&](size_t input) { return first_.value(node.inputs[input]).content; };
    const bool flattens = node.op == "aten::flatten"
                              ? constant(1) == c10::IValue(1) &&
                                    (constant(2) == c10::IValue(-1) || constant(2) == c10::IValue(x.values.dim() - 1))
                              : constant(1).isIntList() && constant(1).toIntList().size() == 2;
    if (!flattens) throw Unstackable(node.op);
    const int64_t positions = x.values.dim() > 2 ? c10::multiply_integers(x.values.sizes().slice(2)) : 1;
    std::vector<int64_t> widths;
    for (const int64_t width : x.widths)
      widths.push_back(width * positions);
    return {x.values.flatten(1), std::move(widths)};
  }

  StackedValue mean(NodeId number) const {
    const Node& node = first_.node(number);
    const StackedValue& x = stacked_at(node.inputs[0]);
    const c10::IValue axes = node.inputs.size() > 1 ? first_.value(node.inputs[1]).content : c10::IValue();
    if (!axes.isIntList()) throw Unstackable("a mean over all");
    for (const int64_t axis : axes.toIntVector()) {
      if ((axis < 0 ? axis + x.values.dim() : axis) < 2) throw Unstackable("a mean over channels");
    }
    return {applied(number, x.values), x.widths};
  }

  StackedValue softmax(const Node& node) const {
    const StackedValue& x = stacked_at(node.inputs[0]);
    const c10::IValue axis = first_.value(node.inputs[1]).content;
    const bool last = axis == c10::IValue(1) || axis == c10::IValue(-1);
    const bool full = std::all_of(x.widths.begin(), x.widths.end(), [&](int64_t width) { return width == x.room(); });
    if (!last || !full || x.values.dim() != 2) throw Unstackable(node.op);
    const at::Tensor own = x.values.view({-1, x.modules(), x.room()});
    const at::Tensor y = node.op == "aten::softmax" ? own.softmax(2) : own.log_softmax(2);
    return {y.flatten(1), x.widths};
  }

  const std::vector<const Program*>& modules_;
  const Program& first_;
  const Executor& shared_;
  const std::vector<NodeId>& last_reads_;
  Environment environment_;                  // what all modules share
  std::map<ValueId, StackedValue> stacked_;  // what each has of its own
};

StackedModules::StackedModules(const std::vector<const Program*>& modules)
    : modules_(modules), shared_(*modules.front()), last_reads_(modules.front()->values.size(), -1) {
  const std::vector<Node>& nodes = modules.front()->nodes;
  for (size_t n = 0; n < nodes.size(); ++n) {
    for (const ValueId id : nodes[n].inputs)
      last_reads_[at_index(id)] = static_cast<NodeId>(n);
  }
}

std::unique_ptr<StackedModules> StackedModules::of(const std::vector<const Program*>& modules, const Batch& batch) {
  return checked(
      modules, [&](const StackedModules& made) { return made(batch); },
      [&](size_t m) { return Executor(*modules[m])(batch); });
}

std::unique_ptr<StackedModules> StackedModules::of_tails(const std::vector<const Program*>& modules,
                                                         const std::vector<const TailData*>& tails) {
  const Tail& tail = tails.front()->tail;
  for (const TailData* one : tails) {
    const bool along_rows =
        std::all_of(one->tail.axes.begin(), one->tail.axes.end(), [](int64_t axis) { return axis == 0; }) &&
        std::all_of(one->inputs.begin(), one->inputs.end(), [](const at::Tensor& input) { return input.dim() > 1; });
    if (one->tail.nodes != tail.nodes || one->tail.reads != tail.reads || !along_rows) return nullptr;
  }
  const int64_t count = std::min(tails.front()->inputs.front().size(0), checked_rows);
  std::vector<TailData> few;
  for (const TailData* one : tails) {
    few.push_back({one->tail, {}});
    for (const at::Tensor& input : one->inputs)
      few.back().inputs.push_back(input.narrow(0, 0, count));
  }
  return checked(
      modules,
      [&](const StackedModules& made) {
        std::vector<const TailData*> all;
        for (const TailData& one : few)
          all.push_back(&one);
        return made.run_tail(tail, stacked_inputs(all));
      },
      [&](size_t m) {
        return incite::run_tail(Executor(*modules[m]), few[m].tail, few[m].inputs, modules[m]->output);
      });
}

std::unique_ptr<StackedModules> StackedModules::checked(
    const std::vector<const Program*>& modules,
    const std::function<std::vector<at::Tensor>(const StackedModules&)>& together,
    const std::function<at::Tensor(size_t)>& alone) {
  for (const Program* module : modules) {
    if (!same_structure(*modules.front(), *module)) return nullptr;
  }
  const at::NoGradGuard no_grad;
  std::unique_ptr<StackedModules> made(new StackedModules(modules));
  std::vector<at::Tensor> found;
  try {
    found = together(*made);
  } catch (const std::exception&) {  // Unstackable, or what PyTorch says of shapes that do not fit
    return nullptr;
  }
  for (size_t m = 0; m < modules.size(); ++m) {
    const at::Tensor expected = alone(m);
    if (found[m].sizes() != expected.sizes()) return nullptr;
    const double scale = std::max(expected.abs().max().item<double>(), 1e-30);
    if (!((found[m] - expected).abs().max().item<double>() <= most_difference * scale)) return nullptr;
  }
  return made;
}

std::vector<at::Tensor> StackedModules::operator()(const Batch& batch) const {
  Run run(*this);
  run.start(batch);
  for (size_t node = 0; node < modules_.front()->nodes.size(); ++node)
    run.run_node(static_cast<NodeId>(node));
  return run.outputs();
}

std::vector<at::Tensor> StackedModules::run_tail(const Tail& tail, const std::vector<StackedValue>& inputs) const {
  Run run(*this);
  run.start(tail, inputs);
  for (const NodeId node : tail.nodes)
    run.run_node(node);
  return run.outputs();
}

std::vector<StackedValue> stacked_inputs(const std::vector<const TailData*>& tails) {
  std::vector<StackedValue> inputs;
  for (size_t i = 0; i < tails.front()->inputs.size(); ++i) {
    std::vector<at::Tensor> of_modules;
    for (const TailData* one : tails)
      of_modules.push_back(one->inputs[i]);
    inputs.push_back(stacked(of_modules));
  }
  return inputs;
}

}  // namespace incite
