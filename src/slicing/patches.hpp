#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "program/program.hpp"

namespace incite {

/// How a convolution walks over its input, [height, width]; one-dimensional ones have height 1.
struct Walk {
  std::vector<int64_t> kernel, stride, padding, dilation;
  bool transposed = false;
};

/// The walk of a convolution, plain or transposed, over one or two dimensions; nullopt for everything else, and for
/// aten::convolution, which none of PyTorch's layers calls.
std::optional<Walk> walk_of(const Program& program, const Node& node);

/// A transposed convolution is a plain one, over an input that has zeros between its positions, with the kernel turned
/// around: its weight as the plain one's, [outputs, inputs, height, width], and back.
at::Tensor turned_around(const at::Tensor& weight);

/// What each output position of a convolution reads of x [samples, channels, height, width], as a view: [samples,
/// height, width, channels, kernel's height, kernel's width].
at::Tensor patches_of(const at::Tensor& x, int64_t height, int64_t width, const Walk& walk);

}  // namespace incite
