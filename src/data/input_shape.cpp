#include "data/input_shape.hpp"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "base/axes.hpp"
#include "base/fail.hpp"

namespace incite {
namespace {

using Sizes = std::vector<int64_t>;

Sizes sample_shape(const at::Tensor& input) {
  return input.sizes().slice(1).vec();
}

Sizes without_ones(const Sizes& sizes) {
  Sizes rest;
  std::copy_if(sizes.begin(), sizes.end(), std::back_inserter(rest), [](int64_t size) { return size != 1; });
  return rest;
}

/// Whether one shape becomes the other by splitting axes and merging neighbours alone. Both have as many elements, and
/// no axis of size 1.
bool keeps_order(const Sizes& from, const Sizes& to) {
  size_t i = 0, j = 0;
  while (i < from.size() && j < to.size()) {
    int64_t of_from = from[i++], of_to = to[j++];
    size_t axes_from = 1, axes_to = 1;
    while (of_from != of_to) {
      if (of_from < of_to) {
        of_from *= from[i++];
        ++axes_from;
      } else {
        of_to *= to[j++];
        ++axes_to;
      }
    }
    if (axes_from > 1 && axes_to > 1) return false;
  }
  return true;
}

/// The order of axes that a shape asks for, where it is another than theirs; nothing where a reshape will do.
std::optional<AxisOrder> order_asked_for(const Sizes& stored, const Sizes& shape) {
  const Sizes wanted = without_ones(shape);
  if (keeps_order(without_ones(stored), wanted)) return std::nullopt;
  Sizes batch = {1};
  batch.insert(batch.end(), stored.begin(), stored.end());
  Sizes whole = {1};
  whole.insert(whole.end(), shape.begin(), shape.end());
  const std::vector<AxisOrder> orders = axis_orders(static_cast<int64_t>(batch.size()));
  const auto first = [&](const auto& fits) -> std::optional<AxisOrder> {
    const auto found = std::find_if(orders.begin(), orders.end(), fits);
    return found == orders.end() ? std::nullopt : std::optional(*found);
  };
  if (const auto exact = first([&](const AxisOrder& order) { return in_order(batch, order) == whole; })) return exact;
  return first([&](const AxisOrder& order) { return keeps_order(without_ones(in_order(batch, order)), wanted); });
}

void check_order(const at::Tensor& input, const Sizes& shape, const std::string& name) {
  const auto order = order_asked_for(sample_shape(input), shape);
  if (!order) return;
  const bool channels_last = is_image(input) && moves_last_axis(*order);
  fail(ExitCode::data_mismatch,
       "{}: each sample has shape [{}]; --input-shape {} has these axes in another order, and reshaping would mix up "
       "the values. Transpose the array, {}{}.",
       name, fmt::join(sample_shape(input), ", "), fmt::join(shape, ","), transpose_text(*order),
       channels_last ? ", or pass --input-layout nhwc" : "");
}

at::Tensor with_shape(const at::Tensor& input, const Sizes& shape, const std::string& name) {
  if (shape.empty()) return input;
  const int64_t elements = input.numel() / input.size(0);
  int64_t wanted = 1;
  bool fits = true;
  for (const int64_t extent : shape)
    fits = fits && extent > 0 && !__builtin_mul_overflow(wanted, extent, &wanted);
  if (!fits || wanted != elements) {
    fail(ExitCode::data_mismatch,
         "{}: each sample has shape [{}], {} elements; expected as many as in [{}]. Change the input shape.", name,
         fmt::join(sample_shape(input), ", "), elements, fmt::join(shape, ", "));
  }
  check_order(input, shape, name);
  Sizes whole = {input.size(0)};
  whole.insert(whole.end(), shape.begin(), shape.end());
  return input.view(whole);
}

}  // namespace

bool is_image(const at::Tensor& input) {
  return input.dim() >= 4;
}

at::Tensor as_taken(const at::Tensor& input, const std::vector<int64_t>& shape, InputLayout layout,
                    const std::string& name) {
  if (layout == InputLayout::as_stored) return with_shape(input, shape, name);
  if (is_image(input)) {
    const at::Tensor moved = input.movedim(-1, 1);
    if (sample_shape(moved) == shape) return moved;
  }
  const at::Tensor shaped = with_shape(input, shape, name);
  return is_image(shaped) ? shaped.movedim(-1, 1) : shaped;
}

}  // namespace incite
