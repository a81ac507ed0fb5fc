#include "verbs/decompose/choose_scoring.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/fail.hpp"
#include "scoring/gradient.hpp"
#include "scoring/metrics.hpp"
#include "scoring/scoring_cost.hpp"

namespace incite {
namespace {

constexpr int64_t some_samples = 1000;

ScoringChoice by_cost(const DecomposeOptions& options, const Subject& subject) {
  const AnalysedModel& model = subject.model;
  ClusterParams params;
  params.method = options.clustering;
  params.cluster_size = options.cluster_size;
  const ScoringCost cost =
      scoring_cost(model.program, model.map, params, options.factors, wanted_outputs(subject), *subject.data);
  const auto samples = static_cast<double>(std::min(subject.fit.samples.size(0), some_samples));
  if (cost.mutation * samples <= cheap) return {Scoring::mutation, "mutants take little"};
  const double times = cost.mutation / cost.gradient;
  const std::string reason = fmt::format("mutants take {:.2g} times the multiply-adds of gradients", times);
  return {times > dear ? Scoring::gradient : Scoring::mutation, reason};
}

}  // namespace

std::vector<int64_t> wanted_outputs(const Subject& subject) {
  const std::set<int64_t> wanted(subject.outputs.begin(), subject.outputs.end());
  return {wanted.begin(), wanted.end()};
}

std::string scored_outputs_text(const Subject& subject) {
  const std::vector<int64_t> wanted = wanted_outputs(subject);
  const bool all = static_cast<int64_t>(wanted.size()) == subject.model.outputs;
  return all ? "all" : fmt::format("{}", fmt::join(wanted, ","));
}

ScoringChoice choose_scoring(const DecomposeOptions& options, const Subject& subject, std::optional<Scoring> earlier) {
  const Metric metric = *options.metric;
  if (row_of(metric).baseline != nullptr) return {};
  if (!row_of(metric).estimated) {
    if (options.scoring == Scoring::gradient) {
      fail(ExitCode::usage,
           "--scoring gradient does not estimate --metric {}; pass another metric, or --scoring mutation",
           to_string(metric));
    }
    return {Scoring::mutation, fmt::format("gradients do not estimate --metric {}", to_string(metric))};
  }
  if (options.scoring == Scoring::mutation) return {Scoring::mutation, "as asked for"};
  if (!options.scoring && earlier) return {*earlier, "as in the scores of the earlier run"};
  ScoringChoice choice{Scoring::gradient, "as asked for"};
  if (!options.scoring) choice = by_cost(options, subject);
  if (choice.scoring == Scoring::mutation) return choice;
  const AnalysedModel& model = subject.model;
  const std::string obstacle = obstacle_to_gradients(model.program, model.map, model.kind, *subject.data, metric);
  if (obstacle.empty()) return choice;
  return {Scoring::mutation, "gradients can't be used: " + obstacle, options.scoring.has_value()};
}

}  // namespace incite
