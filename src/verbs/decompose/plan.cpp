#include "verbs/decompose/plan.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "program/device.hpp"
#include "scoring/metrics.hpp"
#include "slicing/head.hpp"
#include "store/files.hpp"
#include "store/scores_file.hpp"
#include "verbs/decompose/options.hpp"

namespace incite {
namespace {

Metric choose_metric(const DecomposeOptions& options, Task task) {
  if (!options.metric) {
    if (task == Task::regression) return Metric::absolute;
    return task == Task::classification ? options.classification_metric : Metric::probability;
  }
  if (!is_for(*options.metric, task)) {
    std::vector<std::string> fitting;
    for (const auto& [metric, name] : names_of(Metric{})) {
      if (is_for(metric, task)) fitting.emplace_back(name);
    }
    const std::string last = fitting.back();
    fitting.pop_back();
    fail(ExitCode::usage, "--metric {} is not for {}; expected {} or {}", to_string(*options.metric), to_string(task),
         fmt::join(fitting, ", "), last);
  }
  return *options.metric;
}

/// The share of clusters that modules will likely keep: a layer with the share k of both dimensions has k² of its
/// parameters.
double likely_share(const Size& size) {
  if (const auto* keep = std::get_if<Keep>(&size)) return keep->share;
  const auto* compression = std::get_if<Compression>(&size);
  return 1 / std::sqrt(compression != nullptr ? compression->times : default_compression);
}

}  // namespace

std::string size_text(const Size& size) {
  struct Text {
    std::string operator()(const Keep& keep) const { return fmt::format("--keep {}", keep.share); }
    std::string operator()(const Compression& compression) const {
      return fmt::format("--target-compression {}", compression.times);
    }
    std::string operator()(const MaxLoss& loss) const { return fmt::format("--max-loss {}", loss.most); }
  };
  return std::visit(Text{}, size);
}

void check_options(const DecomposeOptions& options) {
  struct Check {
    void operator()(const Keep& keep) const {
      if (!(keep.share > 0 && keep.share <= 1))
        fail(ExitCode::usage, "--keep {}: expected a share above 0 and up to 1", keep.share);
    }
    void operator()(const Compression& compression) const {
      if (!(compression.times >= 1))
        fail(ExitCode::usage, "--target-compression {}: expected a number of 1 or more", compression.times);
    }
    void operator()(const MaxLoss& loss) const {
      if (!(loss.most >= 0)) fail(ExitCode::usage, "--max-loss {}: expected 0 or more", loss.most);
    }
  };
  std::visit(Check{}, options.size);
  if (options.finetune > 0 && !row_of(options.head).own) {
    fail(ExitCode::usage, "--finetune is for modules with heads of their own; not for --head original");
  }
  if (options.factors.empty()) fail(ExitCode::usage, "--factors: expected at least one factor");
  if (options.agreement && !(*options.agreement > 0 && *options.agreement <= 1)) {
    fail(ExitCode::usage, "--agreement {}: expected a share above 0 and up to 1", *options.agreement);
  }
}

Plan settle(const DecomposeOptions& options, const Subject& subject, const Earlier& earlier) {
  Plan plan;
  plan.options = options;
  plan.model = {options.model.string(), sha256_of_file(options.model)};
  plan.data = {options.data.file.string(), sha256_of_file(options.data.file)};
  if (options.test) plan.test = SourceFile{options.test->file.string(), sha256_of_file(options.test->file)};
  const at::Device device = subject.model.program.device;
  plan.metric = choose_metric(options, subject.task);
  plan.options.task = subject.task;
  plan.options.metric = plan.metric;
  plan.scoring = choose_scoring(plan.options, subject, earlier.scoring);
  plan.options.scoring = plan.scoring.scoring;
  plan.options.outputs = subject.outputs;
  std::sort(plan.options.outputs.begin(), plan.options.outputs.end());
  plan.options.names = subject.names;
  plan.options.device = device.str();
  if (std::holds_alternative<Keep>(options.size)) plan.options.allocation = Allocation::uniform;
  plan.likely_share = likely_share(options.size);
  plan.memory = options.memory > 0 ? options.memory : earlier.memory > 0 ? earlier.memory : default_memory(device);
  plan.threads = at::get_num_threads();
  const Settled settled{plan.options, subject.data->input_scale, plan.likely_share, plan.threads};
  plan.settings = settings_of(settled);
  plan.scores_key = {{"model", plan.model.sha256}, {"data", plan.data.sha256}};
  append(plan.scores_key, key_of(settled, Affects::scores));
  if (plan.scoring.scoring == Scoring::gradient)
    plan.scores_key.emplace_back(scored_outputs_key, scored_outputs_text(subject));
  plan.run_key = key_of(settled, Affects::run);
  plan.modules_key = fmt::format("validation={}\n", subject.validation.size(0));
  for (const ScoresKey& part : {key_of(settled, Affects::modules), plan.scores_key, plan.run_key}) {
    for (const auto& [name, value] : part)
      plan.modules_key += fmt::format("{}={}\n", name, value);
  }
  return plan;
}

}  // namespace incite
