#pragma once

#include <c10/core/Device.h>
#include <torch/csrc/jit/api/module.h>

#include <filesystem>

namespace incite {

/// The module of a TorchScript file, for evaluation, on a device. Throws Error (model_file) when the file is missing,
/// truncated or no TorchScript: the message says how to export.
torch::jit::Module read_module(const std::filesystem::path& file, c10::Device device);

}  // namespace incite
