#include "verbs/decompose/choose.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/workers.hpp"
#include "scoring/metrics.hpp"
#include "selection/select.hpp"
#include "verbs/decompose/fit_together.hpp"
#include "verbs/decompose/loss.hpp"

namespace incite {
namespace {

/// By cluster: whether its removal changes nothing, so that it goes at any size. A score of 0 shows that only for some
/// metrics and factors, and where mutants ran: a gradient may be 0 all the same.
std::vector<bool> dead_clusters(const Plan& plan, const Scores& scores, const OutputSet& set) {
  const std::vector<double>& factors = plan.options.factors;
  const bool removes = std::find(factors.begin(), factors.end(), 0.0) != factors.end();
  std::vector<bool> dead(scores.clusters.size(), false);
  if (!row_of(plan.metric).exact || !removes || plan.scoring.scoring == Scoring::gradient) return dead;
  const at::Tensor none =
      (scores.contributions.scores.index_select(1, at::tensor(set.outputs, at::kLong)) == 0).all(1).contiguous();
  for (size_t c = 0; c < dead.size(); ++c)
    dead[c] = none.const_data_ptr<bool>()[c];
  return dead;
}

/// Selects for all modules in parallel.
template <typename Select>
std::vector<Selection> for_each_module(const Workshop& w, const Select& select_for) {
  const std::vector<OutputSet>& modules = w.subject.modules;
  std::vector<Selection> selections(modules.size());
  run_on_workers(static_cast<int64_t>(modules.size()), w.workers,
                 [&](int64_t m) { selections[static_cast<size_t>(m)] = select_for(modules[static_cast<size_t>(m)]); });
  return selections;
}

std::vector<Selection> kept_shares(const Workshop& w, const Scores& scores, double share) {
  const UnitMap& map = w.subject.model.map;
  return for_each_module(w, [&](const OutputSet& set) {
    Selection keep = select(map, scores.clusters, scores.contributions.scores, set.outputs, share);
    remove_dead(map, scores.clusters, dead_clusters(w.plan, scores, set), keep);
    return keep;
  });
}

std::vector<Selection> compressed(const Workshop& w, const Scores& scores, double times) {
  const AnalysedModel& model = w.subject.model;
  CompressParams params;
  params.allocation = w.plan.options.allocation;
  params.parameters = static_cast<int64_t>(static_cast<double>(w.subject.parameters) / times);
  std::map<int64_t, ParameterCount> counts;  // by rows of the head
  for (const OutputSet& set : w.subject.modules) {
    const int64_t rows = head_rows(w.plan.options.head, set);
    counts.try_emplace(rows, model.program, model.map, rows);
  }
  return for_each_module(w, [&](const OutputSet& set) {
    CompressParams own = params;
    own.dead = dead_clusters(w.plan, scores, set);
    const ParameterCount& count = counts.at(head_rows(w.plan.options.head, set));
    return compress(count, model.map, scores.clusters, scores.contributions.scores, set.outputs, own);
  });
}

Choice search(const Workshop& w, const Scores& scores, double most_loss) {
  const ModuleLoss loss(w);
  Choice choice;
  const auto compression = [](int64_t step) {
    return std::exp2(static_cast<double>(step) / static_cast<double>(search_steps_per_octave));
  };
  const auto good = [&](int64_t step) {
    const FittedModules fitted = fit_together(w, compressed(w, scores, compression(step)));
    choice.steps.push_back(loss(fitted.validation_columns, compression(step)));
    return choice.steps.back().bound() <= most_loss;
  };
  choice.selections = compressed(w, scores, compression(largest_good_step(good)));
  return choice;
}

}  // namespace

int64_t largest_good_step(const std::function<bool(int64_t)>& good) {
  constexpr int64_t too_large = 8 * search_steps_per_octave;  // 256 times smaller: never tried
  int64_t small = 0;                                          // the answer, even if it is not good
  int64_t large = too_large;
  int64_t step = 2 * search_steps_per_octave;
  while (large - small > 1) {
    (good(step) ? small : large) = step;
    // Go up by octaves at first, since the answer is near the start for most models.
    step =
        large == too_large ? std::min(small + search_steps_per_octave, (small + large + 1) / 2) : (small + large) / 2;
  }
  return small;
}

Choice choose(const Workshop& w, const Scores& scores) {
  struct Choose {
    const Workshop& w;
    const Scores& scores;
    Choice operator()(const Keep& keep) const { return {kept_shares(w, scores, keep.share), {}}; }
    Choice operator()(const Compression& size) const { return {compressed(w, scores, size.times), {}}; }
    Choice operator()(const MaxLoss& loss) const { return search(w, scores, loss.most); }
  };
  return std::visit(Choose{w, scores}, w.plan.options.size);
}

}  // namespace incite
