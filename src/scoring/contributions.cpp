#include "incite/scoring/contributions.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "incite/base/error.hpp"
#include "incite/base/random.hpp"
#include "suffix.hpp"

namespace incite {
namespace {

constexpr int64_t default_memory = int64_t{1} << 30;

/// The mutants of one group and how they run.
struct GroupPlan {
  int32_t group;
  std::vector<Mutant> mutants;
  Suffix suffix;
  std::vector<MutantBatch> batches;
};

/// Differences of stacked mutants' outputs from the unmutated ones, summed over samples. [mutants, outputs] float64
at::Tensor differences(const at::Tensor& base, const at::Tensor& mutated, Metric metric, OutputKind kind) {
  const int64_t samples = base.size(0);
  const int64_t outputs = base.size(1);
  const int64_t mutants = mutated.size(0) / samples;
  const at::Tensor stacked = mutated.view({mutants, samples, outputs});
  if (metric == Metric::absolute) return (stacked - base).abs().sum(1, false, at::kDouble);
  if (metric == Metric::probability)
    return (probabilities(stacked, kind) - probabilities(base, kind)).abs().sum(1, false, at::kDouble);
  const at::Tensor before = base.argmax(1).expand({mutants, samples});
  const at::Tensor after = stacked.argmax(2);
  const at::Tensor flipped = (before != after).to(at::kDouble);
  at::Tensor sums = at::zeros({mutants, outputs}, flipped.options());
  return sums.scatter_add_(1, before, flipped).scatter_add_(1, after, flipped);
}

class Scorer {
 public:
  Scorer(const Program& program, const UnitMap& map, const std::vector<Cluster>& clusters, OutputKind kind,
         const ScoringParams& params)
      : program_(program), map_(map), clusters_(clusters), kind_(kind), params_(params), executor_(program) {}

  Contributions run(const Dataset& data, const at::Tensor& order, const Progress& progress) {
    const at::NoGradGuard no_grad;
    plan(data);
    Contributions result;
    result.samples = order.size(0);
    result.mutants = static_cast<int64_t>(clusters_.size() * params_.factors.size());
    result.chunk = chunk_;
    for (const GroupPlan& group : groups_) {
      for (const MutantBatch& batch : group.batches)
        result.batch = std::max(result.batch, batch.mutants);
    }
    const int64_t total = result.samples * result.mutants;
    int64_t done = 0;
    for (int64_t first = 0; first < order.size(0); first += chunk_) {
      const at::Tensor samples = order.narrow(0, first, std::min(chunk_, order.size(0) - first));
      Environment base = executor_.start(data.batch(samples, program_.device));
      executor_.run(base, 0, static_cast<NodeId>(program_.nodes.size()), keep_);
      const at::Tensor outputs = base[static_cast<size_t>(program_.output)].toTensor();
      check_finite(outputs, samples);
      if (!scores_.defined()) {
        scores_ =
            at::zeros({static_cast<int64_t>(clusters_.size()), outputs.size(1)}, outputs.options().dtype(at::kDouble));
      }
      for (const GroupPlan& group : groups_) {
        for (const MutantBatch& batch : group.batches) {
          const at::Tensor mutated = group.suffix.run(executor_, base, batch);
          scores_.index_add_(0, batch.clusters, differences(outputs, mutated, params_.metric, kind_));
          done += batch.mutants * samples.size(0);
          if (progress) progress({"scoring", done, total, "mutant-samples"});
        }
      }
    }
    result.scores = scores_.to(at::kCPU);
    return result;
  }

 private:
  void plan(const Dataset& data) {
    unit_clusters_.assign(map_.units.size(), -1);
    for (size_t c = 0; c < clusters_.size(); ++c) {
      for (const int32_t unit : clusters_[c].units)
        unit_clusters_[static_cast<size_t>(unit)] = static_cast<int64_t>(c);
    }
    const Sample two = sample_values(program_, data.batch(at::zeros({2}, at::kLong), program_.device));
    for (size_t g = 0; g < map_.groups.size(); ++g) {
      std::vector<Mutant> mutants;
      for (size_t c = 0; c < clusters_.size(); ++c) {
        if (clusters_[c].group != static_cast<int32_t>(g)) continue;
        for (const double factor : params_.factors)
          mutants.push_back({static_cast<int64_t>(c), factor});
      }
      if (mutants.empty()) continue;
      groups_.push_back({static_cast<int32_t>(g),
                         std::move(mutants),
                         Suffix(program_, map_, static_cast<int32_t>(g), two, unit_clusters_),
                         {}});
    }
    keep_.assign(program_.values.size(), false);
    int64_t largest = 1;
    for (const GroupPlan& group : groups_) {
      largest = std::max(largest, group.suffix.plan().bytes_per_sample);
      for (const ValueId value : group.suffix.plan().saved)
        keep_[static_cast<size_t>(value)] = true;
    }
    // Half of the budget for the run without mutants and what is saved of it, half for the mutants.
    const int64_t budget = (params_.memory > 0 ? params_.memory : default_memory) / 2;
    const int64_t base_bytes = std::max<int64_t>(two.activation_bytes / 2, 1);
    if (const int64_t least = std::max(base_bytes, largest); budget < least) {
      fail(ExitCode::device,
           "a memory budget of {} bytes is too small to score one sample: it takes {}; raise --memory", 2 * budget,
           2 * least);
    }
    chunk_ = std::clamp<int64_t>(std::min(budget / base_bytes, budget / largest), 1, params_.most_samples);
    for (GroupPlan& group : groups_) {
      const int64_t bytes = std::max<int64_t>(group.suffix.plan().bytes_per_sample, 1);
      const int64_t rows = std::min(budget / bytes, params_.most_rows);
      const auto most = static_cast<size_t>(std::max<int64_t>(rows / chunk_, 1));
      for (size_t first = 0; first < group.mutants.size(); first += most) {
        const size_t last = std::min(first + most, group.mutants.size());
        group.batches.push_back(group.suffix.batch({group.mutants.begin() + static_cast<std::ptrdiff_t>(first),
                                                    group.mutants.begin() + static_cast<std::ptrdiff_t>(last)},
                                                   program_.device));
      }
    }
  }

  static void check_finite(const at::Tensor& outputs, const at::Tensor& samples) {
    const at::Tensor finite = outputs.isfinite().all(1).to(at::kCPU);
    if (finite.all().item<bool>()) return;
    const int64_t row = finite.to(at::kInt).argmin().item<int64_t>();
    fail(ExitCode::data_mismatch,
         "the model's output for sample {} is NaN or infinite; check the data and --input-scale",
         samples[row].item<int64_t>());
  }

  const Program& program_;
  const UnitMap& map_;
  const std::vector<Cluster>& clusters_;
  const OutputKind kind_;
  const ScoringParams& params_;
  const Executor executor_;
  std::vector<GroupPlan> groups_;
  std::vector<bool> keep_;              // by value: saved from the run without mutants
  std::vector<int64_t> unit_clusters_;  // -1: in none
  int64_t chunk_ = 1;
  at::Tensor scores_;
};

/// Scores that say nothing of the clusters.
Contributions random_scores(const Program& program, const std::vector<Cluster>& clusters, const Dataset& data,
                            const ScoringParams& params) {
  const at::NoGradGuard no_grad;
  const int64_t outputs = Executor(program)(data.batch(0, 1, program.device)).size(1);
  Contributions result;
  result.scores = at::empty({static_cast<int64_t>(clusters.size()), outputs}, at::kDouble);
  Random random(params.seed);
  for (int64_t i = 0; i < result.scores.numel(); ++i)
    result.scores.data_ptr<double>()[i] = random.uniform();
  return result;
}

}  // namespace

const char* to_string(Metric metric) {
  switch (metric) {
    case Metric::probability:
      return "probability";
    case Metric::flips:
      return "flips";
    case Metric::absolute:
      return "absolute";
    case Metric::random:
      return "random";
  }
  throw std::logic_error("a metric without a name");
}

Contributions score(const Program& program, const UnitMap& map, const std::vector<Cluster>& clusters, OutputKind kind,
                    const Dataset& data, const at::Tensor& order, const ScoringParams& params,
                    const Progress& progress) {
  if (params.metric == Metric::random) return random_scores(program, clusters, data, params);
  return Scorer(program, map, clusters, kind, params).run(data, order, progress);
}

}  // namespace incite
