// What each operation does to labels: its row in the table at the end says it.
// An operation without a row pins what it reads: never a wrong module, at worst a larger one.

#include "units/rules.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <unordered_map>

#include "base/fail.hpp"

namespace incite {
namespace rules {

std::vector<int64_t> dimensions(const c10::IValue& argument, int64_t rank) {
  std::vector<int64_t> named;
  if (argument.isInt()) named = {argument.toInt()};
  if (argument.isIntList()) named = argument.toIntVector();
  for (int64_t& dimension : named)
    dimension = from_front(dimension, rank);
  return named;
}

bool labelled_along(Analysis& a, ValueId value, int64_t axis, PinReason reason) {
  if (!a.flow(value).defined()) return true;
  const std::vector<int64_t> axes = axes_of(a.flow(value));
  if (std::find(axes.begin(), axes.end(), axis) == axes.end()) {
    a.pin(a.flow(value), reason);
    return false;
  }
  if (axes.size() > 1) a.settle(value, axis);
  return true;
}

bool labelled_beside(Analysis& a, ValueId value, const std::vector<int64_t>& axes) {
  const auto mixed = [&] {
    const std::vector<int64_t> varies = axes_of(a.flow(value));
    return std::any_of(varies.begin(), varies.end(),
                       [&](int64_t axis) { return std::find(axes.begin(), axes.end(), axis) != axes.end(); });
  };
  if (!mixed()) return true;
  if (a.settle_beside(value, axes) && !mixed()) return true;
  a.pin(a.flow(value), PinReason::reduced);
  return false;
}

namespace {

// ---- Element-wise -------------------------------------------------------------------------------------------------

void nothing(Analysis& /*a*/) {}

void pass(Analysis& a) {
  a.set_outputs(a.input_flow(0));
}

/// Per-channel parameters: inputs 1 to `count`, one element a channel.
void per_channel(Analysis& a, size_t count) {
  const ValueId x = a.node().inputs[0];
  if (!a.flow(x).defined()) return;
  if (!labelled_along(a, x, 1, PinReason::axis)) return;
  const std::vector<int32_t> labels = labels_of(a.flow(x));
  for (size_t i = 1; i <= count; ++i) {
    if (a.has_input(i) && !a.can_bind(a.place(i))) return a.pin_inputs(PinReason::computed);
  }
  for (size_t i = 1; i <= count; ++i) {
    if (a.has_input(i) && a.input_shape(i) == std::vector<int64_t>{static_cast<int64_t>(labels.size())}) {
      a.bind(a.place(i), 0, labels);
    }
  }
  pass(a);
}

void batch_norm(Analysis& a) {
  per_channel(a, 4);
}

void prelu(Analysis& a) {
  if (a.can_bind(a.place(1)) && a.input_shape(1) == std::vector<int64_t>{1}) return pass(a);
  per_channel(a, 1);
}

/// All channels of a group are one unit, and the number of groups shrinks with them.
void group_norm(Analysis& a) {
  const ValueId x = a.node().inputs[0];
  if (!a.flow(x).defined()) return;
  if (!labelled_along(a, x, 1, PinReason::axis)) return;
  const std::vector<int32_t> labels = labels_of(a.flow(x));
  const auto channels = static_cast<int64_t>(labels.size());
  const int64_t groups = a.integer(1);
  if (groups == 1) return a.pin_inputs(PinReason::reduced);
  for (int64_t i = 0; i < channels; ++i) {
    const int64_t first = i / (channels / groups) * (channels / groups);
    a.tie(labels[static_cast<size_t>(first)], labels[static_cast<size_t>(i)], PinReason::grouped);
  }
  for (const size_t i : {2, 3}) {
    if (!a.has_input(i)) continue;
    if (!a.can_bind(a.place(i))) return a.pin_inputs(PinReason::computed);
    a.bind(a.place(i), 0, labels);
  }
  pass(a);
  a.add_size(1, -1, a.node().outputs[0]);
}

/// Normalises over the last dimensions: labels beside them pass.
void layer_norm(Analysis& a) {
  const int64_t rank = a.input_rank(0);
  const auto count = static_cast<int64_t>(a.constant(1).toIntVector().size());
  std::vector<int64_t> over;
  for (int64_t axis = rank - count; axis < rank; ++axis)
    over.push_back(axis);
  if (labelled_beside(a, a.node().inputs[0], over)) pass(a);
}

/// The inputs that are tensors, tied.
void elementwise(Analysis& a) {
  std::vector<Place> places;
  for (size_t i = 0; i < a.node().inputs.size(); ++i) {
    if (a.is_tensor(i)) places.push_back(a.place(i));
  }
  a.set_output(tie_elementwise(a, places, a.shape(a.node().outputs[0])));
}

/// Gated linear unit: the second half of a dimension gates the first.
void glu(Analysis& a) {
  const Flow x = a.input_flow(0);
  if (!x.defined()) return;
  const int64_t dimension = from_front(a.integer(1), a.input_rank(0));
  if (x.size(dimension) == 1) return pass(a);
  const int64_t half = x.size(dimension) / 2;
  a.tie(x.narrow(dimension, 0, half), x.narrow(dimension, half, half), PinReason::gate);
  a.set_output(x.narrow(dimension, 0, half));
}

// ---- Reductions ---------------------------------------------------------------------------------------------------

/// Pooling, interpolation and the like over the last `spatial` dimensions.
template <int64_t spatial>
void pool(Analysis& a) {
  std::vector<int64_t> over;
  for (int64_t axis = a.input_rank(0) - spatial; axis < a.input_rank(0); ++axis)
    over.push_back(axis);
  if (labelled_beside(a, a.node().inputs[0], over)) pass(a);
}

/// Reduces over the dimensions that input `argument` names; all where it names none.
template <size_t argument>
void reduce(Analysis& a) {
  const ValueId x = a.node().inputs[0];
  if (a.node().inputs.size() == 2 && a.is_tensor(1)) return elementwise(a);  // max(x, y)
  if (!a.flow(x).defined()) return;
  const int64_t rank = a.input_rank(0);
  const ValueId output = a.node().outputs[0];
  std::vector<int64_t> over;
  if (a.node().inputs.size() > argument) over = dimensions(a.constant(argument), rank);
  if (over.empty() || (a.rank(output) != rank && a.rank(output) != rank - static_cast<int64_t>(over.size()))) {
    return a.pin_inputs(PinReason::reduced);
  }
  if (!labelled_beside(a, x, over)) return;
  Flow flow = a.flow(x);
  if (a.rank(output) != rank) {
    std::sort(over.rbegin(), over.rend());
    for (const int64_t axis : over)
      flow = flow.select(axis, 0);
  }
  a.set_outputs(flow);
}

/// Mixes along the dimension that input 1 names and keeps the shape: labels pass, but those along it are pinned. So a
/// head's labels come through a softmax.
void mix(Analysis& a) {
  labelled_beside(a, a.node().inputs[0], {from_front(a.integer(1), a.input_rank(0))});
  pass(a);
}

/// Mixes along the dimension that input 1 names, each position in its own way.
void accumulate(Analysis& a) {
  if (labelled_beside(a, a.node().inputs[0], {from_front(a.integer(1), a.input_rank(0))})) pass(a);
}

/// A size that is computed when the program runs: of an axis that is cut it would be another one.
void size(Analysis& a) {
  const Flow& x = a.input_flow(0);
  if (!x.defined()) return;
  const bool one = a.node().inputs.size() > 1 && a.constant(1).isInt();
  if (one && x.size(from_front(a.integer(1), a.input_rank(0))) == 1) return;
  a.pin(x, PinReason::size);
}

/// One tensor on its way through an element-wise operation.
struct Operand {
  Place place;
  Flow flow;  // aligned to the result's rank
  std::vector<int64_t> shape;
  bool fixed;
};

bool includes(const std::vector<int64_t>& all, const std::vector<int64_t>& some) {
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

/// Cuts a fixed operand along the one axis along which the result's labels vary, where it is not broadcast.
void fit(Analysis& a, const Operand& operand, const Flow& flow, int64_t axis) {
  if (operand.shape[static_cast<size_t>(axis)] == 1) return;
  const auto missing = static_cast<int64_t>(operand.shape.size()) - a.rank(a.value_at(operand.place));
  a.bind(operand.place, axis - missing, labels_of(flow));
}

}  // namespace

Flow tie_elementwise(Analysis& a, const std::vector<Place>& places, const std::vector<int64_t>& shape) {
  const auto rank = static_cast<int64_t>(shape.size());
  std::vector<Operand> operands;
  for (const Place& place : places) {
    const ValueId value = a.value_at(place);
    Operand operand{place, aligned(a.flow(value), rank), a.shape(value), a.is_fixed(value)};
    operand.shape.insert(operand.shape.begin(), static_cast<size_t>(rank) - operand.shape.size(), 1);
    if (is_single(operand.flow)) {  // one unit over many positions: tied to none of them
      a.pin(operand.flow, PinReason::broadcast);
      operand.flow = Flow();
    }
    operands.push_back(std::move(operand));
  }
  const auto owner = std::max_element(operands.begin(), operands.end(), [](const Operand& x, const Operand& y) {
    return axes_of(x.flow).size() < axes_of(y.flow).size();
  });
  if (owner == operands.end() || !owner->flow.defined()) return {};
  Flow flow = owner->flow;
  for (const Operand& operand : operands) {
    if (!includes(axes_of(flow), axes_of(operand.flow))) {
      a.pin_inputs(PinReason::axes);
      return {};
    }
  }
  for (const Operand& operand : operands)
    a.tie(flow, operand.flow, PinReason::none);

  for (const Operand& operand : operands) {
    if (operand.flow.defined()) continue;
    std::vector<int64_t> spanned;
    for (const int64_t axis : axes_of(flow)) {
      if (operand.shape[static_cast<size_t>(axis)] > 1) spanned.push_back(axis);
    }
    if (spanned.empty()) continue;
    if (!operand.fixed) {  // what comes from no unit can't be removed with one
      a.pin(flow, PinReason::none);
      continue;
    }
    if (axes_of(flow).size() > 1) {
      // The labels must vary along one axis before a fixed operand can be cut: best one that it does not span.
      const ValueId value = a.value_at(owner->place);
      const int64_t missing = rank - a.rank(value);
      for (int64_t& axis : spanned)
        axis -= missing;
      if (!a.settle_beside(value, spanned)) a.settle_beside(value, {});
      flow = aligned(a.flow(value), rank);
    }
    if (axes_of(flow).size() == 1) fit(a, operand, flow, axes_of(flow)[0]);
  }
  return flow;
}

namespace {

/// How an operation treats positions along the labelled axis, for the analysis' current node. Where its labels come out
/// otherwise than they went in, whoever uses that sees it by the labels.
using LocalityOf = Locality (*)(const Analysis&);

template <Locality locality>
Locality always(const Analysis& /*analysis*/) {
  return locality;
}
constexpr LocalityOf mixing = always<Locality::mixing>;
constexpr LocalityOf by_element = always<Locality::elementwise>;
constexpr LocalityOf by_channel = always<Locality::per_channel>;
constexpr LocalityOf one_input = always<Locality::one_input>;

/// max(x, y) is no reduction.
Locality of_reduction(const Analysis& a) {
  return a.node().inputs.size() == 2 && a.is_tensor(1) ? Locality::elementwise : Locality::one_input;
}

/// What takes some positions along the dimension that input 1 names leaves others apart.
Locality of_selection(const Analysis& a) {
  const std::vector<int64_t> along = dimensions(a.constant(1), a.input_rank(0));
  const std::vector<int64_t> labelled = axes_of(a.input_flow(0));
  const bool apart = along.size() == 1 && std::find(labelled.begin(), labelled.end(), along[0]) == labelled.end();
  return apart ? Locality::one_input : Locality::mixing;
}

/// Whose labels a rule looks at. Those of the other inputs are pinned before it.
enum class Reads : uint8_t { first, all };

/// What is known of some operations.
struct Row {
  std::vector<const char*> operations;
  Rule rule;
  LocalityOf locality;
  Reads reads;
};

const std::vector<Row>& rows() {
  static const std::vector<Row> all = {
      {{"aten::linear"}, linear, mixing, Reads::first},
      {{"aten::conv1d", "aten::conv2d", "aten::conv3d", "aten::_convolution_mode", "aten::_convolution",
        "aten::convolution", "aten::conv_transpose1d", "aten::conv_transpose2d", "aten::conv_transpose3d"},
       convolution,
       mixing,
       Reads::first},
      {{"aten::embedding"}, embedding, mixing, Reads::first},
      {{"aten::lstm"}, lstm, mixing, Reads::all},
      {{"aten::gru"}, gru, mixing, Reads::all},
      {{"aten::rnn_tanh", "aten::rnn_relu"}, simple_recurrent, mixing, Reads::all},
      {{"aten::matmul", "aten::mm", "aten::bmm"}, matmul, mixing, Reads::all},
      {{"aten::baddbmm"}, baddbmm, mixing, Reads::all},
      {{"aten::einsum"}, einsum, mixing, Reads::all},
      {{"aten::scaled_dot_product_attention"}, attention, mixing, Reads::all},
      {{"aten::batch_norm", "aten::instance_norm"}, batch_norm, by_channel, Reads::first},
      {{"aten::group_norm"}, group_norm, mixing, Reads::first},
      {{"aten::layer_norm", "aten::rms_norm"}, layer_norm, mixing, Reads::first},
      {{"aten::prelu"}, prelu, by_channel, Reads::first},
      {{"aten::glu"}, glu, mixing, Reads::first},
      {{"aten::softmax", "aten::log_softmax"}, mix, mixing, Reads::first},
      {{"aten::cumsum", "aten::cumprod"}, accumulate, one_input, Reads::first},
      {{"aten::linalg_vector_norm", "aten::norm"}, reduce<2>, one_input, Reads::first},
      {{"aten::cat", "aten::concat", "aten::concatenate"}, concatenate, mixing, Reads::all},
      {{"aten::stack"}, stack, mixing, Reads::all},
      {{"aten::pad", "aten::constant_pad_nd"}, pad, one_input, Reads::first},
      {{"aten::slice_scatter", "aten::select_scatter"}, scatter, mixing, Reads::all},
      {{"aten::pixel_shuffle", "aten::pixel_unshuffle"}, pixel_shuffle, mixing, Reads::first},
      {{"aten::slice"}, slice, of_selection, Reads::first},
      {{"aten::select", "aten::narrow", "aten::index_select", "aten::flip"}, move_along<1>, of_selection, Reads::first},
      {{"aten::repeat_interleave", "aten::roll"}, move_along<2>, mixing, Reads::first},
      {{"aten::repeat", "aten::tile"}, repeat, mixing, Reads::first},
      {{"aten::squeeze"}, squeeze, one_input, Reads::first},
      {{"aten::view", "aten::reshape", "aten::expand"}, resize, mixing, Reads::first},
      {{"aten::unflatten"}, unflatten, mixing, Reads::first},
      {{"aten::expand_as"}, expand_as, mixing, Reads::all},
      {{"aten::chunk", "aten::split", "aten::split_with_sizes", "aten::tensor_split"}, split, mixing, Reads::first},
      {{"aten::unbind"}, unbind, mixing, Reads::first},
      {{"aten::size", "aten::numel"}, size, mixing, Reads::first},
      {{"prim::ListUnpack"}, unpack, mixing, Reads::all},
      {{"prim::ListConstruct", "prim::TupleConstruct"}, nothing, mixing, Reads::all},
      {{"aten::mean", "aten::sum", "aten::amax", "aten::amin", "aten::max", "aten::min", "aten::std", "aten::var",
        "aten::logsumexp", "aten::prod", "aten::median"},
       reduce<1>,
       of_reduction,
       Reads::all},
      {{"aten::avg_pool1d", "aten::max_pool1d", "aten::adaptive_avg_pool1d", "aten::adaptive_max_pool1d",
        "aten::max_pool1d_with_indices", "aten::upsample_nearest1d", "aten::upsample_linear1d",
        "aten::reflection_pad1d", "aten::replication_pad1d"},
       pool<1>,
       one_input,
       Reads::first},
      {{"aten::avg_pool2d", "aten::max_pool2d", "aten::adaptive_avg_pool2d", "aten::adaptive_max_pool2d",
        "aten::max_pool2d_with_indices", "aten::upsample_nearest2d", "aten::upsample_bilinear2d",
        "aten::upsample_bicubic2d", "aten::_upsample_bilinear2d_aa", "aten::reflection_pad2d",
        "aten::replication_pad2d"},
       pool<2>,
       one_input,
       Reads::first},
      {{"aten::avg_pool3d", "aten::max_pool3d", "aten::adaptive_avg_pool3d", "aten::adaptive_max_pool3d",
        "aten::max_pool3d_with_indices", "aten::upsample_nearest3d", "aten::upsample_trilinear3d",
        "aten::reflection_pad3d", "aten::replication_pad3d"},
       pool<3>,
       one_input,
       Reads::first},
      {{"aten::permute", "aten::transpose", "aten::t", "aten::flatten", "aten::unsqueeze", "aten::contiguous",
        "aten::clone", "aten::movedim", "aten::moveaxis", "aten::swapaxes", "aten::swapdims", "aten::numpy_T"},
       move_freely,
       one_input,
       Reads::first},
      {{"aten::relu",        "aten::relu6",      "aten::tanh",        "aten::sigmoid",     "aten::gelu",
        "aten::silu",        "aten::mish",       "aten::elu",         "aten::selu",        "aten::celu",
        "aten::leaky_relu",  "aten::hardtanh",   "aten::hardswish",   "aten::hardsigmoid", "aten::softplus",
        "aten::log_sigmoid", "aten::softsign",   "aten::hardshrink",  "aten::softshrink",  "aten::tanhshrink",
        "aten::threshold",   "aten::abs",        "aten::neg",         "aten::exp",         "aten::expm1",
        "aten::log",         "aten::log1p",      "aten::sqrt",        "aten::rsqrt",       "aten::square",
        "aten::reciprocal",  "aten::erf",        "aten::sin",         "aten::cos",         "aten::atan",
        "aten::round",       "aten::floor",      "aten::ceil",        "aten::sign",        "aten::detach",
        "aten::to",          "aten::alias",      "aten::type_as",     "aten::zeros_like",  "aten::ones_like",
        "aten::full_like",   "aten::empty_like", "aten::logical_not", "aten::bitwise_not", "aten::exp2",
        "aten::isnan",       "aten::nan_to_num", "aten::zero",        "aten::fill",        "aten::rrelu",
        "aten::float"},
       pass,
       by_element,
       Reads::first},
      {{"aten::add",         "aten::sub",        "aten::rsub",        "aten::mul",         "aten::div",
        "aten::pow",         "aten::maximum",    "aten::minimum",     "aten::atan2",       "aten::where",
        "aten::masked_fill", "aten::gt",         "aten::lt",          "aten::ge",          "aten::le",
        "aten::eq",          "aten::ne",         "aten::clamp",       "aten::clamp_min",   "aten::clamp_max",
        "aten::addcmul",     "aten::addcdiv",    "aten::lerp",        "aten::logical_and", "aten::logical_or",
        "aten::fmod",        "aten::remainder",  "aten::hypot",       "aten::copy",        "aten::multiply",
        "aten::divide",      "aten::subtract",   "aten::true_divide", "aten::__and__",     "aten::__or__",
        "aten::bitwise_and", "aten::bitwise_or", "aten::floor_divide"},
       elementwise,
       by_element,
       Reads::all},
  };
  return all;
}

/// The row of an operation; null where there is none.
const Row* row_of(const std::string& op) {
  static const std::unordered_map<std::string, const Row*> by_operation = [] {
    std::unordered_map<std::string, const Row*> made;
    for (const Row& row : rows()) {
      for (const char* operation : row.operations)
        INCITE_ASSERT(made.emplace(operation, &row).second);
    }
    return made;
  }();
  const auto found = by_operation.find(op);
  return found == by_operation.end() ? nullptr : found->second;
}

}  // namespace
}  // namespace rules

bool has_rule(const std::string& op) {
  return rules::row_of(op) != nullptr;
}

bool apply_rule(Analysis& analysis) {
  const rules::Row* row = rules::row_of(analysis.node().op);
  if (row == nullptr) return false;
  if (row->reads == rules::Reads::first) {
    for (size_t i = 1; i < analysis.node().inputs.size(); ++i)
      analysis.pin(analysis.input_flow(i), PinReason::computed);
  }
  analysis.set_locality(row->locality(analysis));
  row->rule(analysis);
  return true;
}

}  // namespace incite
