// Rules of operations that move elements and change none, and of those that put tensors together.

#include <ATen/ATen.h>

#include <algorithm>

#include "base/fail.hpp"
#include "units/rules.hpp"

namespace incite::rules {
namespace {

bool whole_number(const c10::IValue& argument) {
  return argument.isInt();
}

/// Axes along which the sizes of input and output differ: there an operation takes or repeats something.
std::vector<int64_t> changed_axes(Analysis& a) {
  const auto& from = a.input_shape(0);
  const auto& to = a.shape(a.node().outputs[0]);
  std::vector<int64_t> axes;
  const size_t more = to.size() - std::min(to.size(), from.size());
  for (size_t axis = 0; axis < from.size(); ++axis) {
    if (axis + more >= to.size() || from[axis] != to[axis + more]) axes.push_back(static_cast<int64_t>(axis));
  }
  return axes;
}

/// The list of tensors that `cat` and `stack` read.
std::vector<Place> tensors(Analysis& a) {
  return a.list_elements(0);
}

/// Ties labelled tensors along `axis`, the one along which their labels vary and which is not that of the
/// concatenation, and cuts fixed ones.
void tie_along(Analysis& a, const std::vector<Place>& elements, int64_t axis) {
  Flow first;
  for (const Place& element : elements) {
    const Flow& flow = a.flow(a.value_at(element));
    if (!flow.defined()) continue;
    if (!first.defined()) first = flow;
    a.tie(first, flow, PinReason::none);
  }
  for (const Place& element : elements) {
    const ValueId value = a.value_at(element);
    if (a.flow(value).defined()) continue;
    if (a.can_bind(element)) {
      a.bind(element, axis, labels_of(first));
    } else {
      a.pin(first, PinReason::none);
    }
  }
}

/// The axis beside `along` to which all labels of the elements can be settled; -1 where there is none.
int64_t common_axis(Analysis& a, const std::vector<Place>& elements, int64_t along) {
  int64_t axis = -1;
  for (const Place& element : elements) {
    const ValueId value = a.value_at(element);
    if (!a.flow(value).defined()) continue;
    if (!a.settle_beside(value, {along})) return -1;
    const std::vector<int64_t> axes = axes_of(a.flow(value));
    if (axes.size() != 1 || (axis >= 0 && axes[0] != axis)) return -1;
    axis = axes[0];
  }
  return axis;
}

}  // namespace

void move_freely(Analysis& a) {
  a.move({});
}

/// Pixel shuffles: channels become pixels or pixels channels, so many to one, whatever the number of channels.
void pixel_shuffle(Analysis& a) {
  a.move({}, true);
}

/// x[start:end:step] along one dimension; a slice that takes all is none.
void slice(Analysis& a) {
  if (!whole_number(a.constant(1))) return a.pin_inputs(PinReason::unknown);
  const int64_t axis = from_front(a.integer(1), a.input_rank(0));
  const bool all = a.input_shape(0) == a.shape(a.node().outputs[0]);
  a.move(all ? std::vector<int64_t>{} : std::vector<int64_t>{axis});
}

void repeat(Analysis& a) {
  a.move(changed_axes(a));
}

/// squeeze of named dimensions: one that is cut may not be taken away because it came to size 1.
void squeeze(Analysis& a) {
  const std::vector<int64_t> over =
      a.node().inputs.size() < 2 ? std::vector<int64_t>{} : dimensions(a.constant(1), a.input_rank(0));
  if (!a.input_flow(0).defined()) return;
  if (over.empty()) return a.pin_inputs(PinReason::layout);
  a.move(over);
}

/// view, reshape, expand: the size of the labelled axis shrinks with it.
void resize(Analysis& a) {
  if (!a.input_flow(0).defined()) return;
  if (!a.constant(1).isIntList()) return a.pin_inputs(PinReason::unknown);
  a.move({});
  a.add_size(1, 0, a.node().outputs[0]);
}

/// unflatten(x, dimension, sizes)
void unflatten(Analysis& a) {
  if (!a.input_flow(0).defined()) return;
  if (!whole_number(a.constant(1)) || !a.constant(2).isIntList()) return a.pin_inputs(PinReason::unknown);
  a.move({});
  a.add_size(2, from_front(a.integer(1), a.input_rank(0)), a.node().outputs[0]);
}

/// expand_as(x, other): element-wise, but the values are those of x alone.
void expand_as(Analysis& a) {
  a.set_output(tie_elementwise(a, {a.place(0), a.place(1)}, a.shape(a.node().outputs[0])));
}

/// chunk, split, split_with_sizes: a list of parts along a dimension.
void split(Analysis& a) {
  if (!a.input_flow(0).defined()) return;
  if (!whole_number(a.constant(2))) return a.pin_inputs(PinReason::unknown);
  a.move({from_front(a.integer(2), a.input_rank(0))});
}

void unbind(Analysis& a) {
  if (!a.input_flow(0).defined()) return;
  a.move({from_front(a.integer(1), a.input_rank(0))});
}

void unpack(Analysis& a) {
  a.unpack();
}

void concatenate(Analysis& a) {
  const std::vector<Place> elements = tensors(a);
  if (elements.empty()) return a.pin_inputs(PinReason::unknown);
  const ValueId output = a.node().outputs[0];
  const int64_t along = from_front(a.integer(1), a.rank(output));
  bool beside = false;
  bool any = false;
  for (const Place& element : elements) {
    const Flow& flow = a.flow(a.value_at(element));
    any = any || flow.defined();
    for (const int64_t axis : axes_of(flow))
      beside = beside || axis != along;
  }
  if (!any) return;
  if (beside) {
    const int64_t axis = common_axis(a, elements, along);
    if (axis < 0) return a.pin_inputs(PinReason::axes);
    tie_along(a, elements, axis);
    for (const Place& element : elements) {
      if (a.flow(a.value_at(element)).defined()) return a.set_output(a.flow(a.value_at(element)));
    }
    return;
  }
  std::vector<int32_t> labels;
  for (const Place& element : elements) {
    const ValueId value = a.value_at(element);
    const int64_t size = a.size(value, along);
    std::vector<int32_t> own = labels_of(a.flow(value));
    if (own.size() != static_cast<size_t>(size)) own.assign(static_cast<size_t>(size), own.empty() ? no_unit : own[0]);
    labels.insert(labels.end(), own.begin(), own.end());
  }
  a.set_output(flow_along(a.rank(output), along, labels));
}

/// Tensors of one shape along a new dimension: those at the same place are tied.
void stack(Analysis& a) {
  const std::vector<Place> elements = tensors(a);
  if (elements.empty()) return a.pin_inputs(PinReason::unknown);
  const int64_t axis = common_axis(a, elements, -1);
  if (axis < 0) return a.pin_inputs(PinReason::axes);
  tie_along(a, elements, axis);
  const ValueId output = a.node().outputs[0];
  const int64_t along = from_front(a.integer(1), a.rank(output));
  for (const Place& element : elements) {
    if (!a.flow(a.value_at(element)).defined()) continue;
    return a.set_output(a.flow(a.value_at(element)).unsqueeze(along));
  }
}

/// pad(x, [before and after of the last axis, of the one before, …], mode or value): zeros beside labels belong to no
/// unit; other ways of padding must keep off the labelled axis.
void pad(Analysis& a) {
  const ValueId x = a.node().inputs[0];
  if (!a.flow(x).defined()) return;
  if (!a.constant(1).isIntList()) return a.pin_inputs(PinReason::unknown);
  const std::vector<int64_t> sizes = a.constant(1).toIntVector();
  const int64_t rank = a.input_rank(0);
  std::vector<int64_t> padded;
  for (size_t i = 0; i + 1 < sizes.size(); i += 2) {
    if (sizes[i] != 0 || sizes[i + 1] != 0) padded.push_back(rank - 1 - static_cast<int64_t>(i / 2));
  }
  const bool zeros =
      a.node().op == "aten::constant_pad_nd" || (a.constant(2).isString() && a.constant(2).toStringRef() == "constant");
  const std::vector<int64_t> axes = axes_of(a.flow(x));
  const bool along = axes.size() == 1 && std::find(padded.begin(), padded.end(), axes[0]) != padded.end();
  if (!zeros || !along) {
    if (labelled_beside(a, x, padded)) a.set_output(a.flow(x));
    return;
  }
  const auto first = static_cast<size_t>(2 * (rank - 1 - axes[0]));
  if (sizes[first] < 0 || sizes[first + 1] < 0) return a.pin_inputs(PinReason::layout);
  std::vector<int32_t> labels(static_cast<size_t>(sizes[first]), no_unit);
  const std::vector<int32_t> own = labels_of(a.flow(x));
  labels.insert(labels.end(), own.begin(), own.end());
  labels.resize(labels.size() + static_cast<size_t>(sizes[first + 1]), no_unit);
  a.set_output(flow_along(rank, axes[0], labels));
}

/// slice_scatter and select_scatter(x, part, dimension, …): a part of x is replaced along one dimension. Labels along
/// others are tied.
void scatter(Analysis& a) {
  const int64_t rank = a.input_rank(0);
  const int64_t along = from_front(a.integer(2), rank);
  const ValueId x = a.node().inputs[0];
  const ValueId part = a.node().inputs[1];
  if (a.rank(part) != rank) {  // select has taken the dimension away
    if (!labelled_beside(a, x, {along})) return a.pin_inputs(PinReason::layout);
    const Flow flow = a.flow(part);
    if (flow.defined() != a.flow(x).defined()) return a.pin_inputs(PinReason::none);
    if (!flow.defined()) return;
    a.tie(a.flow(x), flow.unsqueeze(along), PinReason::none);
    return a.set_output(a.flow(x));
  }
  if (!labelled_beside(a, x, {along}) || !labelled_beside(a, part, {along})) return a.pin_inputs(PinReason::layout);
  a.set_output(tie_elementwise(a, {a.place(0), a.place(1)}, a.shape(a.node().outputs[0])));
}

}  // namespace incite::rules
