#include "checks.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "incite/base/error.hpp"
#include "incite/base/random.hpp"
#include "samples.hpp"
#include "warnings.hpp"

namespace incite {

Task choose_task(const std::optional<Task>& asked, const Dataset& data, OutputKind kind) {
  if (asked) return *asked;
  if (data.target.defined()) return guess_task(data.target);
  if (kind == OutputKind::probabilities || kind == OutputKind::log_probabilities || kind == OutputKind::sigmoid) {
    return Task::classification;
  }
  fail(ExitCode::data_mismatch,
       "{}: no target '{}', and the model's outputs do not say what they are; pass --target-key, or --task "
       "classification or regression",
       data.file, data.target_key);
}

void check_outputs(const std::filesystem::path& model, Task task, int64_t outputs) {
  if (task == Task::classification && outputs < 2) {
    fail(ExitCode::data_mismatch,
         "{}: it has one output; classification needs one for each class, regression is --task regression",
         model.string());
  }
}

void check_model(const std::filesystem::path& model, const UnitMap& map, Task task, int64_t outputs) {
  check_outputs(model, task, outputs);
  if (map.removable_units() == 0) {
    fail(ExitCode::unsupported,
         "{}: no unit can be removed, since every layer is pinned; 'incite inspect' says by what", model.string());
  }
}

at::Tensor sample_order(const TestSet& set, uint64_t seed) {
  return stratified_order(set.classes, set.data->size(), derive_seed(seed, "split"));
}

TestSet hold_out(TestSet& fit, double share, uint64_t seed) {
  const int64_t size = fit.data->size();
  const at::Tensor order = sample_order(fit, seed);
  const auto count = std::max<int64_t>(1, std::llround(share * static_cast<double>(size)));
  if (count >= size) {
    fail(ExitCode::data_mismatch,
         "{}: {} samples are too few to fit on some and measure on others; give more, or --test", fit.data->file, size);
  }
  TestSet held_out = fit;
  held_out.samples = order.narrow(0, 0, count);
  fit.samples = order.narrow(0, count, size - count);
  return held_out;
}

void check_classes(const TestSet& fit, const std::vector<int64_t>& modules, int64_t outputs) {
  const at::Tensor counts = at::bincount(fit.classes.index_select(0, fit.samples), {}, outputs);
  for (const int64_t output : modules) {
    const auto own = counts[output].item<int64_t>();
    if (own == 0) {
      fail(ExitCode::data_mismatch,
           "{}: no sample of class {}, whose module is asked for; add some, or leave it out of --outputs",
           fit.data->file, output);
    }
    if (own == fit.samples.size(0)) {
      fail(ExitCode::data_mismatch, "{}: all samples are of class {}; a module needs samples of other classes too",
           fit.data->file, output);
    }
  }
}

std::optional<Error> refusal(const DecomposeOptions& options, const Inspection& inspection, const Dataset& data,
                             std::vector<std::string>& warnings) {
  try {
    const Task task = choose_task(options.task, data, inspection.kind);
    check_model(options.model, inspection.map, task, inspection.outputs);
    if (options.head != HeadMethod::original) fittable_head(inspection.program, inspection.map, task);
    TestSet fit = truth(inspection.program, data, task, inspection.outputs);
    hold_out(fit, options.held_out, options.seed);
    std::vector<int64_t> modules(static_cast<size_t>(inspection.outputs));
    std::iota(modules.begin(), modules.end(), 0);
    if (task == Task::classification) check_classes(fit, modules, inspection.outputs);
    warnings = warnings_before_scoring(inspection.program, inspection.kind, task, fit, modules);
    return std::nullopt;
  } catch (const Error& error) {
    return error;
  }
}

}  // namespace incite
