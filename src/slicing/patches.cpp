#include "slicing/patches.hpp"

#include <ATen/ATen.h>

#include <array>

#include "program/convolution.hpp"

namespace incite {
namespace {

bool is_list(const c10::IValue& value, size_t size) {
  return value.isIntList() && value.toIntList().size() == size;
}

/// Puts a transposed convolution's zeros between the positions of its input, and around them as many as the plain one
/// reads for an output [..., height, width].
at::Tensor spread_out(const at::Tensor& x, int64_t height, int64_t width, const Walk& walk) {
  const std::array<int64_t, 2> sizes{height, width};
  std::array<int64_t, 2> before{}, after{}, spread{};
  for (size_t i = 0; i < 2; ++i) {
    const int64_t reach = walk.dilation[i] * (walk.kernel[i] - 1);
    spread[i] = (x.size(2 + static_cast<int64_t>(i)) - 1) * walk.stride[i] + 1;
    before[i] = reach - walk.padding[i];
    after[i] = sizes[i] + reach - before[i] - spread[i];
  }
  const at::Tensor zeros = at::zeros({x.size(0), x.size(1), spread[0], spread[1]}, x.options());
  zeros.slice(2, 0, std::nullopt, walk.stride[0]).slice(3, 0, std::nullopt, walk.stride[1]).copy_(x);
  return at::constant_pad_nd(zeros, {before[1], after[1], before[0], after[0]});
}

}  // namespace

std::optional<Walk> walk_of(const Program& program, const Node& node) {
  const std::optional<Convolution> convolution = convolution_of(program, node);
  if (!convolution || node.op == "aten::convolution") return std::nullopt;
  const at::Tensor weight = program.value(node.inputs[1]).content.toTensor();
  const auto dimensions = static_cast<size_t>(weight.dim() - 2);
  if (dimensions > 2 || convolution->groups != c10::IValue(1)) return std::nullopt;
  for (const c10::IValue* list : {&convolution->stride, &convolution->padding, &convolution->dilation}) {
    if (!is_list(*list, dimensions)) return std::nullopt;  // padding="same"
  }
  Walk walk = {weight.sizes().slice(2).vec(), convolution->stride.toIntVector(), convolution->padding.toIntVector(),
               convolution->dilation.toIntVector(), convolution->transposed};
  if (dimensions == 1) {
    walk.kernel.insert(walk.kernel.begin(), 1);
    walk.stride.insert(walk.stride.begin(), 1);
    walk.padding.insert(walk.padding.begin(), 0);
    walk.dilation.insert(walk.dilation.begin(), 1);
  }
  return walk;
}

at::Tensor turned_around(const at::Tensor& weight) {
  std::vector<int64_t> kernel;
  for (int64_t axis = 2; axis < weight.dim(); ++axis)
    kernel.push_back(axis);
  return weight.transpose(0, 1).flip(kernel);
}

at::Tensor patches_of(const at::Tensor& x, int64_t height, int64_t width, const Walk& walk) {
  const at::Tensor padded =
      walk.transposed ? spread_out(x, height, width, walk)
                      : at::constant_pad_nd(x, {walk.padding[1], walk.padding[1], walk.padding[0], walk.padding[0]});
  const int64_t line = padded.stride(2), place = padded.stride(3);
  const int64_t down = walk.transposed ? 1 : walk.stride[0], across = walk.transposed ? 1 : walk.stride[1];
  return padded.as_strided({x.size(0), height, width, x.size(1), walk.kernel[0], walk.kernel[1]},
                           {padded.stride(0), line * down, place * across, padded.stride(1), line * walk.dilation[0],
                            place * walk.dilation[1]});
}

}  // namespace incite
