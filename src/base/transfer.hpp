#pragma once

#include <ATen/core/Tensor.h>

namespace incite {

/// A copy of a tensor of the CPU's memory on the device, as `type`; always new memory. To a GPU it goes from pinned
/// memory: nothing waits for it but what reads it.
at::Tensor sent(const at::Tensor& tensor, at::Device device, at::ScalarType type);

}  // namespace incite
