#include "program/load.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/jit/passes/freeze_module.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "base/axes.hpp"
#include "base/fail.hpp"
#include "base/first_line.hpp"
#include "program/arguments.hpp"
#include "program/column.hpp"
#include "program/executor.hpp"
#include "program/lower.hpp"
#include "program/outputs.hpp"
#include "program/read_module.hpp"
#include "program/specialise.hpp"

namespace incite {
namespace {

namespace jit = torch::jit;

/// `count` samples, those of `batch` over and over.
Batch samples(const Batch& batch, int64_t count) {
  const at::Tensor index = at::arange(count, at::TensorOptions().dtype(at::kLong).device(batch.device()));
  return batch.index_select(index.remainder(batch.samples()));
}

/// PyTorch's own message, without the stack of TorchScript lines that the interpreter puts before it.
std::string reason_of(const std::exception& error) {
  const std::string text = error.what();
  const std::string marker = "RuntimeError: ";
  const size_t found = text.rfind(marker);
  const std::string why = found == std::string::npos ? first_line(error) : text.substr(found + marker.size());
  return why.substr(0, why.find('\n'));
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

double largest_relative_difference(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.to(at::kDouble);
  const at::Tensor y = b.to(at::kDouble);
  const double scale = y.abs().max().item<double>();
  return (x - y).abs().max().item<double>() / std::max(scale, 1e-30);
}

/// The first weight that is not of float32, but of another floating-point type: its name and type; nothing where there
/// is none. Of a frozen model, a constant.
std::optional<std::pair<std::string, at::ScalarType>> weight_of_another_type(const jit::Module& module) {
  const auto other = [](const at::Tensor& tensor) {
    return tensor.defined() && tensor.is_floating_point() && tensor.dim() > 0 && tensor.scalar_type() != at::kFloat;
  };
  bool any = false;
  for (const auto& parameter : module.named_parameters()) {
    any = true;
    if (other(parameter.value)) return std::pair(parameter.name, parameter.value.scalar_type());
  }
  if (any) return std::nullopt;
  const auto graph = module.get_method("forward").graph()->copy();
  jit::Inline(*graph);
  for (const jit::Node* node : graph->nodes()) {
    if (node->kind() != c10::prim::Constant) continue;
    const auto content = jit::toIValue(node->output());
    if (content && content->isTensor() && other(content->toTensor()))
      return std::pair(std::string("a constant"), content->toTensor().scalar_type());
  }
  return std::nullopt;
}

/// "[N, 1, 28, 28]", the type beside it where it is not the usual one; all inputs of a batch.
std::string shapes_text(const Batch& batch) {
  std::vector<std::string> shapes;
  for (const at::Tensor& input : batch.inputs) {
    shapes.push_back(shape_text(input, batch.samples()));
    if (input.scalar_type() != at::kFloat) shapes.back() += fmt::format(" ({})", c10::toString(input.scalar_type()));
  }
  return fmt::format("{}", fmt::join(shapes, " and "));
}

/// A model as it came from its file, and what is to be made of it.
class Original {
 public:
  Original(const std::filesystem::path& file, const Batch& batch, std::string asked)
      : file_(file.string()), batch_(batch), asked_(std::move(asked)), module_(read_module(file, batch.device())) {
    if (!module_.find_method("forward"))
      fail(ExitCode::model_file, "{}: has no method forward; export a model, not a part of one", file_);
    arguments_ = arguments_of(module_, batch.inputs.size(), file_);
  }

  /// Why forward does not run on the batch; nothing when it does.
  std::optional<std::string> refusal() {
    const at::NoGradGuard no_grad;
    std::string why;
    return run(2, why) ? std::nullopt : std::optional(why);
  }

  Program program() {
    check_type();
    {
      const at::NoGradGuard no_grad;
      choose();
      check_batch_sizes();
      std::string why;
      check_output(*try_run(2, why));
    }
    Program program = specialised();
    check_same_function(program);
    return program;
  }

 private:
  /// The original's output, without the JIT's profiling and fusing, which would change it from run to run.
  c10::IValue run_plainly(const Batch& batch) {
    const jit::GraphOptimizerEnabledGuard off(false);
    return module_.forward(values_of(arguments_, batch));
  }

  /// What forward returns for `count` samples; nothing when it does not take them, with PyTorch's reason in `why`.
  std::optional<c10::IValue> run(int64_t count, std::string& why) {
    if (const auto known = results_.find(count); known != results_.end()) return known->second;
    try {
      return results_[count] = run_plainly(samples(batch_, count));
    } catch (const std::exception& error) {
      why = reason_of(error);
      return std::nullopt;
    }
  }

  void check_type() const {
    const auto found = weight_of_another_type(module_);
    if (!found) return;
    fail(ExitCode::unsupported,
         "{}: its weights are of type {} ({}); expected float32. Export model.float(), as in "
         "torch.jit.script(model.float().eval())",
         file_, c10::toString(found->second), found->first);
  }

  /// Settles which tensor of what forward returns is the output, where it runs on two samples.
  void choose() {
    std::string why;
    if (const auto whole = run(2, why)) path_ = choose_output(*whole, 2, asked_, file_);
  }

  /// The output for `count` samples; nothing when the model does not take them, with the reason in `why`.
  std::optional<at::Tensor> try_run(int64_t count, std::string& why) {
    const auto whole = run(count, why);
    if (!whole) return std::nullopt;
    const c10::IValue output = at_path(*whole, path_);
    if (!output.isTensor()) return at::Tensor();
    if (output.toTensor().dim() >= 1 && output.toTensor().size(0) == count) return output.toTensor();
    why = fmt::format("its output has shape {} for {} samples", fmt::join(output.toTensor().sizes(), "x"), count);
    return std::nullopt;
  }

  /// Refuses a model that does not take batches of any size, or not such samples.
  void check_batch_sizes() {
    std::string why;
    if (try_run(2, why) && try_run(3, why)) return;
    for (const int64_t size : leading_sizes(module_)) {
      std::string ignored;
      if (size <= 0 || size > 4096 || !try_run(size, ignored)) continue;
      fail(ExitCode::unsupported,
           "{}: the batch size {} is fixed in the model, as in a trace of x.view({}, -1): it takes exactly {} samples "
           "at a time. Export it with torch.jit.script, or trace code that uses x.flatten(1) or x.view(x.size(0), -1)",
           file_, size, size, size);
    }
    const std::string shapes = shapes_text(batch_);
    check_axis_order(shapes, why);
    if (batch_.inputs.size() > 1) {
      fail(ExitCode::data_mismatch,
           "{}: does not take inputs of shapes {}: {}. Name the arrays of its inputs in "
           "forward's order with --input-key",
           file_, shapes, why);
    }
    fail(ExitCode::data_mismatch,
         "{}: does not take inputs of shape {}: {}. Give the shape of one sample with --input-shape", file_, shapes,
         why);
  }

  /// Whether forward runs on the samples with the axes of each image, or of the one input, in another order.
  bool runs_in(const AxisOrder& order) {
    const auto moves = [&](const at::Tensor& input) {
      return static_cast<size_t>(input.dim()) == order.size() && in_order(input.sizes().vec(), order) != input.sizes();
    };
    if (std::none_of(batch_.inputs.begin(), batch_.inputs.end(), moves)) return false;
    const Batch moved =
        batch_.each([&](const at::Tensor& input) { return moves(input) ? input.permute(order).contiguous() : input; });
    for (const int64_t count : {2, 3}) {
      try {
        const c10::IValue output = run_plainly(samples(moved, count));
        if (output.isTensor() && (output.toTensor().dim() < 1 || output.toTensor().size(0) != count)) return false;
      } catch (const std::exception&) {
        return false;
      }
    }
    return true;
  }

  /// Refuses samples that the model would take with their axes in another order: a reshape would mix them up.
  void check_axis_order(const std::string& shapes, const std::string& why) {
    const bool one = batch_.inputs.size() == 1;
    for (const AxisOrder& order : axis_orders(one ? batch_[0].dim() : 4)) {
      if (!runs_in(order)) continue;
      if (!one) {
        fail(ExitCode::data_mismatch,
             "{}: does not take inputs of shapes {}: {}. It takes those with four dimensions if their axes are in "
             "another order: transpose these arrays, {}{}",
             file_, shapes, why, transpose_text(order), moves_last_axis(order) ? ", or pass --input-layout nhwc" : "");
      }
      const bool channels_last = batch_[0].dim() >= 4 && moves_last_axis(order);
      fail(ExitCode::data_mismatch, "{}: does not take inputs of shape {}: {}. It takes {}: transpose the array, {}{}",
           file_, shapes, why, shape_text(batch_[0].permute(order), batch_.samples()), transpose_text(order),
           channels_last ? ", or pass --input-layout nhwc" : "");
    }
  }

  void check_output(const at::Tensor& output) const {
    // [samples] is taken as [samples, 1].
    const bool shaped = output.defined() && output.dim() >= 1 && output.numel() > 0;
    if (!shaped || !output.is_floating_point()) {
      fail(
          ExitCode::unsupported,
          "{}: its output is {}; expected one floating-point tensor [samples, outputs], or [samples, outputs, positions...]",
          file_, output.defined() ? "a tensor of shape " + shape_text(output, output.size(0)) : "no tensor");
    }
    if (!output.isfinite().all().item<bool>()) {
      fail(ExitCode::data_mismatch,
           "{}: its output on the first samples has NaN or infinite values; check the model and --input-scale", file_);
    }
  }

  Program specialised() {
    jit::Module frozen;
    try {
      frozen = jit::freeze_module(module_, {}, /*freezeInterfaces=*/true, /*preserveParameters=*/true);
    } catch (const std::exception& error) {
      fail(ExitCode::unsupported, "{}: torch.jit.freeze fails: {}", file_, first_line(error));
    }
    try {
      // With gradients on, scripted attention takes its plain path: the fused one can be neither cut nor trained.
      const at::AutoGradMode gradients(true);
      Program program = specialise(module_, frozen, {samples(batch_, 2), samples(batch_, 3)}, arguments_, path_, file_);
      lower(program);
      std::string why;
      if (const auto output = try_run(2, why); output && output->dim() == 1) make_column(program, samples(batch_, 2));
      return program;
    } catch (const Error&) {
      throw;
    } catch (const c10::Error& error) {
      fail(ExitCode::unsupported, "{}: {}", file_, first_line(error));
    }
  }

  void check_same_function(const Program& program) {
    const at::NoGradGuard no_grad;
    const Executor executor(program);
    std::string why;
    // The third is none of those that the code was made from; 1 where the model takes it, which users will.
    const bool takes_one = try_run(1, why).has_value();
    const int64_t third = takes_one ? 1 : 5;
    for (const int64_t count : {int64_t{2}, int64_t{3}, third}) {
      const auto original = try_run(count, why);
      if (!original) {
        fail(ExitCode::unsupported, "{}: takes batches of 2 and 3 samples, but not of 1 or 5: {}", file_, why);
      }
      const at::Tensor expected = original->dim() == 1 ? original->unsqueeze(1) : *original;
      const at::Tensor found = executor(samples(batch_, count));
      if (found.sizes() != expected.sizes() ||
          (!found.equal(expected) && !(largest_relative_difference(found, expected) <= 1e-5))) {
        fail(ExitCode::unsupported,
             "{}: incite's version of the model gives other outputs for {} samples; please report this model", file_,
             count);
      }
    }
    if (!takes_one) check_single_sample(executor);
  }

  /// Scoring and users run single samples, also where the original does not take them.
  void check_single_sample(const Executor& executor) const {
    const at::Tensor two = executor(samples(batch_, 2));
    at::Tensor one;
    try {
      one = executor(samples(batch_, 1));
    } catch (const std::runtime_error& error) {
      fail(ExitCode::unsupported,
           "{}: does not take one sample at a time, as modules must: {}. Correct the code there, and export it again",
           file_, error.what());
    }
    const at::Tensor first = two.narrow(0, 0, 1);
    if (one.sizes() == first.sizes() && largest_relative_difference(one, first) <= 1e-4) return;
    fail(ExitCode::unsupported,
         "{}: one sample alone gives another output than in a batch; incite decomposes models "
         "that treat samples one by one",
         file_);
  }

  const std::string file_;
  const Batch& batch_;
  const std::string asked_;
  jit::Module module_;
  std::map<int64_t, c10::IValue> results_;  // by number of samples
  std::vector<Argument> arguments_;
  ItemPath path_;
};

}  // namespace

Program load_program(const std::filesystem::path& file, const Batch& batch, const std::string& output) {
  return Original(file, batch, output).program();
}

std::optional<std::string> refusal_of(const std::filesystem::path& file, const Batch& batch) {
  return Original(file, batch, "").refusal();
}

size_t first_accepted(const std::filesystem::path& file, const std::vector<Batch>& batches) {
  INCITE_ASSERT(!batches.empty());
  std::optional<size_t> likely;
  for (size_t i = 0; i < batches.size(); ++i) {
    const auto why = refusal_of(file, batches[i]);
    if (!why) return i;
    const bool by_type = why->find("scalar type") != std::string::npos || why->find("dtype") != std::string::npos;
    if (!by_type && !likely) likely = i;
  }
  return likely.value_or(0);
}

}  // namespace incite
