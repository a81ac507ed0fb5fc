#include "verbs/decompose/scores.hpp"

#include <ATen/ATen.h>

#include "base/fail.hpp"
#include "base/random.hpp"
#include "selection/select.hpp"
#include "verbs/decompose/options.hpp"

namespace incite {
namespace {

ScoresRequest request(const Plan& plan, ScoresUse use, std::filesystem::path file) {
  return {use, std::move(file), plan.options.model, plan.options.data.file};
}

Scores taken_from_file(const Plan& plan, const Subject& subject) {
  const std::filesystem::path& file = plan.options.scores;
  const SavedScores saved = read_scores(file, ScoresUse::take);
  check_same(request(plan, ScoresUse::take, file), {saved.made_from, saved.size},
             {plan.scores_key, size_text(plan.options.size)});
  if (!saved.finished) {
    fail(ExitCode::usage, "{}: comes from a run that was stopped; expected {} of a finished run", file.string(),
         scores_name);
  }
  Scores scores;
  scores.clusters = clusters_of(subject.model.map, saved.unit_clusters);
  scores.contributions = contributions_of(scores.clusters, saved.state);
  return scores;
}

void check_resumable(const Plan& plan, const SavedScores& saved) {
  ScoresKey found = saved.made_from;
  append(found, saved.run_with);
  ScoresKey wanted = plan.scores_key;
  append(wanted, plan.run_key);
  check_same(request(plan, ScoresUse::resume, plan.options.out / checkpoint_name), {found, saved.size},
             {wanted, size_text(plan.options.size)});
}

std::vector<Cluster> clusters_for(const Plan& plan, const Subject& subject, const std::optional<SavedScores>& saved) {
  if (saved) return clusters_of(subject.model.map, saved->unit_clusters);
  ClusterParams params;
  params.method = plan.options.clustering;
  params.cluster_size = plan.options.cluster_size;
  params.seed = plan.options.seed;
  return cluster_units(subject.model.program, subject.model.map, params);
}

}  // namespace

std::optional<SavedScores> scores_to_resume(const DecomposeOptions& options) {
  const std::filesystem::path file = options.out / checkpoint_name;
  if (!options.resume || !std::filesystem::exists(file)) return std::nullopt;
  return read_scores(file, ScoresUse::resume);
}

std::optional<Scoring> scoring_of_earlier(const DecomposeOptions& options) {
  if (options.scores.empty()) return std::nullopt;
  return named<Scoring>(value_of(read_scores(options.scores, ScoresUse::take).made_from, scoring_key));
}

Scores scores_for(const Plan& plan, const Subject& subject, const std::optional<SavedScores>& saved, StagedFiles& files,
                  Stopwatch& watch, const Progress& progress) {
  if (!plan.options.scores.empty()) {
    watch.start("scoring");
    return taken_from_file(plan, subject);
  }
  if (saved) check_resumable(plan, *saved);
  watch.start("clustering");
  Scores scores;
  scores.clusters = clusters_for(plan, subject, saved);
  watch.start("scoring");
  ScoringParams params;
  params.metric = plan.metric;
  params.scoring = plan.scoring.scoring;
  params.outputs = wanted_outputs(subject);
  params.factors = plan.options.factors;
  params.memory = plan.memory;
  params.seed = derive_seed(plan.options.seed, "scoring");
  params.samples = plan.options.samples;
  params.tf32 = plan.options.tf32;
  if (plan.options.agreement) {
    const auto chosen = [share = plan.likely_share](const at::Tensor& group) { return best_clusters(group, share); };
    params.stop = StopRule{chosen, *plan.options.agreement};
  }
  if (saved) params.resume = saved->state;
  params.save = [&](const ScoringState& state) {
    files.put(checkpoint_name, serialise(to_save(plan, subject, scores.clusters, state, false)));
  };
  const AnalysedModel& model = subject.model;
  scores.contributions = score(model.program, model.map, scores.clusters, model.kind, *subject.data,
                               subject.fit.samples, params, progress);
  return scores;
}

SavedScores to_save(const Plan& plan, const Subject& subject, const std::vector<Cluster>& clusters,
                    const ScoringState& state, bool finished) {
  const UnitMap& map = subject.model.map;
  std::string layers;
  for (const Layer& layer : map.layers)
    layers += layer.name + "\n";
  std::vector<int64_t> channels;
  for (size_t unit = 0; unit < map.units.size(); ++unit) {
    for (const Unit::Member& member : map.units[unit].members)
      channels.insert(channels.end(), {static_cast<int64_t>(unit), member.layer, member.channel});
  }
  return {.made_from = plan.scores_key,
          .run_with = plan.run_key,
          .state = state,
          .unit_clusters = unit_clusters(map, clusters),
          .layers = layers,
          .channels = at::tensor(channels, at::kLong).view({-1, 3}),
          .memory = plan.memory,
          .finished = finished,
          .size = size_text(plan.options.size)};
}

}  // namespace incite
