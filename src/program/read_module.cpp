#include "program/read_module.hpp"

#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/serialization/import.h>

#include <array>
#include <fstream>
#include <string_view>

#include "base/fail.hpp"
#include "base/first_line.hpp"

namespace incite {
namespace {

constexpr const char* how_to_export =
    "Export the model with torch.jit.script(model.eval()).save(\"model.pt\"), or torch.jit.trace(model.eval(), "
    "example)";

/// Refuses, with the reason, a file that torch::jit::load could not read.
void check_archive(const std::filesystem::path& file) {
  const std::string name = file.string();
  std::error_code error;
  if (!std::filesystem::exists(file, error)) {
    fail(ExitCode::model_file, "{}: {}", name, error ? error.message() : "no such file");
  }
  std::ifstream stream(file, std::ios::binary);
  std::array<char, 4> magic{};
  stream.read(magic.data(), magic.size());
  if (!stream && stream.gcount() == 0) {
    fail(ExitCode::model_file, "{}: the file is empty or can't be read; expected a TorchScript file", name);
  }
  if (std::string_view(magic.data(), 4) != std::string_view("PK\x03\x04", 4)) {
    if (magic[0] == '\x80') {
      fail(ExitCode::model_file,
           "{}: a Python pickle (a state_dict or nn.Module saved by an old torch.save), not TorchScript. {}", name,
           how_to_export);
    }
    fail(ExitCode::model_file, "{}: not a TorchScript file. {}", name, how_to_export);
  }
  try {
    caffe2::serialize::PyTorchStreamReader reader(name);
    if (reader.hasRecord("constants.pkl")) return;
    if (reader.hasRecord("data.pkl")) {
      fail(ExitCode::model_file, "{}: saved by torch.save (a state_dict or a pickled nn.Module), not TorchScript. {}",
           name, how_to_export);
    }
  } catch (const c10::Error&) {
    fail(ExitCode::model_file, "{}: the file is truncated or damaged; copy or export it again", name);
  }
  fail(ExitCode::model_file, "{}: a ZIP archive, but not TorchScript. {}", name, how_to_export);
}

}  // namespace

torch::jit::Module read_module(const std::filesystem::path& file, at::Device device) {
  check_archive(file);
  try {
    torch::jit::Module module = torch::jit::load(file.string(), at::kCPU);
    module.eval();
    module.to(device);
    return module;
  } catch (const std::exception& error) {
    fail(ExitCode::model_file, "{}: can't be read as TorchScript, the file may be truncated or damaged: {}",
         file.string(), first_line(error));
  }
}

}  // namespace incite
