#include "incite/decompose.hpp"

#include <numeric>

#include "base/fail.hpp"
#include "base/freed_memory.hpp"
#include "base/stopwatch.hpp"
#include "evaluation/result_warnings.hpp"
#include "report/json.hpp"
#include "store/checkpoint_files.hpp"
#include "store/files.hpp"
#include "store/result_folder.hpp"
#include "subject/warnings.hpp"
#include "verbs/decompose/choose.hpp"
#include "verbs/decompose/forecast.hpp"
#include "verbs/decompose/make.hpp"
#include "verbs/decompose/measure.hpp"
#include "verbs/decompose/plan.hpp"
#include "verbs/decompose/scores.hpp"

namespace incite {
namespace {

constexpr double seconds_worth_telling = 60;

/// Throws Error (output) rather than replace an earlier result or checkpoint that the user did not mention.
void check_folder(const DecomposeOptions& options) {
  if (has_checkpoint(options.out) && !options.force && !options.resume) {
    fail(ExitCode::output,
         "{}: holds a checkpoint of a run that was stopped; pass --resume to continue it, or --force to start over",
         options.out.string());
  }
  std::error_code error;  // too long a name is reported later, when the folder is created
  if (std::filesystem::exists(options.out / document_name, error) && !options.force) {
    fail(ExitCode::output, "{}: already holds a decomposition; pass --force to replace it, or another --out",
         options.out.string());
  }
}

/// The files of the result, except the document.
std::vector<std::string> result_files(const DecomposeOptions& options, const std::vector<OutputSet>& modules) {
  std::vector<std::string> files;
  files.reserve(modules.size() + 1);
  for (const OutputSet& set : modules)
    files.push_back(module_file(set, options.format));
  if (options.keep_scores) files.emplace_back(scores_name);
  return files;
}

/// Shows these warnings at once, so that the user can stop the run early.
std::vector<std::string> warn_before_scoring(const Plan& plan, const Subject& subject, const Progress& progress) {
  std::vector<std::string> warnings = warnings_before_scoring(subject);
  if (plan.scoring.fell_back)
    warnings.push_back("Mutants run in spite of --scoring gradient; " + plan.scoring.reason + ".");
  for (const std::string& warning : warnings) {
    ProgressEvent event;
    event.warning = warning;
    if (progress) progress(event);
  }
  return warnings;
}

/// Users of a long run will want to know, and to shorten it.
void tell_how_long(const Plan& plan, const Subject& subject, const Progress& progress) {
  if (!progress) return;
  const Forecast told = forecast(plan, subject);
  ProgressEvent event;
  event.note = to_sentence(told, plan);
  event.important = told.most() >= seconds_worth_telling;
  progress(event);
}

std::vector<GroupResult> group_results(const UnitMap& map, const Scores& scores) {
  const ScoringState& state = scores.contributions.state;
  std::vector<GroupResult> groups;
  for (size_t g = 0; g < map.groups.size(); ++g) {
    const Group& group = map.groups[g];
    const auto row = static_cast<int64_t>(g);
    GroupResult result;
    for (const int32_t layer : group.layers)
      result.layers.push_back(map.layers[static_cast<size_t>(layer)].name);
    result.units = static_cast<int64_t>(group.units.size());
    result.pinned = map.pinned_units(group);
    result.scored_samples = state.samples[row].sum().item<int64_t>();
    result.agreement = state.agreement[row].item<double>();
    groups.push_back(std::move(result));
  }
  for (const Cluster& cluster : scores.clusters)
    ++groups[static_cast<size_t>(cluster.group)].clusters;
  return groups;
}

/// The part of the result that describes the model and its data.
Decomposition described(const Plan& plan, const Subject& subject) {
  Decomposition result;
  result.model = plan.model;
  result.parameters = subject.parameters;
  result.bytes = static_cast<int64_t>(std::filesystem::file_size(plan.options.model));
  result.multiply_adds = subject.multiply_adds;
  result.outputs = subject.model.outputs;
  result.kind = subject.model.kind;
  result.task = subject.task;
  result.one_column = subject.one_column;
  result.data = plan.data;
  result.test = plan.test;
  result.samples = subject.data->size();
  result.fit_samples = subject.fit.samples.size(0);
  result.validation_samples = subject.validation.size(0);
  result.test_samples = subject.held_out.samples.size(0);
  result.own_targets = !subject.data->target.defined();
  result.input_key = plan.options.data.input_key;
  result.target_key = plan.options.data.target_key;
  result.input_scale = subject.data->input_scale;
  result.input_shape = plan.options.data.input_shape;
  result.input_layout = plan.options.data.input_layout;
  result.output = plan.options.output;
  result.settings = plan.settings;
  result.own_heads = row_of(plan.options.head).own;
  result.device = plan.options.device;
  result.threads = plan.threads;
  return result;
}

void add_scores(const Plan& plan, const UnitMap& map, const Scores& scores, Decomposition& result) {
  const Contributions& contributions = scores.contributions;
  result.groups = group_results(map, scores);
  result.scored_samples = contributions.samples;
  result.scoring = {plan.scoring.scoring,        plan.scoring.reason, contributions.mutants, contributions.passes,
                    contributions.multiply_adds, contributions.chunk, contributions.batch};
}

void add_modules(const Plan& plan, Choice choice, Modules modules, Measures measures, Decomposition& result) {
  if (const auto* loss = std::get_if<MaxLoss>(&plan.options.size)) result.max_loss = loss->most;
  result.steps = std::move(choice.steps);
  result.modules = std::move(modules.results);
  result.head_losses = std::move(modules.head_losses);
  result.last_layer_losses = std::move(modules.last_layer_losses);
  result.finetuning_losses = std::move(modules.finetuning_losses);
  result.evaluation = std::move(measures.evaluation);
  result.overlap = measures.overlap;
  result.mean_overlap = measures.mean_overlap;
  result.mean_compression = measures.mean_compression;
  for (std::string& warning : warnings_after(plan.options, result))
    result.warnings.push_back(std::move(warning));
}

std::vector<std::pair<std::string, double>> with_total(std::vector<std::pair<std::string, double>> seconds) {
  const double total = std::accumulate(seconds.begin(), seconds.end(), 0.0,
                                       [](double sum, const auto& entry) { return sum + entry.second; });
  seconds.emplace_back("total", total);
  return seconds;
}

}  // namespace

Decomposition decompose(const DecomposeOptions& options, const Progress& progress) {
  check_options(options);
  check_folder(options);
  Stopwatch watch;
  StagedFiles files(options.out);
  const std::optional<SavedScores> saved = scores_to_resume(options);
  const Subject subject = prepare(load(options, watch), options);
  const ResultFolder folder(options.out, {options.model, options.scores}, result_files(options, subject.modules));
  folder.check_targets(options.force);
  if (!options.resume) remove_checkpoints(options.out);  // with --force they are those of an abandoned run
  const Plan plan = settle(options, subject, {saved ? saved->memory : 0, scoring_of_earlier(options)});
  Decomposition result = described(plan, subject);
  result.warnings = warn_before_scoring(plan, subject, progress);
  tell_how_long(plan, subject, progress);

  const Scores scores = scores_for(plan, subject, saved, files, watch, progress);
  add_scores(plan, subject.model.map, scores, result);
  watch.start("modules");
  {
    const FreedMemoryStays freed_memory_stays;
    const Workshop shop = workshop(plan, subject, files, progress);
    Choice choice = choose(shop, scores);
    Modules modules = make(shop, choice);
    watch.start("evaluation");
    Measures measures = measure(subject, choice, modules, progress);
    add_modules(plan, std::move(choice), std::move(modules), std::move(measures), result);
  }
  result.seconds = with_total(watch.seconds());

  if (options.keep_scores) {
    const std::string text =
        serialise(to_save(plan, subject, scores.clusters, scores.contributions.state, /*finished=*/true));
    result.scores_bytes = static_cast<int64_t>(text.size());
    files.write(scores_name, text);
  }
  files.write(document_name, to_json(result));
  files.commit();
  remove_checkpoints(options.out);
  folder.remove_stale();
  return result;
}

}  // namespace incite
