#include "units/flow.hpp"

#include <ATen/ATen.h>

namespace incite {

Flow compressed(at::Tensor labels) {
  if (!labels.defined() || labels.numel() == 0) return {};
  for (int64_t axis = 0; axis < labels.dim(); ++axis) {
    if (labels.size(axis) == 1) continue;
    const at::Tensor first = labels.narrow(axis, 0, 1);
    if (labels.equal(first.expand_as(labels))) labels = first;
  }
  if (labels.numel() == 1 && labels.item<int32_t>() < 0) return {};
  return labels.contiguous();
}

Flow flow_along(int64_t rank, int64_t axis, const std::vector<int32_t>& labels) {
  std::vector<int64_t> shape(static_cast<size_t>(rank), 1);
  shape[static_cast<size_t>(axis)] = static_cast<int64_t>(labels.size());
  return at::tensor(labels, at::kInt).view(shape);
}

std::vector<int64_t> axes_of(const Flow& flow) {
  std::vector<int64_t> axes;
  if (!flow.defined()) return axes;
  for (int64_t axis = 0; axis < flow.dim(); ++axis) {
    if (flow.size(axis) > 1) axes.push_back(axis);
  }
  return axes;
}

bool is_single(const Flow& flow) {
  return flow.defined() && flow.numel() == 1;
}

std::vector<int32_t> labels_of(const Flow& flow) {
  if (!flow.defined()) return {};
  const at::Tensor line = flow.contiguous();
  return {line.data_ptr<int32_t>(), line.data_ptr<int32_t>() + line.numel()};
}

Flow aligned(const Flow& flow, int64_t rank) {
  if (!flow.defined()) return flow;
  std::vector<int64_t> shape(static_cast<size_t>(rank - flow.dim()), 1);
  shape.insert(shape.end(), flow.sizes().begin(), flow.sizes().end());
  return flow.view(shape);
}

at::Tensor positions_of(const Flow& flow, const std::vector<int64_t>& shape) {
  return at::arange(flow.numel(), at::kInt).view(flow.sizes()).expand(shape).contiguous();
}

}  // namespace incite
