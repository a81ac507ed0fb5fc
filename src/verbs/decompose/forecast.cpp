#include "verbs/decompose/forecast.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/workers.hpp"
#include "evaluation/evaluate.hpp"
#include "scoring/metrics.hpp"
#include "scoring/scoring_cost.hpp"

namespace incite {
namespace {

constexpr double long_run = 600;                // seconds: from here on, options that shorten it are named
constexpr double seconds_to_show = 60;          // a sentence counts minutes from here on
constexpr int64_t first_samples_scored = 1024;  // the stop rule needs about so many at least
constexpr int64_t repaired_samples = 3 * 4096;  // at most; see repair_samples in module.cpp
constexpr int64_t timed_samples = 64;           // of a run that is timed, at most
constexpr int timed_runs = 3;
constexpr double sizes_of_a_search = 6;       // that --max-loss tries, about
constexpr double seconds_of_a_module = 0.15;  // for its head and its file, whatever the network
// How many times longer than counted multiply-adds tell, measured on the networks of docs/performance.md.
constexpr double of_mutants = 1.5, of_gradients = 2, of_modules = 3;
constexpr double of_a_step = 3;  // of training, in passes

/// Multiply-adds a second on one thread.
double measured_rate(const Subject& subject) {
  const Program& program = subject.model.program;
  const at::Tensor samples = subject.train.narrow(0, 0, std::min(subject.train.size(0), timed_samples));
  double least = INFINITY;
  for (int run = 0; run < timed_runs; ++run) {
    const auto start = std::chrono::steady_clock::now();
    const OneThread alone;
    run_pieces(1, 1, program.device, [&](int64_t) { outputs_for(program, *subject.data, samples); });
    least = std::min(least, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return subject.multiply_adds * static_cast<double>(samples.size(0)) / std::max(least, 1e-9);
}

/// Samples that pass through a module while it is made.
double samples_of_a_module(const Plan& plan, const Subject& subject) {
  const int64_t train = subject.train.size(0), validation = subject.validation.size(0);
  const double repaired =
      plan.options.repair == RepairMethod::none ? 0 : static_cast<double>(std::min(train, repaired_samples));
  const double trained = of_a_step * static_cast<double>(plan.options.finetune * train);
  return repaired + trained + static_cast<double>(train + validation + subject.held_out.samples.size(0));
}

std::string minutes(double least, double most) {
  const auto text = [](double seconds) {
    return seconds < 60 ? std::string("1") : fmt::format("{:.0f}", seconds / 60);
  };
  return text(least) == text(most) ? text(most) : fmt::format("{} to {}", text(least), text(most));
}

}  // namespace

Forecast forecast(const Plan& plan, const Subject& subject) {
  const AnalysedModel& model = subject.model;
  const double workers = static_cast<double>(workers_for(model.program.device));
  const double rate = measured_rate(subject) * workers;
  const double modules = static_cast<double>(subject.modules.size());
  Forecast told;
  if (!(subject.multiply_adds > 0)) return told;
  if (row_of(plan.metric).baseline == nullptr && plan.options.scores.empty()) {
    ClusterParams clusters;
    clusters.method = plan.options.clustering;
    clusters.cluster_size = plan.options.cluster_size;
    const ScoringCost cost =
        scoring_cost(model.program, model.map, clusters, plan.options.factors, wanted_outputs(subject), *subject.data);
    const bool mutates = plan.scoring.scoring == Scoring::mutation;
    const double of_sample = (mutates ? of_mutants * cost.mutation : of_gradients * cost.gradient) / rate;
    const int64_t all = subject.fit.samples.size(0);
    const int64_t most = plan.options.samples > 0 ? std::min(plan.options.samples, all) : all;
    const int64_t least = plan.options.agreement ? std::min(first_samples_scored, most) : most;
    told.least_scoring = of_sample * static_cast<double>(least);
    told.most_scoring = of_sample * static_cast<double>(most);
  }
  const double sizes = std::holds_alternative<MaxLoss>(plan.options.size) ? sizes_of_a_search : 1;
  const double of_sample = of_modules * subject.multiply_adds * plan.likely_share / rate;
  told.modules = sizes * modules * (of_sample * samples_of_a_module(plan, subject) + seconds_of_a_module / workers);
  return told;
}

std::string to_sentence(const Forecast& told, const Plan& plan) {
  if (told.most() < seconds_to_show) return fmt::format("This takes about {:.0f} s.", std::max(told.most(), 1.0));
  std::string text = fmt::format("This takes about {} min: scoring {}, modules {}.",
                                 minutes(told.least_scoring + told.modules, told.most()),
                                 minutes(told.least_scoring, told.most_scoring), minutes(told.modules, told.modules));
  if (told.most() < long_run) return text;
  if (told.most_scoring > told.modules) {
    const bool mutates = plan.scoring.scoring == Scoring::mutation;
    text += mutates ? " --scoring gradient or --samples 1000 take less." : " --samples 1000 takes less.";
  } else {
    text += plan.options.finetune > 0 ? " A smaller --finetune or fewer --modules take less."
                                      : " Fewer --modules, or fewer samples in --data, take less.";
  }
  return text;
}

}  // namespace incite
