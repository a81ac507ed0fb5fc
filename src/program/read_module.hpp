#pragma once

#include <c10/core/Device.h>
#include <torch/csrc/jit/api/module.h>

#include <filesystem>

#include "base/batch.hpp"

namespace incite {

/// The module of a TorchScript or .pt2 file, for evaluation, on a device. The file's content tells which it is. Throws
/// Error: model_file when the file is missing, damaged or of another kind (the message says how to export); unsupported
/// for what read_pt2 refuses.
torch::jit::Module read_module(const std::filesystem::path& file, c10::Device device);

/// The output of the model in a file that takes and returns tensors, for a batch.
at::Tensor output_of(const std::filesystem::path& file, const Batch& batch);

}  // namespace incite
