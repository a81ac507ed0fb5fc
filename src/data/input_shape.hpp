#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "data/dataset.hpp"

namespace incite {

/// An input [N, ...] as the model takes it: its samples given `shape`, unless that is empty, and then the last axis of
/// images moved to the front for a layout of nhwc. No copy. `shape` is that of a sample as stored, with its channels
/// last for nhwc; that of an image whose axes are moved already will do too.
///
/// `name` starts every message. Throws Error (data_mismatch) for a shape of other size, or one that would put the axes
/// in another order, which a reshape can't do.
at::Tensor as_taken(const at::Tensor& input, const std::vector<int64_t>& shape, InputLayout layout,
                    const std::string& name);

/// Whether an input, [N, ...] as stored and shaped, is one of images, whose axes a layout moves.
bool is_image(const at::Tensor& input);

}  // namespace incite
