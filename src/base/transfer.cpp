#include "base/transfer.hpp"

#include <ATen/ATen.h>

namespace incite {

at::Tensor sent(const at::Tensor& tensor, at::Device device, at::ScalarType type) {
  const auto options = at::TensorOptions(device).dtype(type);
  if (!device.is_cuda()) return tensor.to(options, /*non_blocking=*/false, /*copy=*/true);
  return tensor.pin_memory().to(options, /*non_blocking=*/true, /*copy=*/true);
}

}  // namespace incite
