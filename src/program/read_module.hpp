#pragma once

#include <c10/core/Device.h>
#include <torch/csrc/jit/api/module.h>

#include <filesystem>

namespace incite {

/// The module of a TorchScript or .pt2 file, for evaluation, on a device. The file's content tells which it is. Throws
/// Error: model_file when the file is missing, damaged or of another kind (the message says how to export); unsupported
/// for what read_pt2 refuses.
torch::jit::Module read_module(const std::filesystem::path& file, c10::Device device);

}  // namespace incite
