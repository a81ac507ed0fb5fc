#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace incite {

/// Which label each element of a value carries: int32 on the CPU, of the value's rank, and of size 1 along the axes
/// along which labels do not vary. -1 is no label. Undefined: the value has no labels at all.
using Flow = at::Tensor;

/// The flow of `labels`, which are given element by element (or along some axes alone).
Flow compressed(at::Tensor labels);

/// Labels along one axis.
Flow flow_along(int64_t rank, int64_t axis, const std::vector<int32_t>& labels);

/// Axes along which labels vary, ascending.
std::vector<int64_t> axes_of(const Flow& flow);

/// Whether one label, and not -1, is that of every element.
bool is_single(const Flow& flow);

/// The labels of a flow, row by row. Of one that varies along one axis: by position along it.
std::vector<int32_t> labels_of(const Flow& flow);

/// The flow for a rank of `rank`, to which the value is broadcast: axes of size 1 are put in front.
Flow aligned(const Flow& flow, int64_t rank);

/// Positions 0, 1, … of a flow's labels, for each element of a value of `shape`: int32, contiguous.
at::Tensor positions_of(const Flow& flow, const std::vector<int64_t>& shape);

}  // namespace incite
