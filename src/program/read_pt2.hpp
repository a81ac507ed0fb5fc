#pragma once

#include <c10/core/Device.h>
#include <torch/csrc/jit/api/module.h>

#include <string>

#include "base/zip_archive.hpp"

namespace incite {

/// A .pt2 archive, as torch.export.save writes it, as a module like one of a TorchScript file: its parameters and
/// buffers under their state_dict keys, and `forward` with the same operators. What incite writes beside a model (see
/// FileAttributes) become attributes. Devices in the code become `device`; tensors stay on the CPU.
///
/// The code checks its inputs' shapes, as far as export fixed them, and raises an exception for others. `file` starts
/// every message. Throws Error: model_file for a file that is damaged, or of another version than incite knows;
/// unsupported for a batch size that is fixed, and for what add_pt2_nodes refuses.
torch::jit::Module read_pt2(const ZipArchive& zip, const std::string& file, c10::Device device);

}  // namespace incite
