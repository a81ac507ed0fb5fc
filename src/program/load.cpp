#include "incite/program/load.hpp"

#include <ATen/ATen.h>
#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/passes/freeze_module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <array>
#include <fstream>
#include <optional>
#include <set>

#include "first_line.hpp"
#include "incite/base/error.hpp"
#include "incite/program/executor.hpp"
#include "lower.hpp"
#include "specialise.hpp"

namespace incite {
namespace {

namespace jit = torch::jit;

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

jit::Module read_module(const std::filesystem::path& file, at::Device device) {
  check_archive(file);
  try {
    jit::Module module = jit::load(file.string(), at::kCPU);
    module.eval();
    module.to(device);
    return module;
  } catch (const std::exception& error) {
    fail(ExitCode::model_file, "{}: can't be read as TorchScript, the file may be truncated or damaged: {}",
         file.string(), first_line(error));
  }
}

/// `count` samples, those of `input` over and over.
at::Tensor samples(const at::Tensor& input, int64_t count) {
  const at::Tensor index = at::arange(count, at::TensorOptions().dtype(at::kLong).device(input.device()));
  return input.index_select(0, index.remainder(input.size(0)));
}

/// The original's output, without the JIT's profiling and fusing, which would change it from run to run.
c10::IValue run_plainly(jit::Module& module, const at::Tensor& input) {
  const jit::GraphOptimizerEnabledGuard off(false);
  return module.forward({input});
}

/// The model's output for `count` samples; nothing when it does not take them, with PyTorch's reason in `why`.
std::optional<at::Tensor> try_run(jit::Module& module, const at::Tensor& input, int64_t count, std::string& why) {
  try {
    const c10::IValue output = run_plainly(module, samples(input, count));
    if (!output.isTensor()) return at::Tensor();
    if (output.toTensor().dim() >= 1 && output.toTensor().size(0) == count) return output.toTensor();
    why = fmt::format("its output has shape {} for {} samples", fmt::join(output.toTensor().sizes(), "x"), count);
  } catch (const std::exception& error) {
    // The interpreter puts a stack of TorchScript lines before PyTorch's own message.
    const std::string text = error.what();
    const std::string marker = "RuntimeError: ";
    const size_t found = text.rfind(marker);
    why = found == std::string::npos ? first_line(error) : text.substr(found + marker.size());
    why = why.substr(0, why.find('\n'));
  }
  return std::nullopt;
}

/// "[N, 1, 28, 28]", for any number of samples.
std::string shape_text(const at::Tensor& tensor) {
  std::string text = "[N";
  for (const int64_t extent : tensor.sizes().slice(1))
    text += fmt::format(", {}", extent);
  return text + "]";
}

/// Integers that stand first in a size list: a batch size fixed in a trace is one of them.
std::set<int64_t> leading_sizes(const jit::Module& module) {
  std::set<int64_t> sizes = {1};
  auto graph = module.get_method("forward").graph()->copy();
  const auto note = [&](const jit::Value* value) {
    const auto constant = jit::toIValue(value);
    if (constant && constant->isInt() && constant->toInt() > 0) sizes.insert(constant->toInt());
    if (constant && constant->isIntList() && !constant->toIntList().empty()) sizes.insert(constant->toIntList()[0]);
  };
  for (const jit::Node* node : graph->nodes()) {
    for (const jit::Value* output : node->outputs())
      note(output);
    if (node->kind() == c10::prim::ListConstruct && !node->inputs().empty()) note(node->input(0));
  }
  return sizes;
}

/// Refuses a model that does not take batches of any size, or not such samples.
void check_batch_sizes(jit::Module& module, const at::Tensor& input, const std::string& file) {
  constexpr std::array<int64_t, 3> counts = {2, 3, 5};
  std::string why;
  bool fits = true;
  for (const int64_t count : counts)
    fits = fits && try_run(module, input, count, why).has_value();
  if (fits) return;
  for (const int64_t size : leading_sizes(module)) {
    std::string ignored;
    if (size <= 0 || size > 4096 || !try_run(module, input, size, ignored)) continue;
    fail(ExitCode::unsupported,
         "{}: the batch size {} is fixed in the model, as in a trace of x.view({}, -1): it takes {} samples at a time "
         "and no other "
         "number. Export it with torch.jit.script, or trace code that says x.flatten(1) or x.view(x.size(0), -1)",
         file, size, size, size);
  }
  fail(ExitCode::data_mismatch,
       "{}: does not take inputs of shape {}: {}. Give the shape of one sample with --input-shape", file,
       shape_text(input), why);
}

double largest_relative_difference(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.to(at::kDouble);
  const at::Tensor y = b.to(at::kDouble);
  const double scale = y.abs().max().item<double>();
  return (x - y).abs().max().item<double>() / std::max(scale, 1e-30);
}

void check_same_function(const Program& program, jit::Module& module, const at::Tensor& input,
                         const std::string& file) {
  const at::NoGradGuard no_grad;
  const Executor executor(program);
  for (const int64_t count : {2, 3, 5}) {
    const at::Tensor batch = samples(input, count);
    const at::Tensor expected = run_plainly(module, batch).toTensor();
    const at::Tensor found = executor(batch);
    if (found.sizes() != expected.sizes() ||
        (!found.equal(expected) && !(largest_relative_difference(found, expected) <= 1e-5))) {
      fail(ExitCode::unsupported,
           "{}: as straight-line code it does not give what the model gives for {} samples; please report this model",
           file, count);
    }
  }
}

void check_output(const at::Tensor& output, const std::string& file) {
  if (!output.defined() || output.dim() != 2 || !output.is_floating_point()) {
    fail(ExitCode::unsupported, "{}: its output is {}; expected one floating-point tensor [samples, outputs]", file,
         output.defined() ? "a tensor of shape " + shape_text(output) : "no tensor");
  }
  if (!output.isfinite().all().item<bool>()) {
    fail(ExitCode::data_mismatch,
         "{}: its output on the first samples has NaN or infinite values; check the model and --input-scale", file);
  }
}

}  // namespace

Program load_program(const std::filesystem::path& path, const at::Tensor& input) {
  const std::string file = path.string();
  jit::Module module = read_module(path, input.device());
  if (!module.find_method("forward"))
    fail(ExitCode::model_file, "{}: has no method forward; export a model, not a part of one", file);
  if (module.get_method("forward").num_inputs() != 2) {
    fail(ExitCode::unsupported, "{}: forward takes {} inputs; incite decomposes models that take one tensor", file,
         module.get_method("forward").num_inputs() - 1);
  }
  {
    const at::NoGradGuard no_grad;
    check_batch_sizes(module, input, file);
    std::string why;
    check_output(*try_run(module, input, 2, why), file);
  }
  jit::Module frozen;
  try {
    frozen = jit::freeze_module(module, {}, /*freezeInterfaces=*/true, /*preserveParameters=*/true);
  } catch (const std::exception& error) {
    fail(ExitCode::unsupported, "{}: can't be made read-only: {}", file, first_line(error));
  }
  Program program;
  try {
    // With gradients on, scripted attention takes its plain path: the fused one can be neither cut nor trained.
    const at::AutoGradMode gradients(true);
    program = specialise(module, frozen, {samples(input, 2), samples(input, 3)}, file);
    lower(program);
  } catch (const Error&) {
    throw;
  } catch (const c10::Error& error) {
    fail(ExitCode::unsupported, "{}: {}", file, first_line(error));
  }
  check_same_function(program, module, input, file);
  return program;
}

}  // namespace incite
