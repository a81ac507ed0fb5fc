#include "support/strict_device.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/InlineDeviceGuard.h>
#include <torch/library.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

namespace incite::test {
namespace {

constexpr c10::DeviceType kind = c10::DeviceType::PrivateUse1;  // LibTorch's place for others' devices

std::atomic<int64_t> operations = 0;

struct HostAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* data = std::malloc(bytes > 0 ? bytes : 1);
    return {data, data, &std::free, strict_device()};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &std::free; }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }
};

HostAllocator allocator;
[[maybe_unused]] const c10::AllocatorRegisterer<kind> registered_allocator(&allocator);

struct OneDevice final : c10::impl::DeviceGuardImplInterface {
  static constexpr c10::DeviceType static_type = kind;

  c10::DeviceType type() const override { return kind; }
  c10::Device exchangeDevice(c10::Device) const override { return strict_device(); }
  c10::Device getDevice() const override { return strict_device(); }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override { return c10::Stream(c10::Stream::DEFAULT, strict_device()); }
  c10::Stream exchangeStream(c10::Stream) const override { return c10::Stream(c10::Stream::DEFAULT, strict_device()); }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
};

C10_REGISTER_GUARD_IMPL(PrivateUse1, OneDevice);

/// Derivatives and at::manual_seed ask for them.
struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override {
    return at::detail::getDefaultCPUGenerator();
  }
};

Hooks hooks;
[[maybe_unused]] const bool registered_hooks =
    (c10::register_privateuse1_backend("strict"), at::RegisterPrivateUse1HooksInterface(&hooks), true);

/// The same memory as a tensor of another device.
at::Tensor seen_from(c10::Device device, const at::Tensor& tensor) {
  const c10::Storage& storage = tensor.storage();
  auto* owner = new c10::Storage(storage);
  c10::DataPtr data(
      storage.mutable_data(), owner, [](void* p) { delete static_cast<c10::Storage*>(p); }, device);
  c10::Storage seen(c10::Storage::use_byte_size_t(), storage.nbytes(), std::move(data), nullptr, /*resizable=*/false);
  const c10::DispatchKey key = device.is_cpu() ? c10::DispatchKey::CPU : c10::DispatchKey::PrivateUse1;
  at::Tensor result =
      at::detail::make_tensor<c10::TensorImpl>(std::move(seen), c10::DispatchKeySet(key), tensor.dtype());
  result.unsafeGetTensorImpl()->set_sizes_and_strides(tensor.sizes(), tensor.strides(), tensor.storage_offset());
  return result;
}

/// Runs one operation on the CPU, over the same memory.
class OnHost {
 public:
  explicit OnHost(const c10::OperatorHandle& op) : op_(op) {}

  void operator()(torch::jit::Stack* stack) {
    ++operations;
    const size_t count = op_.schema().arguments().size();
    for (size_t i = stack->size() - count; i < stack->size(); ++i)
      (*stack)[i] = to_host((*stack)[i]);
    TORCH_CHECK(!(here_ && elsewhere_), op_.schema().name(), ": tensors on the CPU and on another device");
    op_.callBoxed(stack);
    for (size_t i = stack->size() - op_.schema().returns().size(); i < stack->size(); ++i)
      (*stack)[i] = from_host((*stack)[i]);
  }

 private:
  c10::IValue to_host(const c10::IValue& value) {
    if (value.isTensor()) return to_host(value.toTensor());
    if (value.isDevice()) return c10::Device(c10::kCPU);
    if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& tensor : value.toTensorVector())
        list.push_back(to_host(tensor));
      return list;
    }
    if (value.isOptionalTensorList()) {
      c10::List<std::optional<at::Tensor>> list;
      for (const std::optional<at::Tensor> tensor : value.toOptionalTensorList())
        list.push_back(tensor ? std::optional(to_host(*tensor)) : std::nullopt);
      return list;
    }
    return value;
  }

  at::Tensor to_host(const at::Tensor& tensor) {
    if (!tensor.defined()) return tensor;
    if (tensor.device().type() != kind) {
      elsewhere_ = elsewhere_ || tensor.dim() > 0;
      return tensor;
    }
    here_ = true;
    // An empty result grows on the CPU.
    at::Tensor seen = tensor.storage().nbytes() > 0 ? seen_from(c10::kCPU, tensor)
                                                    : at::empty(tensor.sizes(), tensor.options().device(c10::kCPU));
    given_.insert_or_assign(seen.unsafeGetTensorImpl(), std::pair(seen, tensor));
    return seen;
  }

  c10::IValue from_host(const c10::IValue& value) const {
    if (value.isTensor()) return from_host(value.toTensor());
    if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& tensor : value.toTensorVector())
        list.push_back(from_host(tensor));
      return list;
    }
    return value;
  }

  at::Tensor from_host(const at::Tensor& tensor) const {
    if (!tensor.defined()) return tensor;
    const auto given = given_.find(tensor.unsafeGetTensorImpl());
    if (given == given_.end()) return seen_from(strict_device(), tensor);
    at::Tensor own = given->second.second;
    if (own.storage().nbytes() == 0 && tensor.numel() > 0) {
      c10::TensorImpl* impl = own.unsafeGetTensorImpl();
      impl->set_storage_keep_dtype(seen_from(strict_device(), tensor).storage());
      impl->set_sizes_and_strides(tensor.sizes(), tensor.strides(), tensor.storage_offset());
    }
    return own;
  }

  const c10::OperatorHandle& op_;
  bool here_ = false;
  bool elsewhere_ = false;
  std::map<c10::TensorImpl*, std::pair<at::Tensor, at::Tensor>> given_;  // as the CPU sees it, and as it is
};

void run(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  OnHost{op}(stack);
}

// What LibTorch hands to devices under a name that the CPU does not know.

/// Between devices, or on this one.
at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool /*non_blocking*/) {
  const auto on_host = [](const at::Tensor& tensor) {
    return tensor.device().is_cpu() ? tensor : seen_from(c10::kCPU, tensor);
  };
  on_host(to).copy_(on_host(from));
  return to;
}

at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                       at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
                       at::IntArrayRef output_padding, int64_t groups) {
  const bool biased = bias && bias->defined();
  for (const at::Tensor& tensor : {input, weight, biased ? *bias : weight})
    TORCH_CHECK(tensor.device() == strict_device(), "convolution: a tensor on ", tensor.device());
  const auto on_host = [](const at::Tensor& tensor) { return seen_from(c10::kCPU, tensor); };
  const std::optional<at::Tensor> added = biased ? std::optional(on_host(*bias)) : std::nullopt;
  ++operations;
  return seen_from(strict_device(), at::convolution(on_host(input), on_host(weight), added, stride, padding, dilation,
                                                    transposed, output_padding, groups)
                                        .contiguous());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("_copy_from", &copy_from);
  m.impl("convolution_overrideable", &convolution);
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&run>());
}

}  // namespace

c10::Device strict_device() {
  return {kind, 0};
}

int64_t strict_device_operations() {
  return operations;
}

}  // namespace incite::test
