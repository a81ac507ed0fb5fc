#include "scoring/contributions.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "base/fail.hpp"
#include "base/freed_memory.hpp"
#include "base/random.hpp"
#include "base/transfer.hpp"
#include "base/workers.hpp"
#include "program/device.hpp"
#include "scoring/gradient.hpp"
#include "scoring/metrics.hpp"
#include "scoring/mutant_tasks.hpp"
#include "scoring/run_sizes.hpp"
#include "scoring/sampling.hpp"

namespace incite {
namespace {

constexpr int64_t most_strata = 16;
constexpr int64_t least_stratum = 64;                     // samples that a stratum is worth
constexpr int64_t most_state_bytes = int64_t{128} << 20;  // of sums, and as much of blocks

// Where outputs have positions, a sample tells of many at once.
constexpr int64_t most_positions = 256;
constexpr int64_t most_strata_of_positions = 4;
constexpr int64_t first_round = 256, first_round_of_positions = 64;  // samples

/// Where the samples of a chunk belong.
struct Cells {
  at::Tensor cells;    // int64: those that occur, ascending; stratum · blocks + block
  at::Tensor members;  // float32 [cells, samples]: 1 where a sample is in a cell, else 0
};

/// Samples that have run without mutants.
struct Chunk {
  Environment base;
  at::Tensor outputs;
  Cells cells;
};

class Scorer {
 public:
  Scorer(const Program& program, const UnitMap& map, const std::vector<Cluster>& clusters, OutputKind kind,
         const ScoringParams& params)
      : program_(program), map_(map), clusters_(clusters), kind_(kind), params_(params), executor_(program) {}

  Contributions run(const Dataset& data, const at::Tensor& order, const Progress& progress) {
    const at::NoGradGuard no_grad;
    const FreedMemoryStays freed_memory_stays;
    const Tf32Products products(params_.tf32);
    most_ = params_.samples > 0 ? std::min(params_.samples, order.size(0)) : order.size(0);
    plan(data);
    if (params_.resume) {
      state_ = copied(*params_.resume, program_.device);
    } else {
      stratify(data, order, progress);
    }
    while (taken() < most_ && any_unsettled()) {
      const at::Tensor round =
          next_places(state_, most_, positions_.defined() ? first_round_of_positions : first_round);
      run_round(data, round, progress);
      end_round(round);
      if (params_.save) params_.save(state_to_go_on_from());
    }
    return result();
  }

 private:
  // ---- Plan -------------------------------------------------------------------------------------------------------

  void plan(const Dataset& data) {
    unit_clusters_ = unit_clusters(map_, clusters_);
    const Sample two = sample_values(program_, two_samples(data, program_.device));
    choose_positions(two.shape(program_.output));
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

  /// A position in each of as many equal parts of all.
  void choose_positions(at::IntArrayRef shape) {
    if (shape.size() <= 2) return;
    const int64_t all = c10::multiply_integers(shape.slice(2));
    const int64_t count = std::min(all, most_positions);
    Random random(derive_seed(params_.seed, "positions"));
    std::vector<int64_t> chosen;
    for (int64_t part = 0; part < count; ++part) {
      const int64_t first = part * all / count, next = (part + 1) * all / count;
      chosen.push_back(first + static_cast<int64_t>(random.below(static_cast<uint64_t>(next - first))));
    }
    positions_ = at::tensor(chosen, at::TensorOptions(at::kLong).device(program_.device));
  }

  /// Outputs [n, outputs, positions...] at the positions: [n, positions, outputs].
  at::Tensor at_positions(const at::Tensor& outputs) const {
    return outputs.flatten(2).index_select(2, positions_).transpose(1, 2);
  }

  void plan_group(int32_t g, const Sample& sample) {
    std::vector<Mutant> mutants;
    std::vector<int64_t> clusters;
    std::vector<double> units;
    for (size_t c = 0; c < clusters_.size(); ++c) {
      if (clusters_[c].group != g) continue;
      clusters.push_back(static_cast<int64_t>(c));
      units.push_back(static_cast<double>(clusters_[c].units.size()));
      for (const double factor : params_.factors)
        mutants.push_back({static_cast<int64_t>(c), factor});
    }
    if (mutants.empty()) return;
    groups_.push_back({g,
                       std::move(mutants),
                       Suffix(program_, map_, g, sample, unit_clusters_),
                       at::tensor(clusters, at::kLong),
                       at::tensor(units, at::kDouble),
                       {}});
  }

  static ScoringState copied(const ScoringState& state, at::Device device) {
    ScoringState copy = state;
    copy.sums = state.sums.to(device, at::kDouble, false, /*copy=*/true);
    copy.blocks = state.blocks.to(device, at::kDouble, false, /*copy=*/true);
    copy.taken = state.taken.clone();
    copy.samples = state.samples.clone();
    copy.agreement = state.agreement.clone();
    return copy;
  }

  /// Blocks of groups that are settled, or of all at the end, are never read again: as zeros they take little space.
  ScoringState state_to_go_on_from() const {
    ScoringState state = copied(state_, at::kCPU);
    const bool over = taken() >= most_;
    for (const MutantGroup& group : groups_) {
      if (over || settled(group.group)) state.blocks.index_fill_(2, group.clusters, 0);
    }
    return state;
  }

  // ---- Strata -------------------------------------------------------------------------------------------------------

  /// Divides the samples into strata, and starts with nothing scored.
  void stratify(const Dataset& data, const at::Tensor& order, const Progress& progress) {
    const auto clusters = std::max<int64_t>(static_cast<int64_t>(clusters_.size()), 1);
    const int64_t outputs = executor_(data.batch(order.narrow(0, 0, 1), program_.device)).size(1);
    const int64_t fitting = most_state_bytes / (clusters * outputs * 8);
    const bool partial = (params_.stop || most_ < order.size(0)) && row_of(params_.metric).falls_with_certainty;
    const int64_t strata = partial ? std::clamp<int64_t>(std::min(order.size(0) / least_stratum, fitting), 1,
                                                         positions_.defined() ? most_strata_of_positions : most_strata)
                                   : 1;
    const at::Tensor stratum =
        strata > 1 ? strata_of(uncertainty(data, order, progress), strata) : at::zeros({order.size(0)}, at::kLong);
    state_.order = order.index_select(0, at::argsort(stratum, /*stable=*/true, 0, /*descending=*/false));
    const at::Tensor sizes = at::bincount(stratum, {}, strata);
    state_.sizes = sizes.masked_select(sizes > 0);

    const int64_t made = state_.sizes.size(0);
    const int64_t room = most_state_bytes / (made * block_count * clusters * 8);
    const int64_t tracked = params_.stop ? std::clamp<int64_t>(room, 1, std::min<int64_t>(outputs, 64)) : 0;
    const auto groups = static_cast<int64_t>(map_.groups.size());
    const auto on_device = at::TensorOptions().dtype(at::kDouble).device(program_.device);
    state_.taken = at::zeros({made}, at::kLong);
    state_.sums = at::zeros({made, static_cast<int64_t>(clusters_.size()), outputs}, on_device);
    state_.blocks = at::zeros({made, block_count, static_cast<int64_t>(clusters_.size()), tracked}, on_device);
    state_.samples = at::zeros({groups, made}, at::kLong);
    state_.agreement = at::ones({groups}, at::kDouble);  // of groups without mutants
    for (const MutantGroup& group : groups_)
      agreement(group.group) = std::numeric_limits<double>::quiet_NaN();
  }

  /// The variance of each sample's outputs, as probabilities. [samples] float64, CPU
  at::Tensor uncertainty(const Dataset& data, const at::Tensor& order, const Progress& progress) const {
    const int64_t all = order.size(0);
    std::vector<at::Tensor> variances(static_cast<size_t>((all + chunk_ - 1) / chunk_));
    const auto run = [&](int64_t chunk) {
      const at::NoGradGuard no_grad;
      const int64_t first = chunk * chunk_;
      const at::Tensor samples = order.narrow(0, first, std::min(chunk_, all - first));
      const at::Tensor outputs = executor_(data.batch(samples, program_.device));
      const at::Tensor rows = positions_.defined() ? at_positions(outputs) : outputs;
      const at::Tensor p = probabilities(rows, kind_).to(at::kDouble);
      const at::Tensor variance = (p * (1 - p)).abs().sum(-1);
      variances[static_cast<size_t>(chunk)] = positions_.defined() ? variance.mean(1) : variance;
    };
    run_pieces(static_cast<int64_t>(variances.size()), chunks_at_once_, program_.device, run, [&](int64_t done) {
      if (progress) progress({"sampling", std::min(done * chunk_, all), all, "samples"});
    });
    return at::cat(variances).to(at::kCPU).nan_to_num(0, 0, 0);
  }

  // ---- Rounds -------------------------------------------------------------------------------------------------------

  int64_t taken() const { return state_.taken.sum().item<int64_t>(); }

  double& agreement(int32_t group) const { return state_.agreement.data_ptr<double>()[group]; }
  bool settled(int32_t group) const {
    return params_.stop && (agreement(group) >= params_.stop->agreement || enough());
  }
  /// Whether the groups agree well enough on the whole, by units, and none of them badly.
  bool enough() const {
    double agreed = 0, units = 0;
    for (const MutantGroup& group : groups_) {
      if (1 - agreement(group.group) > StopRule::slack * (1 - params_.stop->agreement)) return false;
      const double weight = group.units.sum().item<double>();
      agreed += weight * agreement(group.group);
      units += weight;
    }
    return agreed >= params_.stop->agreement * units;
  }
  bool any_unsettled() const {
    return std::any_of(groups_.begin(), groups_.end(), [&](const MutantGroup& group) { return !settled(group.group); });
  }

  /// Mutant-samples to go, at most, when so many of this round are done.
  int64_t left(int64_t done_in_round) const {
    int64_t mutants = 0;
    for (const MutantGroup& group : groups_)
      mutants += settled(group.group) ? 0 : static_cast<int64_t>(group.mutants.size());
    return mutants * (most_ - taken()) - done_in_round;
  }

  /// Without a stop rule there is one block.
  at::Tensor cells_of(const at::Tensor& places) const {
    return incite::cells_of(state_, places, params_.stop ? block_count : 1);
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
    chunk.base = executor_.start(data.batch(state_.order.index_select(0, places), program_.device));
    executor_.run(chunk.base, 0, static_cast<NodeId>(program_.nodes.size()), keep_);
    chunk.outputs = chunk.base[at_index(program_.output)].toTensor();
    const auto [cells, cell_of, counts] = at::_unique2(cells_of(places), /*sorted=*/true, /*return_inverse=*/true);
    const at::Tensor members = cell_of.unsqueeze(0) == at::arange(cells.size(0), at::kLong).unsqueeze(1);
    chunk.cells = {sent(cells, program_.device, at::kLong), sent(members, program_.device, at::kFloat)};
    return chunk;
  }

  void run_mutants(const std::vector<Chunk>& chunks, const Progress& progress) {
    for (const Chunk& chunk : chunks)
      finite_.push_back(chunk.outputs.isfinite().flatten(1).all(1));
    std::vector<std::pair<const MutantGroup*, MutantTask*>> tasks;
    for (MutantGroup& group : groups_) {
      if (settled(group.group)) continue;
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
    const at::Tensor mutated = at_positions(stacked).reshape({mutants, -1, outputs});
    const at::Tensor effects = effects_of(mutated, at_positions(base).reshape({-1, outputs}), kind_);
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
  void add(const at::Tensor& clusters, const at::Tensor& differences, const Cells& into) {
    const at::Tensor by_cell = at::matmul(into.members, differences).to(at::kDouble);
    const at::Tensor stratum = into.cells.div(block_count, "floor");
    const int64_t rows = state_.sums.size(1);
    state_.sums.flatten(0, 1).index_add_(0, (stratum.unsqueeze(0) * rows + clusters.unsqueeze(1)).flatten(),
                                         by_cell.flatten(0, 1));
    if (!params_.stop) return;
    // Of many outputs, some spread evenly stand for all.
    const int64_t tracked = state_.blocks.size(3);
    const at::Tensor some = (at::arange(tracked, clusters.options()) * state_.sums.size(2)).div(tracked, "floor");
    state_.blocks.flatten(0, 2).index_add_(0, (into.cells.unsqueeze(0) * rows + clusters.unsqueeze(1)).flatten(),
                                           by_cell.index_select(2, some).flatten(0, 1));
  }

  void end_round(const at::Tensor& round) {
    check_finite(round);
    state_.taken += at::bincount(cells_of(round).div(block_count, "floor"), {}, state_.sizes.size(0));
    for (const MutantGroup& group : groups_) {
      if (settled(group.group)) continue;
      state_.samples[group.group].copy_(state_.taken);
    }
    done_in_round_ = 0;
    if (params_.stop) settle();
    if (taken() == state_.order.size(0)) {
      for (const MutantGroup& group : groups_)
        agreement(group.group) = settled(group.group) ? agreement(group.group) : 1;
    }
  }

  void check_finite(const at::Tensor& round) {
    const at::Tensor finite = at::cat(finite_).to(at::kCPU);
    finite_.clear();
    if (finite.all().item<bool>()) return;
    const at::Tensor bad = state_.order.index_select(0, round).masked_select(finite.logical_not());
    fail(ExitCode::data_mismatch,
         "the model's output for sample {} is NaN or infinite; check the data and --input-scale",
         bad.min().item<int64_t>());
  }

  void settle() {
    const Bootstrap bootstrap(state_, derive_seed(params_.seed, fmt::format("resample {}", taken())));
    std::vector<const MutantGroup*> open;
    for (const MutantGroup& group : groups_) {
      if (!settled(group.group)) open.push_back(&group);
    }
    const auto estimate = [&](int64_t g) {
      const MutantGroup& group = *open[static_cast<size_t>(g)];
      agreement(group.group) = bootstrap.agreement(group.clusters, group.units, params_.stop->choose);
    };
    run_pieces(static_cast<int64_t>(open.size()), workers_for(at::kCPU), at::kCPU, estimate);
  }

  // ---- Results ----------------------------------------------------------------------------------------------------

  Contributions result() const {
    Contributions result = contributions_of(clusters_, copied(state_, at::kCPU));
    result.mutants = static_cast<int64_t>(clusters_.size() * params_.factors.size());
    result.chunk = chunk_;
    for (const MutantGroup& group : groups_) {
      const auto samples = state_.samples[group.group].sum().item<double>();
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
  ScoringState state_;
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
