#include "scoring/contributions.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "base/fail.hpp"
#include "base/freed_memory.hpp"
#include "base/transfer.hpp"
#include "base/workers.hpp"
#include "program/device.hpp"
#include "scoring/gradient.hpp"
#include "scoring/metrics.hpp"
#include "scoring/mutant_tasks.hpp"
#include "scoring/rounds.hpp"
#include "scoring/run_sizes.hpp"
#include "scoring/sampling.hpp"

namespace incite {
namespace {

/// Samples that have run without mutants.
struct Chunk {
  Environment base;
  at::Tensor outputs;
  ChunkCells cells;
};

class Scorer {
 public:
  Scorer(const Program& program, const UnitMap& map, const std::vector<Cluster>& clusters, OutputKind kind,
         const ScoringParams& params)
      : program_(program),
        map_(map),
        clusters_(clusters),
        kind_(kind),
        params_(params),
        executor_(program),
        rounds_({executor_, kind, clusters, map.groups.size(), params}) {}

  Contributions run(const Dataset& data, const at::Tensor& order, const Progress& progress) {
    const at::NoGradGuard no_grad;
    const FreedMemoryStays freed_memory_stays;
    const Tf32Products products(params_.tf32);
    most_ = params_.samples > 0 ? std::min(params_.samples, order.size(0)) : order.size(0);
    plan(data);
    rounds_.start(data, order, {most_, chunk_, chunks_at_once_, positions_, {}}, progress);
    while (!rounds_.over()) {
      const at::Tensor round = rounds_.next();
      run_round(data, round, progress);
      rounds_.end(round, at::cat(finite_));
      finite_.clear();
      done_in_round_ = 0;
      if (params_.save) params_.save(rounds_.to_go_on_from());
    }
    return result();
  }

 private:
  // ---- Plan -------------------------------------------------------------------------------------------------------

  void plan(const Dataset& data) {
    unit_clusters_ = unit_clusters(map_, clusters_);
    const Sample two = sample_values(program_, two_samples(data, program_.device));
    positions_ = compared_positions(two.shape(program_.output), params_.seed, program_.device);
    for (size_t g = 0; g < map_.groups.size(); ++g)
      plan_group(static_cast<int32_t>(g), two);
    keep_.assign(program_.values.size(), false);
    SampleBytes bytes{std::max<int64_t>(two.activation_bytes / 2, 1), 1};
    for (const MutantGroup& group : groups_) {
      bytes.mutant = std::max(bytes.mutant, group.suffix.plan().bytes_per_sample);
      for (const ValueId value : group.suffix.plan().saved)
        keep_[at_index(value)] = true;
    }
    share_out_mutants(RunSizes(params_.memory, bytes, most_, params_.most, program_.device));
  }

  void share_out_mutants(const RunSizes& sizes) {
    chunk_ = sizes.chunk();
    int64_t largest = 1;  // bytes of a batch
    for (MutantGroup& group : groups_) {
      const int64_t bytes = group.suffix.plan().bytes_per_sample;
      const int64_t mutants = std::min(sizes.mutants(bytes), static_cast<int64_t>(group.mutants.size()));
      largest = std::max(largest, mutants * chunk_ * bytes);
      share_out(group, mutants, program_.device);
    }
    const int64_t workers = workers_for(program_.device);
    chunks_at_once_ = sizes.chunks_at_once(workers);
    batches_at_once_ = sizes.batches_at_once(largest, workers);
  }

  void plan_group(int32_t g, const Sample& sample) {
    std::vector<Mutant> mutants;
    for (size_t c = 0; c < clusters_.size(); ++c) {
      if (clusters_[c].group != g) continue;
      for (const double factor : params_.factors)
        mutants.push_back({static_cast<int64_t>(c), factor});
    }
    if (mutants.empty()) return;
    groups_.push_back({g, std::move(mutants), Suffix(program_, map_, g, sample, unit_clusters_), {}});
  }

  // ---- Rounds -------------------------------------------------------------------------------------------------------

  /// Mutant-samples to go, at most, when so many of this round are done.
  int64_t left(int64_t done_in_round) const {
    int64_t mutants = 0;
    for (const MutantGroup& group : groups_)
      mutants += rounds_.settled(group.group) ? 0 : static_cast<int64_t>(group.mutants.size());
    return mutants * (most_ - rounds_.taken()) - done_in_round;
  }

  /// Some chunks at a time: all run without mutants, then each task's mutants on one after another.
  void run_round(const Dataset& data, const at::Tensor& round, const Progress& progress) {
    std::vector<at::Tensor> parts = round.split(even_part(round.size(0), chunk_));
    const auto all = static_cast<int64_t>(parts.size());
    in_batches(all, chunks_at_once_, [&](int64_t first, int64_t count) {
      std::vector<Chunk> chunks(static_cast<size_t>(count));
      const auto run = [&](int64_t i) {
        const at::NoGradGuard no_grad;
        chunks[static_cast<size_t>(i)] = run_unchanged(data, parts[static_cast<size_t>(first + i)]);
      };
      run_pieces(count, chunks_at_once_, program_.device, run);
      run_mutants(chunks, progress);
    });
  }

  Chunk run_unchanged(const Dataset& data, const at::Tensor& places) const {
    Chunk chunk;
    chunk.base = executor_.start(data.batch(rounds_.state().order.index_select(0, places), program_.device));
    executor_.run(chunk.base, 0, static_cast<NodeId>(program_.nodes.size()), keep_);
    chunk.outputs = chunk.base[at_index(program_.output)].toTensor();
    chunk.cells = chunk_cells(rounds_, places, program_.device);
    return chunk;
  }

  void run_mutants(const std::vector<Chunk>& chunks, const Progress& progress) {
    for (const Chunk& chunk : chunks)
      finite_.push_back(chunk.outputs.isfinite().flatten(1).all(1));
    std::vector<std::pair<const MutantGroup*, MutantTask*>> tasks;
    for (MutantGroup& group : groups_) {
      if (rounds_.settled(group.group)) continue;
      for (MutantTask& task : group.tasks)
        tasks.emplace_back(&group, &task);
    }
    const auto run = [&](int64_t t) {
      const at::NoGradGuard no_grad;
      const auto& [group, task] = tasks[static_cast<size_t>(t)];
      for (const Chunk& chunk : chunks)
        run_task(group->suffix, *task, chunk);
    };
    run_pieces(static_cast<int64_t>(tasks.size()), batches_at_once_, program_.device, run, [&](int64_t) {
      const int64_t done = done_, in_round = done_in_round_;
      if (progress) progress({"scoring", done, done + left(in_round), "mutant-samples"});
    });
  }

  /// Effects of stacked mutants on the outputs. [mutants, samples, outputs]
  at::Tensor effects(const at::Tensor& base, const at::Tensor& stacked) const {
    const int64_t samples = base.size(0), outputs = base.size(1);
    const int64_t mutants = stacked.size(0) / samples;
    const auto& effects_of = row_of(params_.metric).effects;
    if (!positions_.defined()) return effects_of(stacked.view({mutants, samples, outputs}), base, kind_);
    const at::Tensor mutated = at_positions(stacked, positions_).reshape({mutants, -1, outputs});
    const at::Tensor effects = effects_of(mutated, at_positions(base, positions_).reshape({-1, outputs}), kind_);
    return effects.view({mutants, samples, -1, outputs}).mean(2);
  }

  /// Runs a task's mutants; a batch that does not fit into memory is halved, here and from now on.
  void run_task(const Suffix& suffix, MutantTask& task, const Chunk& chunk) {
    for (size_t b = 0; b < task.batches.size();) {
      const MutantBatch& batch = task.batches[b];
      try {
        const at::Tensor mutated = suffix.run(executor_, chunk.base, batch);
        add(batch.clusters, effects(chunk.outputs, mutated), chunk.cells);
        done_ += batch.mutants * chunk.outputs.size(0);
        done_in_round_ += batch.mutants * chunk.outputs.size(0);
        ++b;
        continue;
      } catch (const c10::OutOfMemoryError&) {
        if (batch.mutants == 1) {
          fail(ExitCode::device, "out of memory for one mutant of {} samples; pass a smaller --memory",
               chunk.outputs.size(0));
        }
      }
      halve(suffix, task, b, program_.device);
    }
  }

  /// Adds differences [mutants, samples, outputs] to the sums of their clusters, which no other worker touches.
  void add(const at::Tensor& clusters, const at::Tensor& differences, const ChunkCells& into) {
    ScoringState& state = rounds_.state();
    const at::Tensor by_cell = at::matmul(into.members, differences).to(at::kDouble);
    const at::Tensor stratum = into.cells.div(block_count, "floor");
    const int64_t rows = state.sums.size(1);
    state.sums.flatten(0, 1).index_add_(0, (stratum.unsqueeze(0) * rows + clusters.unsqueeze(1)).flatten(),
                                        by_cell.flatten(0, 1));
    if (!params_.stop) return;
    const at::Tensor some = at::tensor(rounds_.resampled(), clusters.options());
    state.blocks.flatten(0, 2).index_add_(0, (into.cells.unsqueeze(0) * rows + clusters.unsqueeze(1)).flatten(),
                                          by_cell.index_select(2, some).flatten(0, 1));
  }

  // ---- Results ----------------------------------------------------------------------------------------------------

  Contributions result() const {
    Contributions result = contributions_of(clusters_, copied(rounds_.state(), at::kCPU));
    result.mutants = static_cast<int64_t>(clusters_.size() * params_.factors.size());
    result.chunk = chunk_;
    for (const MutantGroup& group : groups_) {
      const auto samples = rounds_.state().samples[group.group].sum().item<double>();
      result.multiply_adds += samples * static_cast<double>(group.mutants.size()) * group.suffix.plan().multiply_adds;
      for (const MutantTask& task : group.tasks) {
        for (const MutantBatch& batch : task.batches)
          result.batch = std::max(result.batch, batch.mutants);
      }
    }
    return result;
  }

  const Program& program_;
  const UnitMap& map_;
  const std::vector<Cluster>& clusters_;
  const OutputKind kind_;
  const ScoringParams& params_;
  const Executor executor_;
  std::vector<MutantGroup> groups_;
  at::Tensor positions_;                // int64: where outputs are compared; undefined: they have no positions
  std::vector<bool> keep_;              // by value: saved from the run without mutants
  std::vector<int64_t> unit_clusters_;  // -1: in none
  int64_t chunk_ = 1;
  int64_t most_ = 0;                                  // samples to score
  int64_t chunks_at_once_ = 1, batches_at_once_ = 1;  // that workers run
  Rounds rounds_;
  std::vector<at::Tensor> finite_;  // of this round, by chunk: whether each sample's output is finite
  std::atomic<int64_t> done_ = 0;   // mutant-samples
  std::atomic<int64_t> done_in_round_ = 0;
};

/// Contributions for which no mutant is run, all 0.
ScoringState unscored(const Program& program, size_t groups, const std::vector<Cluster>& clusters,
                      const Dataset& data) {
  const at::NoGradGuard no_grad;
  const int64_t outputs = Executor(program)(data.batch(0, 1, program.device)).size(1);
  ScoringState state;
  state.order = at::arange(data.size(), at::kLong);
  state.sizes = at::full({1}, data.size(), at::kLong);
  state.taken = at::zeros({1}, at::kLong);
  state.sums = at::zeros({1, static_cast<int64_t>(clusters.size()), outputs}, at::kDouble);
  state.blocks = at::zeros({1, block_count, static_cast<int64_t>(clusters.size()), 0}, at::kDouble);
  state.samples = at::zeros({static_cast<int64_t>(groups), 1}, at::kLong);
  state.agreement = at::ones({static_cast<int64_t>(groups)}, at::kDouble);
  return state;
}

}  // namespace

Contributions contributions_of(const std::vector<Cluster>& clusters, const ScoringState& state) {
  Contributions result;
  result.state = state;
  const at::Tensor samples = state.samples.sum(1);
  result.samples = samples.numel() > 0 ? samples.max().item<int64_t>() : 0;
  std::vector<int64_t> groups;
  for (const Cluster& cluster : clusters)
    groups.push_back(cluster.group);
  // [strata, clusters, 1]: from a stratum's sample to all of it, as a share of all samples.
  const at::Tensor of_clusters = state.samples.index_select(0, at::tensor(groups, at::kLong)).t().unsqueeze(2);
  const at::Tensor share = state.sizes.view({-1, 1, 1}).to(at::kDouble) / of_clusters.clamp_min(1);
  result.scores = (state.sums * share).sum(0) / state.sizes.sum().to(at::kDouble);
  return result;
}

Contributions score(const Program& program, const UnitMap& map, const std::vector<Cluster>& clusters, OutputKind kind,
                    const Dataset& data, const at::Tensor& order, const ScoringParams& params,
                    const Progress& progress) {
  if (auto* const baseline = row_of(params.metric).baseline) {
    ScoringState state = unscored(program, map.groups.size(), clusters, data);
    state.sums.add_(baseline({program, map, clusters, state.sums.size(2), params.seed}).unsqueeze(0));
    return contributions_of(clusters, state);
  }
  if (params.scoring == Scoring::gradient)
    return score_by_gradients(program, map, clusters, kind, data, order, params, progress);
  return Scorer(program, map, clusters, kind, params).run(data, order, progress);
}

}  // namespace incite
