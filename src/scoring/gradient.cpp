#include "scoring/gradient.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "base/fail.hpp"
#include "base/freed_memory.hpp"
#include "base/random.hpp"
#include "base/workers.hpp"
#include "program/cost.hpp"
#include "program/device.hpp"
#include "scoring/cluster_changes.hpp"
#include "scoring/gradient_passes.hpp"
#include "scoring/gradient_sums.hpp"
#include "scoring/other_outputs.hpp"

namespace incite {
namespace {

constexpr int64_t default_gradient_memory = int64_t{1} << 30;
constexpr int64_t most_gradient_cpu_bytes = int64_t{512} << 20;  // larger chunks only fall out of the caches
constexpr int64_t cpu_samples = 256, gpu_samples = 4096;         // in a chunk, at most
constexpr int64_t spread_samples = 1024;                         // that tell how much outputs vary
constexpr int64_t most_logits = int64_t{1} << 20;                // clusters times outputs whose changes are kept

std::vector<bool> mutated_units(const UnitMap& map, const std::vector<Cluster>& clusters) {
  std::vector<bool> mutated(map.units.size(), false);
  for (const Cluster& cluster : clusters) {
    for (const int32_t unit : cluster.units)
      mutated[at_index(unit)] = true;
  }
  return mutated;
}

/// Samples that have run, and where they belong.
struct RecordedChunk {
  at::Tensor samples;  // int64, CPU
  Recording recording;
  at::Tensor rows;  // [samples, points, outputs]: the target's, with their history
  ChunkCells cells;
  std::vector<bool> open;  // by place: it has a unit of a group that is not settled
};

class GradientScorer {
 public:
  GradientScorer(const Program& program, const UnitMap& map, const std::vector<Cluster>& clusters, OutputKind kind,
                 const ScoringParams& params)
      : program_(program),
        map_(map),
        clusters_(clusters),
        params_(params),
        executor_(program),
        mutated_(mutated_units(map, clusters)),
        target_(program, params.metric, kind),
        rounds_({executor_, kind, clusters, map.groups.size(), params}) {}

  Contributions run(const Dataset& data, const at::Tensor& order, const Progress& progress) {
    const at::NoGradGuard no_grad;
    const FreedMemoryStays freed_memory_stays;
    const Tf32Products products(params_.tf32);
    most_ = params_.samples > 0 ? std::min(params_.samples, order.size(0)) : order.size(0);
    plan(data);
    rounds_.start(data, order, {most_, chunk_, /*chunks_at_once=*/1, positions_, params_.outputs}, progress);
    if (passes_->some) others_.emplace(passes_->others, target_, rows_of_first(data, order));
    while (!rounds_.over()) {
      const at::Tensor round = rounds_.next();
      std::vector<at::Tensor> finite;
      done_in_round_ = 0;
      in_batches(round.size(0), chunk_, [&](int64_t first, int64_t count) {
        finite.push_back(run_or_refuse(data, round.narrow(0, first, count), progress));
      });
      rounds_.end(round, at::cat(finite));
      if (params_.save) params_.save(rounds_.to_go_on_from());
    }
    return result();
  }

 private:
  // ---- Plan -------------------------------------------------------------------------------------------------------

  void plan(const Dataset& data) {
    const Batch batch = two_samples(data, program_.device);
    const Sample two = sample_values(program_, batch);
    const std::vector<int64_t>& shape = two.shape(program_.output);
    positions_ = compared_positions(shape, params_.seed, program_.device);
    passes_.emplace(params_.outputs, shape[1], positions_.defined() ? positions_.size(0) : 0);
    sums_.emplace(rounds_, clusters_, 1.0 / static_cast<double>(passes_->points));
    frontier_ = find_frontier(program_, map_, two, mutated_);
    INCITE_ASSERT(frontier_.obstacle.empty());
    changes_.emplace(map_, clusters_, frontier_, program_.device);
    recorder_.emplace(executor_, frontier_, mutated_, params_.factors, target_.value());
    const auto clusters = static_cast<int64_t>(clusters_.size());
    together_ = target_.has_logits() && !passes_->some && clusters * shape[1] <= most_logits;
    choose_chunk(two, shape[1]);
    multiply_adds_ = multiply_adds(program_, batch);
  }

  /// All that a run makes lives until the last gradient is had, with the changes of each factor and a gradient.
  void choose_chunk(const Sample& two, int64_t outputs) {
    int64_t of_places = 0;
    for (const Frontier::Place& place : frontier_.places)
      of_places += c10::multiply_integers(two.shape(place.value)) * 4 / 2;
    const auto factors = static_cast<int64_t>(params_.factors.size());
    const int64_t of_clusters =
        (together_ ? (factors + 3) * outputs : factors + 3) * static_cast<int64_t>(clusters_.size()) * 4;
    const int64_t bytes = std::max<int64_t>(two.activation_bytes + (factors + 2) * of_places + of_clusters, 1);
    const int64_t given = params_.memory > 0 ? params_.memory : default_gradient_memory;
    if (given < bytes) {
      fail(ExitCode::device,
           "a memory budget of {} bytes is too small to score one sample: it takes {}; raise --memory", given, bytes);
    }
    const bool cpu = program_.device.is_cpu();
    const int64_t budget = cpu ? std::min(given, std::max(most_gradient_cpu_bytes, bytes)) : given;
    const int64_t samples = params_.most ? params_.most->samples : cpu ? cpu_samples : gpu_samples;
    chunk_ = std::clamp<int64_t>(budget / bytes, 1, std::max<int64_t>(std::min(samples, most_), 1));
  }

  /// The target's rows of the first samples.
  at::Tensor rows_of_first(const Dataset& data, const at::Tensor& order) const {
    std::vector<at::Tensor> rows;
    in_batches(std::min(order.size(0), spread_samples), chunk_, [&](int64_t first, int64_t count) {
      Environment environment = executor_.start(data.batch(order.narrow(0, first, count), program_.device));
      executor_.run(environment, 0, program_.maker(target_.value()) + 1);
      const at::Tensor outputs = environment[at_index(target_.value())].toTensor();
      rows.push_back(positions_.defined() ? at_positions(outputs, positions_).flatten(0, 1) : outputs);
    });
    return at::cat(rows);
  }

  // ---- Chunks -------------------------------------------------------------------------------------------------------

  at::Tensor run_or_refuse(const Dataset& data, const at::Tensor& places, const Progress& progress) {
    try {
      return run_chunk(data, places, progress);
    } catch (const c10::OutOfMemoryError&) {
      fail(ExitCode::device, "out of memory for the gradients of {} samples; pass a smaller --memory", places.size(0));
    }
  }

  /// Returns, by sample, whether the outputs are finite.
  at::Tensor run_chunk(const Dataset& data, const at::Tensor& places, const Progress& progress) {
    RecordedChunk chunk;
    in_one_piece([&] { chunk = record(data, places); });
    for (int64_t point = 0; point < passes_->points; ++point)
      run_point(chunk, point, progress);
    return chunk.recording.outputs.isfinite().flatten(1).all(1);
  }

  /// On one thread, as the passes are: results do not depend on how many there are.
  void in_one_piece(const std::function<void()>& work) const {
    run_pieces(1, 1, program_.device, [&](int64_t) {
      const at::NoGradGuard no_grad;
      work();
    });
  }

  /// Workers share out the passes, each of which has a column of the sums to itself.
  void run_point(const RecordedChunk& chunk, int64_t point, const Progress& progress) {
    const std::vector<int64_t>& wanted = passes_->wanted;
    const int64_t count = passes_->at_point();
    std::vector<std::vector<at::Tensor>> changes(static_cast<size_t>(count));  // by pass, by factor
    const auto pass = [&](int64_t p) {
      const at::NoGradGuard no_grad;
      const auto place = static_cast<size_t>(p);
      const at::Tensor number =
          place < wanted.size() ? number_for(chunk, wanted[place], point) : others_for(chunk, point);
      changes[place] = changes_->of(number, chunk.recording, chunk.open, chunk.samples.size(0));
      if (together_ || place >= wanted.size()) return;
      sums_->add(chunk.cells, wanted[place], odds_effects(chunk, wanted[place], point, changes[place]));
      changes[place].clear();
    };
    const int64_t samples = chunk.samples.size(0);
    run_pieces(count, workers_for(program_.device), program_.device, pass,
               [&](int64_t passes) { show(passes * samples, progress); });
    done_ += count * samples;
    done_in_round_ += count * samples;
    in_one_piece([&] {
      if (together_) add_together(chunk, point, changes);
      if (passes_->some) sums_->add_to_others(chunk.cells, passes_->others, summed(changes.back()));
    });
  }

  void show(int64_t more, const Progress& progress) const {
    const int64_t left = (most_ - rounds_.taken()) * passes_->count() - done_in_round_ - more;
    if (progress) progress({"scoring", done_ + more, done_ + more + left, "gradients"});
  }

  RecordedChunk record(const Dataset& data, const at::Tensor& places) const {
    RecordedChunk chunk;
    chunk.samples = rounds_.state().order.index_select(0, places);
    chunk.recording = recorder_->run(data.batch(chunk.samples, program_.device));
    chunk.rows = rows_of(chunk.recording.outputs, chunk.samples);
    chunk.cells = chunk_cells(rounds_, places, program_.device);
    // No gradient need go further back than to the groups that are not settled.
    for (const Frontier::Place& place : frontier_.places) {
      chunk.open.push_back(std::any_of(place.units.begin(), place.units.end(), [&](int32_t unit) {
        return unit != no_unit && mutated_[at_index(unit)] && !rounds_.settled(map_.unit(unit).group);
      }));
    }
    return chunk;
  }

  uint64_t seed_of(const char* purpose, const at::Tensor& samples, int64_t row, int64_t point) const {
    return derive_seed(params_.seed, fmt::format("{} {} {}", purpose, samples[row].item<int64_t>(), point));
  }

  /// At points drawn for each sample, where outputs have positions.
  at::Tensor rows_of(const at::Tensor& outputs, const at::Tensor& samples) const {
    const at::AutoGradMode with_gradients(true);
    if (!positions_.defined()) return outputs.unsqueeze(1);
    const auto all = static_cast<uint64_t>(positions_.size(0));
    at::Tensor drawn = at::empty({samples.size(0), passes_->points}, at::kLong);
    for (int64_t i = 0; i < samples.size(0); ++i) {
      for (int64_t point = 0; point < passes_->points; ++point)
        drawn[i][point] = static_cast<int64_t>(Random(seed_of("points", samples, i, point)).below(all));
    }
    const at::Tensor rows = at_positions(outputs, positions_);
    return rows.gather(1, drawn.to(rows.device()).unsqueeze(2).expand({-1, -1, rows.size(2)}));
  }

  // ---- Effects ------------------------------------------------------------------------------------------------------

  /// What a pass differentiates: the sum over samples of an output's logit or log-odds.
  at::Tensor number_for(const RecordedChunk& chunk, int64_t output, int64_t point) const {
    const at::AutoGradMode with_gradients(true);
    const at::Tensor rows = chunk.rows.select(1, point);
    return (together_ ? rows.select(1, output) : target_.of(rows, output)).sum();
  }

  at::Tensor others_for(const RecordedChunk& chunk, int64_t point) const {
    std::vector<uint64_t> seeds;
    for (int64_t i = 0; i < chunk.samples.size(0); ++i)
      seeds.push_back(seed_of("signs", chunk.samples, i, point));
    const at::AutoGradMode with_gradients(true);
    return (*others_)(chunk.rows.select(1, point), seeds).sum();
  }

  at::Tensor odds_effects(const RecordedChunk& chunk, int64_t output, int64_t point,
                          const std::vector<at::Tensor>& changes) const {
    const at::Tensor rows = chunk.rows.detach().select(1, point);
    at::Tensor sum = at::zeros_like(changes[0]);
    for (const at::Tensor& of_factor : changes)
      sum += target_.effects(rows, output, of_factor);
    return sum;
  }

  static at::Tensor summed(const std::vector<at::Tensor>& changes) {
    at::Tensor sum = at::zeros_like(changes[0]);
    for (const at::Tensor& of_factor : changes)
      sum += of_factor.abs();
    return sum;
  }

  void add_together(const RecordedChunk& chunk, int64_t point, const std::vector<std::vector<at::Tensor>>& changes) {
    const at::Tensor rows = chunk.rows.detach().select(1, point);
    at::Tensor effects;
    for (size_t f = 0; f < params_.factors.size(); ++f) {
      std::vector<at::Tensor> columns;
      for (const std::vector<at::Tensor>& of_output : changes)
        columns.push_back(of_output[f]);
      const at::Tensor of_factor = GradientTarget::effects_of_logits(rows, at::stack(columns, 2));
      effects = effects.defined() ? effects.add_(of_factor) : of_factor;
    }
    for (size_t i = 0; i < passes_->wanted.size(); ++i)
      sums_->add(chunk.cells, passes_->wanted[i], effects.select(2, static_cast<int64_t>(i)));
  }

  Contributions result() {
    Contributions result = contributions_of(clusters_, copied(rounds_.state(), at::kCPU));
    result.chunk = chunk_;
    result.passes = passes_->count();
    result.multiply_adds =
        static_cast<double>(result.samples) * multiply_adds_ * static_cast<double>(passes_->count() + 1);
    return result;
  }

  const Program& program_;
  const UnitMap& map_;
  const std::vector<Cluster>& clusters_;
  const ScoringParams& params_;
  const Executor executor_;
  const std::vector<bool> mutated_;  // by unit
  const GradientTarget target_;
  Rounds rounds_;
  Frontier frontier_;
  std::optional<GradientPasses> passes_;
  std::optional<ClusterChanges> changes_;
  std::optional<Recorder> recorder_;
  std::optional<OtherOutputs> others_;
  std::optional<GradientSums> sums_;
  at::Tensor positions_;   // see compared_positions
  bool together_ = false;  // probabilities come from the changes of all logits, not from log-odds
  int64_t most_ = 0;       // samples to score
  int64_t chunk_ = 1;
  double multiply_adds_ = 0;  // of one sample's forward pass
  int64_t done_ = 0;          // gradients
  int64_t done_in_round_ = 0;
};

}  // namespace

Contributions score_by_gradients(const Program& program, const UnitMap& map, const std::vector<Cluster>& clusters,
                                 OutputKind kind, const Dataset& data, const at::Tensor& order,
                                 const ScoringParams& params, const Progress& progress) {
  return GradientScorer(program, map, clusters, kind, params).run(data, order, progress);
}

}  // namespace incite
