#include "subject/samples.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <stdexcept>

#include "base/fail.hpp"
#include "base/random.hpp"
#include "program/executor.hpp"
#include "program/load.hpp"

namespace incite {
namespace {

/// Throws Error (data_mismatch) if the model runs on the images as they are stored, but not with their axes moved.
void check_layout(const std::filesystem::path& file, const Dataset& data, at::Device device) {
  if (data.input_layout == InputLayout::as_stored) return;
  const Batch moved = first_samples(data, device);
  if (!refusal_of(file, moved)) return;
  const Batch stored =
      moved.each([](const at::Tensor& input) { return input.dim() < 4 ? input : input.movedim(1, -1).contiguous(); });
  if (refusal_of(file, stored)) return;
  fail(ExitCode::data_mismatch, "{}: the model takes the images as they are stored; leave out --input-layout {}",
       data.file, to_string(data.input_layout));
}

}  // namespace

Program load_model(const std::filesystem::path& file, Dataset& data, const std::string& output, at::Device device) {
  const std::vector<std::vector<bool>> readings = readings_of(data);
  if (readings.size() > 1) {
    std::vector<Batch> batches;
    for (const std::vector<bool>& reading : readings) {
      data.as_integers = reading;
      batches.push_back(first_samples(data, device));
    }
    data.as_integers = readings[first_accepted(file, batches)];
  }
  check_layout(file, data, device);
  Program program = load_program(file, first_samples(data, device), output);
  check_integers(program, data);
  return program;
}

void read_like(Dataset& data, const Dataset& other) {
  if (data.input.inputs.size() != other.input.inputs.size()) {
    fail(ExitCode::data_mismatch, "{}: {} inputs ({}); expected {} ({}), as in {}", data.file, data.input_keys.size(),
         fmt::join(data.input_keys, ", "), other.input_keys.size(), fmt::join(other.input_keys, ", "), other.file);
  }
  data.as_integers = other.as_integers;
  for (size_t i = 0; i < data.input.inputs.size(); ++i) {
    const auto found = data.input[i].sizes().slice(1);
    const auto expected = other.input[i].sizes().slice(1);
    if (found != expected) {
      fail(ExitCode::data_mismatch, "{}: samples of shape [{}]; expected [{}], as in {}", data.file,
           fmt::join(found, ", "), fmt::join(expected, ", "), other.file);
    }
    if (!data.as_integers.empty() && data.as_integers[i] && data.input[i].is_floating_point()) {
      fail(ExitCode::data_mismatch, "{}: array '{}' holds floating-point numbers; expected whole numbers, as in {}",
           data.file, data.input_keys[i], other.file);
    }
  }
}

void check_integers(const Program& program, const Dataset& data) {
  const at::NoGradGuard no_grad;
  const Executor executor(program);
  for (size_t i = 0; i < data.as_integers.size(); ++i) {
    if (!data.as_integers[i] || data.input[i].scalar_type() == at::kBool) continue;
    const at::Tensor rows = data.input[i].reshape({data.size(), -1});
    const at::Tensor extremes = at::stack({rows.amin(1).argmin(), rows.amax(1).argmax()});
    try {
      executor(data.batch(extremes, program.device));
    } catch (const std::runtime_error& error) {
      fail(ExitCode::data_mismatch, "{}: array '{}' holds whole numbers from {} to {}, on which the model fails: {}",
           data.file, data.input_keys[i], rows.min().item<int64_t>(), rows.max().item<int64_t>(), error.what());
    }
  }
}

Dataset read_to_evaluate(const EvaluationOptions& options, DatasetOptions defaults) {
  defaults.file = options.data;
  defaults.target_required = true;
  if (options.input_key) defaults.input_key = *options.input_key;
  if (options.target_key) defaults.target_key = *options.target_key;
  if (options.input_scale) defaults.input_scale = options.input_scale;
  if (!options.input_shape.empty()) defaults.input_shape = options.input_shape;
  if (options.input_layout) defaults.input_layout = *options.input_layout;
  return read_dataset(defaults);
}

int64_t output_count(const Program& program, const Batch& batch) {
  const at::NoGradGuard no_grad;
  return Executor(program)(batch).size(1);
}

void settle_positions(Dataset& data, const Program& program, int64_t most_outputs, uint64_t seed) {
  const at::NoGradGuard no_grad;
  const at::Tensor outputs = Executor(program)(two_samples(data, program.device));
  const int64_t count = outputs.size(1);
  choose_positions(data, outputs.sizes().slice(2), count, most_outputs / count, derive_seed(seed, "positions"));
}

TestSet truth(const Program& program, const Dataset& data, Task task, OutputKind kind, int64_t outputs) {
  TestSet set;
  set.data = &data;
  if (data.target.defined()) {
    switch (task) {
      case Task::classification:
        set.classes = classes_of(data, outputs);
        break;
      case Task::multilabel:
        set.values = labels_of(data, outputs);
        break;
      case Task::regression:
        set.values = values_of(data, outputs);
        break;
    }
    return set;
  }
  const at::Tensor own = outputs_for(program, data, at::arange(data.size(), at::kLong));
  switch (task) {
    case Task::classification:
      set.classes = own.argmax(1);
      break;
    case Task::multilabel:
      set.values = (label_log_odds(own, kind) > 0).to(at::kFloat);
      break;
    case Task::regression:
      set.values = own;
      break;
  }
  return set;
}

}  // namespace incite
