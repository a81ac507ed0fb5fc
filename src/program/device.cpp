#include "program/device.hpp"

#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <dlfcn.h>
#include <torch/cuda.h>

#include <algorithm>
#include <array>
#include <climits>
#include <filesystem>
#include <fstream>

#include "base/fail.hpp"

namespace incite {
namespace {

/// Loads LibTorch's CUDA libraries from the folder of libtorch_cpu.so, if they are there: a program that was linked
/// with the CPU build runs on a CUDA build too. It must come before anything asks LibTorch for CUDA, which looks for
/// its kernels only once. Returns why they can't be loaded; empty if they are loaded, or if there are none.
std::string load_cuda() {
  void* torch = dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_NOLOAD);
  std::array<char, PATH_MAX> folder{};
  if (torch == nullptr || dlinfo(torch, RTLD_DI_ORIGIN, folder.data()) != 0) return {};
  const std::filesystem::path library = std::filesystem::path(folder.data()) / "libtorch_cuda.so";
  std::error_code error;
  if (!std::filesystem::exists(library, error)) return {};
  return dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr ? "" : dlerror();
}

void allow_tf32(bool allowed) {
  at::globalContext().setAllowTF32CuDNN(allowed);
  at::globalContext().setAllowTF32CuBLAS(allowed);
}

}  // namespace

Tf32Products::Tf32Products(bool allowed) {
  allow_tf32(allowed);
}

Tf32Products::~Tf32Products() {
  allow_tf32(false);
}

c10::Device parse_device(const std::string& name) {
  c10::Device device(c10::kCPU);
  try {
    device = c10::Device(name);
  } catch (const c10::Error&) {
    fail(ExitCode::usage, "--device {}: expected cpu, cuda or cuda:<index>", name);
  }
  if (device.is_cpu()) return c10::Device(c10::kCPU);
  if (!device.is_cuda()) fail(ExitCode::usage, "--device {}: expected cpu, cuda or cuda:<index>", name);
  if (const std::string reason = load_cuda(); !reason.empty())
    fail(ExitCode::device, "--device {}: LibTorch's CUDA libraries can't be loaded: {}; expected cpu", name, reason);
  const auto count = static_cast<int64_t>(torch::cuda::device_count());
  if (count == 0) {
    fail(ExitCode::device, "--device {}: this machine, or this build of LibTorch, has no CUDA device; expected cpu",
         name);
  }
  const int64_t index = device.has_index() ? device.index() : 0;
  if (index >= count)
    fail(ExitCode::device, "--device {}: there are {} CUDA devices; expected cuda:0 to cuda:{}", name, count,
         count - 1);
  allow_tf32(false);
  return {c10::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

int64_t default_memory(c10::Device device) {
  constexpr int64_t otherwise = int64_t{2} << 30;
  constexpr int64_t most_by_default = int64_t{4} << 30;  // more makes hardly anything faster on a CPU
  if (device.is_cuda()) {
    at::globalContext().lazyInitDevice(device.type());
    auto* allocator = dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(device.type()));
    return allocator != nullptr ? static_cast<int64_t>(allocator->getMemoryInfo(device.index()).first / 2) : otherwise;
  }
  std::ifstream file("/proc/meminfo");
  std::string key;
  int64_t kibibytes = 0;
  std::string unit;
  while (file >> key >> kibibytes >> unit) {
    if (key == "MemAvailable:") return std::min(kibibytes * 1024 / 2, most_by_default);
  }
  return otherwise;
}

}  // namespace incite
