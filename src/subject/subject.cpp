#include "subject/subject.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "base/fail.hpp"
#include "program/cost.hpp"
#include "program/device.hpp"
#include "program/executor.hpp"
#include "slicing/head.hpp"
#include "subject/checks.hpp"
#include "subject/samples.hpp"
#include "units/one_head.hpp"

namespace incite {
namespace {

constexpr double validation_share = 0.2;
constexpr int64_t most_validation_samples = 10'000;

std::shared_ptr<Dataset> read_test_data(const DecomposeOptions& options, const Dataset& data) {
  if (!options.test) return nullptr;
  DatasetOptions test = *options.test;
  test.target_required = data.target.defined();
  auto read = std::make_shared<Dataset>(read_dataset(test));
  read_like(*read, data);  // now, before the model is read; again once the types are settled
  return read;
}

/// Sorted, without duplicates; all if none is named. Throws Error (usage) for outputs that do not exist.
std::vector<int64_t> chosen_outputs(std::vector<int64_t> outputs, int64_t count) {
  if (outputs.empty()) {
    outputs.resize(static_cast<size_t>(count));
    std::iota(outputs.begin(), outputs.end(), 0);
  }
  std::sort(outputs.begin(), outputs.end());
  outputs.erase(std::unique(outputs.begin(), outputs.end()), outputs.end());
  for (const int64_t output : outputs) {
    if (output < 0 || output >= count)
      fail(ExitCode::usage, "--outputs {}: the model has outputs 0 to {}", output, count - 1);
  }
  return outputs;
}

/// What each module is for: of the sets that the options name, the chosen outputs; without sets, each of them. Throws
/// Error (usage) for outputs that do not exist, that are in two sets, or sets of which none is chosen.
std::vector<OutputSet> chosen_sets(const DecomposeOptions& options, const std::vector<int64_t>& chosen, Task task,
                                   int64_t count) {
  std::vector<OutputSet> sets;
  if (options.modules.empty()) {
    for (const int64_t output : chosen)
      sets.push_back({{output}, {}, true});
  }
  std::map<int64_t, std::string> names;
  std::set<std::string> different;
  for (OutputSet set : options.modules) {
    if (!different.insert(set.name).second)
      fail(ExitCode::usage, "--modules: two sets have the name {}; expected different names", set.name);
    if (set.outputs.empty()) set.outputs = chosen;
    std::sort(set.outputs.begin(), set.outputs.end());
    for (const int64_t output : set.outputs) {
      if (output < 0 || output >= count)
        fail(ExitCode::usage, "--modules {}: the model has outputs 0 to {}; found {}", set.name, count - 1, output);
      const auto [other, fresh] = names.emplace(output, set.name);
      if (!fresh)
        fail(ExitCode::usage, "--modules: output {} is in {} and in {}; expected each output in one set", output,
             other->second, set.name);
    }
    std::erase_if(set.outputs,
                  [&](int64_t output) { return !std::binary_search(chosen.begin(), chosen.end(), output); });
    if (set.outputs.empty())
      fail(ExitCode::usage, "--modules {}: --outputs names none of its outputs; leave the set out", set.name);
    sets.push_back(std::move(set));
  }
  for (OutputSet& set : sets)
    set.others = has_others(set, task == Task::classification, count);
  return sets;
}

/// Splits `fit` into training and validation samples. The latter choose ridges, penalties, calibrations, epochs and
/// sizes; the paper's options choose nothing, and need none.
void set_validation_samples(const DecomposeOptions& options, Subject& subject) {
  const bool searches = std::holds_alternative<MaxLoss>(options.size);
  const bool needed = row_of(options.head).needs_validation || options.calibration != CalibrationMethod::none ||
                      searches || options.finetune > 0;
  const at::Tensor& all = subject.fit.samples;
  const int64_t samples = all.size(0);
  const auto share = static_cast<int64_t>(validation_share * static_cast<double>(samples));
  int64_t count = needed ? std::min(share, most_validation_samples) : 0;
  if (subject.task != Task::regression && count > 0) {
    // A class or label with no training sample left could not be learnt.
    TestSet train = subject.fit;
    train.samples = all.narrow(0, 0, samples - count);
    const at::Tensor counts = support(train, subject.model.outputs);
    for (const int64_t output : subject.outputs) {
      if (counts[output].item<int64_t>() == 0) count = 0;
    }
  }
  if (count == 0 && (searches || options.finetune > 0)) {
    fail(ExitCode::data_mismatch,
         "{}: {} samples are too few to split into training and validation samples; give more, or leave out "
         "--max-loss and --finetune",
         options.data.file.string(), samples);
  }
  subject.train = all.narrow(0, 0, samples - count);
  subject.validation = all.narrow(0, samples - count, count);
}

/// Takes the outputs without samples to fit to out of `outputs` and returns them.
std::vector<int64_t> take_absent(const Subject& subject, std::vector<int64_t>& outputs) {
  const at::Tensor counts = support(subject.fit, subject.model.outputs);
  const auto first_absent =
      std::stable_partition(outputs.begin(), outputs.end(), [&](int64_t k) { return counts[k].item<int64_t>() > 0; });
  std::vector<int64_t> absent(first_absent, outputs.end());
  outputs.erase(first_absent, outputs.end());
  return absent;
}

/// If two layers add up to the outputs, one that is the same function takes their place: see with_one_head.
void join_added_heads(Subject& subject) {
  const UnitMap& map = subject.model.map;
  if (map.head < 0 || map.unit(map.layer(map.head).units.front()).members.size() < 2) return;
  subject.model = analysed(with_one_head(subject.model.program), *subject.data);
  subject.model.kind = kind_for(subject.task, subject.model.kind);
}

/// Throws Error (unsupported) if the positions of the output layer are not those of the output, or of its resampling.
void check_positions(const FittableHead& head, const Subject& subject) {
  const Program& program = subject.model.program;
  const Sample two = sample_values(program, two_samples(*subject.data, program.device));
  const auto positions = [&](ValueId value, int64_t channels) {
    return c10::multiply_integers(two.shape(value)) / two.shape(value)[0] / channels;
  };
  const Layer& layer = head.layer;
  const auto channels = static_cast<int64_t>(layer.units.size());
  if (head.pooled || (two.shape(layer.output).size() == 2 && two.shape(program.output).size() == 2)) return;
  const ValueId end =
      head.resampled.empty() ? program.output : program.node(program.maker(head.resampled.front())).inputs[0];
  const bool same = positions(layer.output, channels) == positions(end, channels);
  const bool ends =
      head.resampled.empty() || positions(head.resampled.back(), channels) == positions(program.output, channels);
  if (same && ends && two.batch_axes[at_index(layer.output)] == 0) return;
  fail(
      ExitCode::unsupported,
      "no head can be fitted for the output layer '{}': its positions are not those of the output; use --head original",
      layer.name);
}

/// The names of the model's outputs: as given, else those of the data. Throws Error (usage, data_mismatch) if they are
/// not one for each output.
std::vector<std::string> output_names(const DecomposeOptions& options, const Dataset& data, int64_t count) {
  const bool given = !options.names.empty();
  const std::vector<std::string>& names = given ? options.names : data.names;
  if (names.empty() || static_cast<int64_t>(names.size()) == count) return names;
  if (given) {
    fail(ExitCode::usage, "--names: {} name{}; expected {}, one for each output of the model", names.size(),
         names.size() == 1 ? "" : "s", count);
  }
  fail(ExitCode::data_mismatch,
       "{}: array 'names' has {} texts; expected {}, one for each output of the model. Correct it, or pass --names",
       data.file, names.size(), count);
}

void choose_modules(const DecomposeOptions& options, Subject& subject) {
  const int64_t count = subject.model.outputs;
  std::vector<int64_t> chosen = chosen_outputs(options.outputs, count);
  if (options.present && subject.task == Task::regression)
    fail(ExitCode::usage, "--outputs present is not for regression; pass numbers of outputs, or all");
  if (options.present) subject.absent = take_absent(subject, chosen);
  subject.modules = chosen_sets(options, chosen, subject.task, count);
  subject.outputs = outputs_of(subject.modules);
  subject.names = output_names(options, *subject.data, count);
  if (subject.names.empty()) return;
  for (OutputSet& set : subject.modules) {
    for (const int64_t output : set.outputs)
      set.names.push_back(subject.names[static_cast<size_t>(output)]);
  }
}

/// Splits the samples into those for fitting and those for measuring.
void split(const DecomposeOptions& options, Subject& subject) {
  const AnalysedModel& model = subject.model;
  subject.fit = truth(model.program, *subject.data, subject.task, model.kind, model.outputs);
  if (subject.test) {
    subject.fit.samples = sample_order(subject.fit, subject.task, options.seed);
    subject.held_out = truth(model.program, *subject.test, subject.task, model.kind, model.outputs);
    subject.held_out.samples = at::arange(subject.test->size(), at::kLong);
  } else {
    subject.held_out = hold_out(subject.fit, subject.task, options.held_out, options.seed);
  }
}

}  // namespace

LoadedModel load(const DecomposeOptions& options, Stopwatch& watch) {
  watch.start("load");
  const at::Device device = parse_device(options.device);
  if (options.tf32 && device.is_cpu())
    fail(ExitCode::usage, "--tf32 is for a GPU; not for --device {}", options.device);
  auto data = std::make_shared<Dataset>(read_dataset(options.data));
  const std::shared_ptr<Dataset> test = read_test_data(options, *data);
  Program program = load_model(options.model, *data, options.output, device);
  if (test) {
    read_like(*test, *data);
    check_integers(program, *test);
    settle_positions(*test, program, most_measured_outputs, options.seed);
  }
  settle_positions(*data, program, most_fit_outputs, options.seed);
  watch.start("analysis");
  LoadedModel loaded{analysed(std::move(program), *data), data, test, 0};
  loaded.multiply_adds = multiply_adds(loaded.model.program, two_samples(*data, device));
  return loaded;
}

Subject prepare(LoadedModel loaded, const DecomposeOptions& options) {
  Subject subject;
  subject.model = std::move(loaded.model);
  subject.data = std::move(loaded.data);
  subject.test = std::move(loaded.test);
  subject.parameters = subject.model.program.parameter_count();
  subject.multiply_adds = loaded.multiply_adds;
  subject.task = choose_task(options.task, *subject.data, subject.model.kind, subject.model.outputs);
  subject.one_column = is_one_column(subject.task, subject.model.outputs);
  if (subject.one_column) subject.model = as_two_columns(options.model, subject.model.program, *subject.data);
  subject.model.kind = kind_for(subject.task, subject.model.kind);
  if (row_of(options.head).own) join_added_heads(subject);
  const AnalysedModel& model = subject.model;
  check_model(options.model, model.map);
  chosen_outputs(options.outputs, model.outputs);  // so that a wrong number is the first error
  if (row_of(options.head).own) check_positions(fittable_head(model.program, model.map, subject.task), subject);
  if (subject.data->positions.defined() && row_of(options.head).balances)
    fail(ExitCode::usage, "--head {} is not for outputs with positions; leave it out", to_string(options.head));
  split(options, subject);
  choose_modules(options, subject);
  set_validation_samples(options, subject);
  if (subject.task != Task::regression) check_classes(subject.fit, subject.modules, model.outputs);
  return subject;
}

}  // namespace incite
