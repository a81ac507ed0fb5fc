#include "program/pt2_sizes.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <array>

#include "base/fail.hpp"
#include "program/executor.hpp"

namespace incite {
namespace {

constexpr std::array<int64_t, 3> numbers_of_samples = {hint_samples, 3, 5};

/// The whole numbers that describe a value in one run.
struct Measured {
  bool is_tensor = false;
  c10::ScalarType type = c10::ScalarType::Float;
  size_t dimensions = 0;
  std::vector<int64_t> numbers;  // of a tensor: sizes, strides, offset; else the number itself
};

Measured measure_value(const c10::IValue& value) {
  Measured measured;
  if (value.isInt()) measured.numbers = {value.toInt()};
  if (!value.isTensor() || !value.toTensor().defined()) return measured;
  const at::Tensor& tensor = value.toTensor();
  measured.is_tensor = true;
  measured.type = tensor.scalar_type();
  measured.dimensions = static_cast<size_t>(tensor.dim());
  measured.numbers = tensor.sizes().vec();
  measured.numbers.insert(measured.numbers.end(), tensor.strides().begin(), tensor.strides().end());
  measured.numbers.push_back(tensor.storage_offset());
  return measured;
}

std::vector<Measured> measure_all(const Program& program, const Batch& batch, int64_t samples) {
  const at::NoGradGuard no_grad;
  const at::Tensor index = at::arange(samples, at::TensorOptions().dtype(at::kLong).device(batch.device()));
  const Executor executor(program);
  Environment environment = executor.start(batch.index_select(index.remainder(batch.samples())));
  std::vector<Measured> all(program.values.size());
  for (size_t i = 0; i < all.size(); ++i)
    all[i] = measure_value(environment[i]);
  for (size_t n = 0; n < program.nodes.size(); ++n) {
    const auto id = static_cast<NodeId>(n);
    executor.run_node(environment, id);
    for (const ValueId output : program.node(id).outputs)
      all[at_index(output)] = measure_value(environment[at_index(output)]);
    executor.free_after(environment, id);
  }
  return all;
}

/// The rule that two numbers follow.
BatchSize rule_of(int64_t first, int64_t second) {
  const int64_t each = (second - first) / (numbers_of_samples[1] - numbers_of_samples[0]);
  return {each, first - each * numbers_of_samples[0]};
}

/// The sizes of one value; nothing if they follow no rule.
std::optional<ValueSizes> sizes_of(const std::array<Measured, 3>& runs) {
  ValueSizes found;
  found.is_tensor = runs[0].is_tensor;
  found.type = runs[0].type;
  std::vector<BatchSize> rules;
  for (size_t i = 0; i < runs[0].numbers.size(); ++i) {
    if (runs[1].numbers.size() != runs[0].numbers.size() || runs[2].numbers.size() != runs[0].numbers.size())
      return std::nullopt;
    rules.push_back(rule_of(runs[0].numbers[i], runs[1].numbers[i]));
    if (rules[i].at(numbers_of_samples[2]) != runs[2].numbers[i]) return std::nullopt;
  }
  if (!found.is_tensor) {
    if (!rules.empty()) found.number = rules[0];
    return found;
  }
  const auto dimensions = static_cast<std::ptrdiff_t>(runs[0].dimensions);
  found.sizes.assign(rules.begin(), rules.begin() + dimensions);
  found.strides.assign(rules.begin() + dimensions, rules.begin() + 2 * dimensions);
  found.offset = rules.back();
  return found;
}

}  // namespace

std::vector<ValueSizes> sizes_of_values(const Program& program, const Batch& batch, const std::string& what) {
  std::array<std::vector<Measured>, 3> runs;
  for (size_t run = 0; run < runs.size(); ++run)
    runs[run] = measure_all(program, batch, numbers_of_samples[run]);
  std::vector<ValueSizes> all(program.values.size());
  for (size_t i = 0; i < all.size(); ++i) {
    const auto found = sizes_of({runs[0][i], runs[1][i], runs[2][i]});
    if (found) {
      all[i] = *found;
      continue;
    }
    const Node& node = program.node(program.maker(static_cast<ValueId>(i)));
    fail(
        ExitCode::unsupported,
        "{}: {} at {}: its size is not a constant and a multiple of the number of samples; expected that in a .pt2 file. "
        "Pass --format torchscript",
        what, node.op, node.source);
  }
  return all;
}

}  // namespace incite
