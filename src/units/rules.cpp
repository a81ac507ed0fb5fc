// What each operation does to labels: one row of the table below an operation.
// An operation without a row pins what it reads: never a wrong module, at worst a larger one.

#include <algorithm>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "analysis.hpp"
#include "incite/base/error.hpp"

namespace incite {
namespace {

using Rule = void (*)(Analysis&);

int64_t from_end(int64_t axis, int64_t rank) {
  return axis < 0 ? axis + rank : axis;
}

/// Dimensions that an argument names (an integer or a list of them), counted from the front.
std::vector<int64_t> dimensions(const c10::IValue& argument, int64_t rank) {
  std::vector<int64_t> named;
  if (argument.isInt()) named = {argument.toInt()};
  if (argument.isIntList()) named = argument.toIntVector();
  for (int64_t& dimension : named)
    dimension = from_end(dimension, rank);
  return named;
}

// ---- Producers ----------------------------------------------------------------------------------------------------

/// Binds what a producer's weight reads to its input's labels; pins labels that lie along another axis.
void read(Analysis& a, int64_t channel_axis, size_t weight_input, int64_t weight_dimension) {
  const Labels& x = a.input_labels(0);
  if (x.empty()) return;
  if (x.axis != channel_axis) return a.pin(x, "axis");
  a.add_reader(0);
  a.bind(weight_input, weight_dimension, x.units);
}

/// The channels that a producer makes: a layer's where its weight is trained, else none.
Labels produce(Analysis& a, size_t weight_input, int64_t weight_dimension, size_t bias_input, int64_t axis) {
  Labels made = a.add_layer(weight_input, weight_dimension, bias_input, axis);
  a.bind(weight_input, weight_dimension, made.units);
  if (a.has_input(bias_input)) {
    if (a.can_bind(bias_input)) {
      a.bind(bias_input, 0, made.units);
    } else {
      a.pin(made, "computed");
    }
  }
  return made;
}

void linear(Analysis& a) {
  if (!a.can_bind(1) || a.rank(a.node().inputs[1]) != 2) return a.pin_inputs("computed");
  const int64_t axis = a.rank(a.node().inputs[0]) - 1;
  read(a, axis, 1, 1);
  a.set_output(produce(a, 1, 0, 2, axis));
}

/// A convolution in groups: all channels that one group reads and all that it makes are one unit, but each channel of a
/// depthwise one.
void grouped_convolution(Analysis& a, int64_t groups, size_t groups_input) {
  Labels made = produce(a, 1, 0, 2, 1);
  const Labels& x = a.input_labels(0);
  const auto reads = a.shape(a.node().inputs[0])[1] / groups;
  const auto makes = static_cast<int64_t>(made.units.size()) / groups;
  const bool labelled = !x.empty() && x.axis == 1;
  if (!labelled) a.pin(x, "axis");
  for (int64_t g = 0; g < groups; ++g) {
    const int32_t first = made.units[static_cast<size_t>(g * makes)];
    for (int64_t i = 1; i < makes; ++i)
      a.tie(first, made.units[static_cast<size_t>(g * makes + i)], "grouped");
    for (int64_t i = 0; i < reads; ++i) {
      a.tie(first, labelled ? x.units[static_cast<size_t>(g * reads + i)] : no_unit, "grouped");
    }
  }
  a.add_reader(0);
  a.set_output(std::move(made));
  a.add_size(groups_input, -1, a.node().outputs[0]);
}

void convolve(Analysis& a, int64_t groups, size_t groups_input, bool transposed) {
  const ValueId weight = a.node().inputs[1];
  if (!a.can_bind(1)) return a.pin_inputs("computed");
  if (a.rank(a.node().inputs[0]) != a.rank(weight)) return a.pin_inputs("unbatched");
  if (groups == 1) {
    read(a, 1, 1, transposed ? 0 : 1);
    return a.set_output(produce(a, 1, transposed ? 1 : 0, 2, 1));
  }
  if (transposed) return a.pin_inputs("grouped");
  grouped_convolution(a, groups, groups_input);
}

void convolution(Analysis& a) {
  convolve(a, a.integer(6), 6, false);
}
void transposed_convolution(Analysis& a) {
  convolve(a, a.integer(6), 6, true);
}
void general_convolution(Analysis& a) {
  convolve(a, a.integer(8), 8, a.constant(6).toBool());
}

// ---- Element-wise -------------------------------------------------------------------------------------------------

void pass(Analysis& a) {
  a.set_output(a.input_labels(0));
}

/// Per-channel parameters: inputs 1 to `count`, one element a channel.
void per_channel(Analysis& a, size_t count) {
  const Labels& x = a.input_labels(0);
  if (x.empty()) return;
  if (x.axis != 1) return a.pin_inputs("axis");
  for (size_t i = 1; i <= count; ++i) {
    if (!a.has_input(i)) continue;
    if (!a.can_bind(i)) return a.pin_inputs("computed");
  }
  for (size_t i = 1; i <= count; ++i) {
    if (a.has_input(i) && a.shape(a.node().inputs[i]) == std::vector<int64_t>{static_cast<int64_t>(x.units.size())}) {
      a.bind(i, 0, x.units);
    }
  }
  pass(a);
}

void batch_norm(Analysis& a) {
  per_channel(a, 4);
}
void prelu(Analysis& a) {
  if (a.can_bind(1) && a.shape(a.node().inputs[1]) == std::vector<int64_t>{1}) return pass(a);
  per_channel(a, 1);
}

/// Labels of one operand against the other's: what a binary operation's output carries.
void broadcast(Analysis& a) {
  const ValueId output = a.node().outputs[0];
  const int64_t rank = a.rank(output);
  Labels made;
  size_t owner = 0;
  for (size_t i = 0; i < 2; ++i) {
    if (!a.is_tensor(i) || a.input_labels(i).empty()) continue;
    Labels labels = a.input_labels(i);
    labels.axis += rank - a.rank(a.node().inputs[i]);
    const bool stretched =
        static_cast<int64_t>(labels.units.size()) != a.shape(output)[static_cast<size_t>(labels.axis)];
    if (stretched) {  // one unit over many positions: tied to none of them
      a.pin(labels, "broadcast");
    } else if (made.empty()) {
      made = std::move(labels);
      owner = i;
    } else if (made.axis != labels.axis) {
      return a.pin_inputs("axes");
    } else {
      for (size_t j = 0; j < labels.units.size(); ++j)
        a.tie(made.units[j], labels.units[j], "none");
    }
  }
  if (made.empty()) return;
  const size_t other = 1 - owner;
  if (a.is_tensor(other) && a.input_labels(other).empty()) {
    const ValueId value = a.node().inputs[other];
    const int64_t dimension = made.axis - (rank - a.rank(value));
    const bool spans = dimension >= 0 && a.shape(value)[static_cast<size_t>(dimension)] > 1;
    if (spans && a.can_bind(other)) {
      a.bind(other, dimension, made.units);
    } else if (spans) {
      a.pin(made, "none");  // what comes from no unit can't be removed with one
    }
  }
  a.set_output(std::move(made));
}

// ---- Reductions ---------------------------------------------------------------------------------------------------

/// Pooling over the last `spatial` dimensions.
template <int64_t spatial>
void pool(Analysis& a) {
  const Labels& x = a.input_labels(0);
  if (x.empty()) return;
  if (x.axis >= a.rank(a.node().inputs[0]) - spatial) return a.pin_inputs("reduced");
  pass(a);
}

/// mean, sum, amax, … over the dimensions that input 1 names, which input 2 keeps or not.
void reduce(Analysis& a) {
  Labels x = a.input_labels(0);
  if (x.empty()) return;
  const int64_t rank = a.rank(a.node().inputs[0]);
  const auto over = a.node().inputs.size() < 3 ? std::vector<int64_t>{} : dimensions(a.constant(1), rank);
  if (over.empty() || std::find(over.begin(), over.end(), x.axis) != over.end()) return a.pin_inputs("reduced");
  if (!a.constant(2).isBool()) return a.pin_inputs("unknown");
  if (!a.constant(2).toBool()) {
    x.axis -= std::count_if(over.begin(), over.end(), [&](int64_t dimension) { return dimension < x.axis; });
  }
  a.set_output(std::move(x));
}

/// Softmax: mixes along the dimension that input 1 names. Labels pass, so that the output's are known, but are pinned.
void softmax(Analysis& a) {
  const Labels& x = a.input_labels(0);
  if (!x.empty() && from_end(a.integer(1), a.rank(a.node().inputs[0])) == x.axis) a.pin(x, "reduced");
  pass(a);
}

// ---- Layout -------------------------------------------------------------------------------------------------------

/// Runs the operation on positions. `whole`: the labelled axis must come through as it is, since a part of it can't be
/// taken once it is cut.
std::vector<Labels> moved(Analysis& a, bool whole) {
  const Labels& x = a.input_labels(0);
  std::vector<Labels> outputs = a.move_positions();
  bool sound = true;
  for (Labels& labels : outputs) {
    sound = sound && !labels.empty();
    if (whole) {
      sound =
          sound && labels.units.size() == x.units.size() && std::is_sorted(labels.units.begin(), labels.units.end());
    }
    for (int32_t& unit : labels.units)
      unit = x.units[static_cast<size_t>(unit)];
  }
  if (sound) return outputs;
  a.pin(x, "layout");
  for (Labels& labels : outputs)
    labels = {};
  return outputs;
}

template <bool whole>
void layout(Analysis& a) {
  if (a.input_labels(0).empty()) return;
  a.set_output(moved(a, whole)[0]);
}

/// squeeze of a named dimension other than the labelled one, which may shrink to size 1 when it is cut.
void squeeze(Analysis& a) {
  const Labels& x = a.input_labels(0);
  if (x.empty()) return;
  const int64_t rank = a.rank(a.node().inputs[0]);
  const auto over = a.node().inputs.size() < 2 ? std::vector<int64_t>{} : dimensions(a.constant(1), rank);
  if (over.empty() || std::find(over.begin(), over.end(), x.axis) != over.end()) return a.pin_inputs("layout");
  layout<false>(a);
}

/// chunk, split, unbind: a list of parts.
void parts(Analysis& a) {
  if (!a.input_labels(0).empty()) a.set_list_labels(a.node().outputs[0], moved(a, true));
}

void unpack(Analysis& a) {
  const auto* labels = a.list_labels(a.node().inputs[0]);
  if (labels == nullptr) return;
  for (size_t i = 0; i < a.node().outputs.size(); ++i)
    a.set_labels(a.node().outputs[i], (*labels)[i]);
}

/// view, reshape, expand: the size of the labelled axis shrinks with it.
void resize(Analysis& a) {
  if (!a.constant(1).isIntList()) return a.pin_inputs("unknown");
  layout<false>(a);
  const ValueId output = a.node().outputs[0];
  const Labels& labels = a.labels(output);
  if (labels.empty()) return;
  const auto sizes = a.constant(1).toIntVector();
  if (sizes[static_cast<size_t>(labels.axis)] >= 0) a.add_size(1, labels.axis, output);
}

void concatenate(Analysis& a) {
  const auto& elements = a.list_elements(a.node().inputs[0]);
  if (elements.empty()) return a.pin_inputs("unknown");
  const ValueId output = a.node().outputs[0];
  const int64_t along = from_end(a.integer(1), a.rank(output));
  int64_t axis = -1;
  for (const ValueId element : elements) {
    const Labels& labels = a.labels(element);
    if (labels.empty()) continue;
    if (axis >= 0 && labels.axis != axis) return a.pin_inputs("axes");
    axis = labels.axis;
  }
  if (axis < 0) return;
  Labels made;
  made.axis = axis;
  for (const ValueId element : elements) {
    std::vector<int32_t> units = a.labels(element).units;
    if (units.empty()) units.assign(static_cast<size_t>(a.shape(element)[static_cast<size_t>(axis)]), no_unit);
    if (axis == along) {
      made.units.insert(made.units.end(), units.begin(), units.end());
    } else if (made.units.empty()) {
      made.units = std::move(units);
    } else {
      for (size_t i = 0; i < units.size(); ++i)
        a.tie(made.units[i], units[i], "none");
    }
  }
  a.set_output(std::move(made));
}

/// Shapes, lists and integers carry no labels.
void nothing(Analysis& /*a*/) {}

const std::unordered_map<std::string, Rule>& rules() {
  static const std::unordered_map<std::string, Rule> table = [] {
    std::unordered_map<std::string, Rule> rows = {
        {"aten::linear", linear},
        {"aten::conv1d", convolution},
        {"aten::conv2d", convolution},
        {"aten::conv3d", convolution},
        {"aten::_convolution", general_convolution},
        {"aten::conv_transpose1d", transposed_convolution},
        {"aten::conv_transpose2d", transposed_convolution},
        {"aten::conv_transpose3d", transposed_convolution},
        {"aten::batch_norm", batch_norm},
        {"aten::instance_norm", batch_norm},
        {"aten::prelu", prelu},
        {"aten::softmax", softmax},
        {"aten::log_softmax", softmax},
        {"aten::avg_pool1d", pool<1>},
        {"aten::max_pool1d", pool<1>},
        {"aten::adaptive_avg_pool1d", pool<1>},
        {"aten::adaptive_max_pool1d", pool<1>},
        {"aten::avg_pool2d", pool<2>},
        {"aten::max_pool2d", pool<2>},
        {"aten::adaptive_avg_pool2d", pool<2>},
        {"aten::avg_pool3d", pool<3>},
        {"aten::max_pool3d", pool<3>},
        {"aten::adaptive_avg_pool3d", pool<3>},
        {"aten::mean", reduce},
        {"aten::sum", reduce},
        {"aten::amax", reduce},
        {"aten::amin", reduce},
        {"aten::cat", concatenate},
        {"aten::concat", concatenate},
        {"aten::squeeze", squeeze},
        {"aten::view", resize},
        {"aten::reshape", resize},
        {"aten::expand", resize},
        {"aten::chunk", parts},
        {"aten::split", parts},
        {"aten::split_with_sizes", parts},
        {"aten::unbind", parts},
        {"prim::ListUnpack", unpack},
        {"prim::ListConstruct", nothing},
        {"prim::NumToTensor", nothing},
        {"aten::size", nothing},
        {"aten::Int", nothing},
    };
    for (const char* op : {"aten::permute", "aten::transpose", "aten::t", "aten::flatten", "aten::unsqueeze",
                           "aten::contiguous", "aten::clone", "aten::movedim", "aten::numpy_T"}) {
      rows[op] = layout<false>;
    }
    for (const char* op : {"aten::slice", "aten::select", "aten::narrow", "aten::flip", "aten::roll"})
      rows[op] = layout<true>;
    for (const char* op :
         {"aten::relu",        "aten::relu6",    "aten::tanh",       "aten::sigmoid",     "aten::gelu",
          "aten::silu",        "aten::mish",     "aten::elu",        "aten::selu",        "aten::celu",
          "aten::leaky_relu",  "aten::hardtanh", "aten::hardswish",  "aten::hardsigmoid", "aten::softplus",
          "aten::log_sigmoid", "aten::softsign", "aten::hardshrink", "aten::softshrink",  "aten::tanhshrink",
          "aten::threshold",   "aten::clamp",    "aten::clamp_min",  "aten::clamp_max",   "aten::abs",
          "aten::neg",         "aten::exp",      "aten::expm1",      "aten::log",         "aten::log1p",
          "aten::sqrt",        "aten::rsqrt",    "aten::square",     "aten::reciprocal",  "aten::erf",
          "aten::sin",         "aten::cos",      "aten::atan",       "aten::round",       "aten::floor",
          "aten::ceil",        "aten::sign",     "aten::detach",     "aten::to",          "aten::alias"}) {
      rows[op] = pass;
    }
    for (const char* op : {"aten::add", "aten::sub", "aten::rsub", "aten::mul", "aten::div", "aten::pow",
                           "aten::maximum", "aten::minimum", "aten::atan2"}) {
      rows[op] = broadcast;
    }
    return rows;
  }();
  return table;
}

}  // namespace

bool apply_rule(Analysis& analysis) {
  const auto row = rules().find(analysis.node().op);
  if (row == rules().end()) return false;
  row->second(analysis);
  return true;
}

}  // namespace incite
