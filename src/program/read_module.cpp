#include "program/read_module.hpp"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <string_view>

#include "base/fail.hpp"
#include "base/first_line.hpp"
#include "base/zip_archive.hpp"
#include "program/pt2_archive.hpp"
#include "program/read_pt2.hpp"

namespace incite {
namespace {

constexpr const char* how_to_export =
    "Export the model with torch.jit.script(model.eval()).save(\"model.pt\"), torch.jit.trace(model.eval(), example) or "
    "torch.export.export(model.eval(), ...)";
constexpr uint64_t most_packed = 1032;  // Deflate makes nothing larger by more than this

/// Refuses a file that is not there, or is no ZIP archive.
void check_start(const std::filesystem::path& file) {
  const std::string name = file.string();
  std::error_code error;
  if (!std::filesystem::exists(file, error)) {
    fail(ExitCode::model_file, "{}: {}", name, error ? error.message() : "no such file");
  }
  std::ifstream stream(file, std::ios::binary);
  std::array<char, 4> magic{};
  stream.read(magic.data(), magic.size());
  if (!stream && stream.gcount() == 0) {
    fail(ExitCode::model_file, "{}: the file is empty or can't be read; expected a TorchScript or .pt2 file", name);
  }
  if (std::string_view(magic.data(), 4) == std::string_view("PK\x03\x04", 4)) return;
  if (magic[0] == '\x80') {
    fail(ExitCode::model_file,
         "{}: a Python pickle (a state_dict or nn.Module saved by an old torch.save), not a model with its code. {}",
         name, how_to_export);
  }
  fail(ExitCode::model_file, "{}: neither a TorchScript nor a .pt2 file. {}", name, how_to_export);
}

bool has_record(const ZipArchive& zip, const std::string& name) {
  return std::any_of(zip.entries().begin(), zip.entries().end(), [&](const ZipEntry& entry) {
    const size_t slash = entry.name.find('/');
    return slash != std::string::npos && entry.name.substr(slash + 1) == name;
  });
}

/// Refuses, with the reason, an archive that torch::jit::load could not read, and damage that it would not see.
void check_torchscript(const ZipArchive& zip, const std::string& name) {
  if (!has_record(zip, "constants.pkl")) {
    if (!has_record(zip, "data.pkl")) {
      fail(ExitCode::model_file, "{}: a ZIP archive, but neither a TorchScript nor a .pt2 file. {}", name,
           how_to_export);
    }
    fail(ExitCode::model_file,
         "{}: saved by torch.save (a state_dict or a pickled nn.Module), not a model with its code. {}", name,
         how_to_export);
  }
  for (const ZipEntry& entry : zip.entries()) {  // LibTorch takes as much memory as is stated here
    const uint64_t most = entry.compressed ? entry.packed_size * most_packed + most_packed : entry.packed_size;
    if (entry.packed_size > zip.file_size() || entry.size > most) throw ZipError("a member is larger than the file");
  }
  zip.check_all();
}

torch::jit::Module read_torchscript(const std::string& name) {
  try {
    return torch::jit::load(name, at::kCPU);
  } catch (const std::exception& error) {
    fail(ExitCode::model_file, "{}: can't be read as TorchScript, the file may be truncated or damaged: {}", name,
         first_line(error));
  }
}

/// The module of a file of either kind: its members tell which.
torch::jit::Module read_archive(const std::filesystem::path& file, at::Device device) {
  const std::string name = file.string();
  try {
    const ZipArchive zip(file);
    if (Pt2Archive::is_one(zip)) return read_pt2(zip, name, device);
    check_torchscript(zip, name);
  } catch (const ZipError&) {
    fail(ExitCode::model_file, "{}: the file is truncated or damaged; copy or export it again", name);
  }
  return read_torchscript(name);
}

}  // namespace

torch::jit::Module read_module(const std::filesystem::path& file, at::Device device) {
  check_start(file);
  torch::jit::Module module = read_archive(file, device);
  module.eval();
  module.to(device);
  return module;
}

at::Tensor output_of(const std::filesystem::path& file, const Batch& batch) {
  const at::NoGradGuard no_grad;
  const torch::jit::GraphOptimizerEnabledGuard as_written(false);  // one run is shorter than making the code faster
  torch::jit::Module module = read_module(file, batch.device());
  std::vector<c10::IValue> inputs(batch.inputs.begin(), batch.inputs.end());
  return module.forward(std::move(inputs)).toTensor();
}

}  // namespace incite
