#include "scoring/gradient.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "base/fail.hpp"
#include "base/first_line.hpp"
#include "base/freed_memory.hpp"
#include "base/random.hpp"
#include "base/transfer.hpp"
#include "program/cost.hpp"
#include "program/device.hpp"
#include "scoring/gradient_target.hpp"
#include "scoring/recording.hpp"
#include "scoring/rounds.hpp"
#include "scoring/sampling.hpp"

namespace incite {
namespace {

constexpr int64_t default_gradient_memory = int64_t{1} << 30;
constexpr int64_t most_gradient_cpu_bytes = int64_t{512} << 20;  // larger chunks only fall out of the caches
constexpr int64_t cpu_samples = 256, gpu_samples = 4096;         // in a chunk, at most
constexpr int64_t points_of_positions = 4;                       // of a sample's outputs, where these have positions
constexpr int64_t spread_samples = 1024;                         // that tell how much outputs vary

std::vector<bool> mutated_units(const UnitMap& map, const std::vector<Cluster>& clusters) {
  std::vector<bool> mutated(map.units.size(), false);
  for (const Cluster& cluster : clusters) {
    for (const int32_t unit : cluster.units)
      mutated[at_index(unit)] = true;
  }
  return mutated;
}

std::vector<bool> removable_units(const UnitMap& map) {
  std::vector<bool> removable;
  for (const Unit& unit : map.units)
    removable.push_back(!unit.pinned);
  return removable;
}

/// The units that are mutated, side by side.
struct Columns {
  std::vector<int64_t> of_unit;  // by unit; -1: none
  at::Tensor clusters;           // int64 [columns]: the cluster of each
  int64_t count = 0;

  Columns(const UnitMap& map, const std::vector<Cluster>& clusters_of_units, at::Device device)
      : of_unit(map.units.size(), -1) {
    std::vector<int64_t> of_column;
    for (size_t c = 0; c < clusters_of_units.size(); ++c) {
      for (const int32_t unit : clusters_of_units[c].units) {
        of_unit[at_index(unit)] = count++;
        of_column.push_back(static_cast<int64_t>(c));
      }
    }
    clusters = at::tensor(of_column, at::kLong).to(device);
  }
};

/// Adds up changes times gradients at one place of the frontier, unit by unit.
class PlaceSums {
 public:
  PlaceSums(const Frontier::Place& place, const Columns& columns, at::Device device) : place_(place) {
    std::vector<int64_t> positions, targets;
    for (size_t i = 0; i < place.units.size(); ++i) {
      const int64_t column = place.units[i] == no_unit ? -1 : columns.of_unit[at_index(place.units[i])];
      if (column < 0) continue;
      positions.push_back(static_cast<int64_t>(i));
      targets.push_back(column);
    }
    all_ = positions.size() == place.units.size();
    positions_ = at::tensor(positions, at::kLong).to(device);
    targets_ = at::tensor(targets, at::kLong).to(device);
  }

  /// Adds to `sums` [samples, columns].
  void add(const at::Tensor& change, const at::Tensor& gradient, at::Tensor& sums) const {
    const at::Tensor products = (change * gradient).movedim({place_.batch_axis, place_.axis}, {0, 1});
    at::Tensor by_position = products.dim() > 2 ? products.flatten(2).sum(2) : products;
    if (by_position.size(0) != sums.size(0)) by_position = by_position.unflatten(0, {sums.size(0), -1}).sum(1);
    sums.index_add_(1, targets_, all_ ? by_position : by_position.index_select(1, positions_));
  }

 private:
  const Frontier::Place& place_;
  bool all_ = false;
  at::Tensor positions_, targets_;
};

/// One backward pass.
struct Pass {
  int64_t output;  // -1: the sum of those that are not wanted
  int64_t point;   // of a sample's
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
        columns_(map, clusters, program.device),
        rounds_({executor_, kind, clusters, map.groups.size(), params}) {}

  Contributions run(const Dataset& data, const at::Tensor& order, const Progress& progress) {
    const at::NoGradGuard no_grad;
    const FreedMemoryStays freed_memory_stays;
    const Tf32Products products(params_.tf32);
    const int64_t most = params_.samples > 0 ? std::min(params_.samples, order.size(0)) : order.size(0);
    plan(data, most);
    rounds_.start(data, order, {most, chunk_, positions_, params_.outputs}, progress);
    plan_passes(data, order);
    while (!rounds_.over()) {
      const at::Tensor round = rounds_.next();
      std::vector<at::Tensor> finite;
      done_in_round_ = 0;
      in_batches(round.size(0), chunk_, [&](int64_t first, int64_t count) {
        finite.push_back(run_chunk(data, round.narrow(0, first, count), most, progress));
      });
      rounds_.end(round, at::cat(finite));
      if (params_.save) params_.save(rounds_.to_go_on_from());
    }
    return result();
  }

 private:
  // ---- Plan -------------------------------------------------------------------------------------------------------

  void plan(const Dataset& data, int64_t most) {
    const Sample two = sample_values(program_, two_samples(data, program_.device));
    positions_ = compared_positions(two.shape(program_.output), params_.seed, program_.device);
    frontier_ = find_frontier(program_, map_, two, mutated_);
    INCITE_ASSERT(frontier_.obstacle.empty());
    for (const Frontier::Place& place : frontier_.places)
      sums_.emplace_back(place, columns_, program_.device);
    recorder_.emplace(executor_, frontier_, mutated_, params_.factors, target_.value());
    choose_chunk(two, most);
    multiply_adds_ = multiply_adds(program_, two_samples(data, program_.device));
  }

  /// All that a run makes lives until the last gradient is had, with the changes of each factor and a gradient.
  void choose_chunk(const Sample& two, int64_t most) {
    int64_t of_places = 0;
    for (const Frontier::Place& place : frontier_.places) {
      const auto& shape = two.shape(place.value);
      of_places += c10::multiply_integers(shape) * 4 / 2;
    }
    const auto changes = static_cast<int64_t>(params_.factors.size()) + 2;
    const int64_t bytes = std::max<int64_t>(two.activation_bytes + changes * of_places, 1);
    const int64_t given = params_.memory > 0 ? params_.memory : default_gradient_memory;
    if (given < bytes) {
      fail(ExitCode::device,
           "a memory budget of {} bytes is too small to score one sample: it takes {}; raise --memory", given, bytes);
    }
    const bool cpu = program_.device.is_cpu();
    const int64_t budget = cpu ? std::min(given, std::max(most_gradient_cpu_bytes, bytes)) : given;
    const int64_t samples = params_.most ? params_.most->samples : cpu ? cpu_samples : gpu_samples;
    chunk_ = std::clamp<int64_t>(budget / bytes, 1, std::max<int64_t>(std::min(samples, most), 1));
  }

  void plan_passes(const Dataset& data, const at::Tensor& order) {
    const int64_t outputs = rounds_.state().sums.size(2);
    std::vector<int64_t> wanted = params_.outputs;
    if (wanted.empty()) {
      wanted.resize(static_cast<size_t>(outputs));
      std::iota(wanted.begin(), wanted.end(), 0);
    }
    const int64_t points = positions_.defined() ? std::min(points_of_positions, positions_.size(0)) : 1;
    others_ = at::ones({outputs}, at::kDouble);
    for (const int64_t output : wanted)
      others_[output] = 0;
    const bool some = others_.sum().item<double>() > 0;
    for (int64_t point = 0; point < points; ++point) {
      for (const int64_t output : wanted)
        passes_.push_back({output, point});
      if (some) passes_.push_back({-1, point});
    }
    points_ = points;
    if (some) weights_ = weights_of_others(data, order);
  }

  /// What the sum of outputs that are not wanted multiplies each with: large where it varies little, 0 for those that
  /// are wanted. As many outputs with random signs add up to their root, so the sum is about as large as one of them.
  at::Tensor weights_of_others(const Dataset& data, const at::Tensor& order) const {
    at::Tensor sum, squares;
    double rows_seen = 0;
    in_batches(std::min(order.size(0), spread_samples), chunk_, [&](int64_t first, int64_t count) {
      const at::Tensor outputs = value_for(data.batch(order.narrow(0, first, count), program_.device));
      const at::Tensor rows = positions_.defined() ? at_positions(outputs, positions_).flatten(0, 1) : outputs;
      const at::Tensor values = target_.measured(rows).to(at::kDouble);
      const at::Tensor spread = target_.of_probabilities() ? values * (1 - values) : values * values;
      sum = sum.defined() ? sum + values.sum(0) : values.sum(0);
      squares = squares.defined() ? squares + spread.sum(0) : spread.sum(0);
      rows_seen += static_cast<double>(rows.size(0));
    });
    at::Tensor spread = squares / rows_seen;
    if (!target_.of_probabilities()) spread = (spread - (sum / rows_seen).square()).clamp_min(0).sqrt();
    const at::Tensor others = others_.to(spread.device());
    const double count = others.sum().item<double>();
    const at::Tensor mean = (spread * others).sum() / count;
    return (others * mean / spread.clamp_min(1e-12) / std::sqrt(count)).to(at::kFloat);
  }

  at::Tensor value_for(const Batch& batch) const {
    Environment environment = executor_.start(batch);
    executor_.run(environment, 0, program_.maker(target_.value()) + 1);
    return environment[at_index(target_.value())].toTensor();
  }

  // ---- Chunks -------------------------------------------------------------------------------------------------------

  /// Returns, by sample, whether the outputs are finite.
  at::Tensor run_chunk(const Dataset& data, const at::Tensor& places, int64_t most, const Progress& progress) {
    const at::Tensor samples = rounds_.state().order.index_select(0, places);
    Recording recording = recorder_->run(data.batch(samples, program_.device));
    const at::Tensor finite = recording.outputs.isfinite().flatten(1).all(1);
    const at::Tensor rows = rows_of(recording.outputs, samples);  // [samples, points, outputs]
    const auto [cells, cell_of, counts] = at::_unique2(rounds_.cells_of(places), /*sorted=*/true, true);
    const at::Tensor members = cell_of.unsqueeze(0) == at::arange(cells.size(0), at::kLong).unsqueeze(1);
    const Cells into{sent(cells, program_.device, at::kLong), sent(members, program_.device, at::kFloat)};
    const std::vector<bool> open = open_places();
    for (size_t p = 0; p < passes_.size(); ++p) {
      const bool last = p + 1 == passes_.size();
      add(passes_[p], effects(recording, rows, samples, passes_[p], open, last), into);
      done_ += samples.size(0);
      done_in_round_ += samples.size(0);
      const int64_t left = (most - rounds_.taken()) * static_cast<int64_t>(passes_.size()) - done_in_round_;
      if (progress) progress({"scoring", done_, done_ + left, "gradients"});
    }
    return finite;
  }

  struct Cells {
    at::Tensor cells;    // int64: those that occur; stratum · blocks + block
    at::Tensor members;  // float32 [cells, samples]: 1 where a sample is in a cell, else 0
  };

  /// At points drawn for each sample, where outputs have positions.
  at::Tensor rows_of(const at::Tensor& outputs, const at::Tensor& samples) const {
    const at::AutoGradMode with_gradients(true);
    if (!positions_.defined()) return outputs.unsqueeze(1);
    const auto all = static_cast<uint64_t>(positions_.size(0));
    at::Tensor drawn = at::empty({samples.size(0), points_}, at::kLong);
    for (int64_t i = 0; i < samples.size(0); ++i) {
      Random random(derive_seed(params_.seed, fmt::format("points {}", samples[i].item<int64_t>())));
      for (int64_t point = 0; point < points_; ++point)
        drawn[i][point] = static_cast<int64_t>(random.below(all));
    }
    const at::Tensor rows = at_positions(outputs, positions_);
    return rows.gather(1, drawn.to(rows.device()).unsqueeze(2).expand({-1, -1, rows.size(2)}));
  }

  /// Places that have a unit of a group that is not settled: no gradient need go further back than those.
  std::vector<bool> open_places() const {
    std::vector<bool> open;
    for (const Frontier::Place& place : frontier_.places) {
      open.push_back(std::any_of(place.units.begin(), place.units.end(), [&](int32_t unit) {
        return unit != no_unit && mutated_[at_index(unit)] && !rounds_.settled(map_.unit(unit).group);
      }));
    }
    return open;
  }

  /// Estimated effects of clusters on what a pass is for, added up over factors: [samples, clusters].
  at::Tensor effects(const Recording& recording, const at::Tensor& rows, const at::Tensor& samples, const Pass& pass,
                     const std::vector<bool>& open, bool last) const {
    std::vector<at::Tensor> inputs;
    std::vector<size_t> of_inputs;
    for (size_t p = 0; p < recording.places.size(); ++p) {
      if (!open[p] || !recording.places[p].defined()) continue;
      inputs.push_back(recording.places[p]);
      of_inputs.push_back(p);
    }
    at::Tensor effects = at::zeros({rows.size(0), static_cast<int64_t>(clusters_.size())}, rows.options());
    if (inputs.empty()) return effects;
    const std::vector<at::Tensor> gradients = gradients_of(wanted(rows, samples, pass), inputs, !last);
    const at::Tensor point = rows.detach().select(1, pass.point);
    for (size_t f = 0; f < params_.factors.size(); ++f) {
      at::Tensor changes = at::zeros({rows.size(0), columns_.clusters.size(0)}, effects.options());
      for (size_t i = 0; i < inputs.size(); ++i) {
        if (gradients[i].defined()) sums_[of_inputs[i]].add(recording.changes[f][of_inputs[i]], gradients[i], changes);
      }
      const at::Tensor of_units = pass.output < 0 ? changes.abs() : target_.effects(point, pass.output, changes);
      effects.index_add_(1, columns_.clusters, of_units);
    }
    return effects;
  }

  /// What a pass differentiates: one number, the sum over the samples.
  at::Tensor wanted(const at::Tensor& rows, const at::Tensor& samples, const Pass& pass) const {
    const at::AutoGradMode with_gradients(true);
    const at::Tensor point = rows.select(1, pass.point);
    if (pass.output >= 0) return target_.of(point, pass.output).sum();
    return (target_.measured(point) * weights_ * signs(samples, pass.point)).sum();
  }

  /// Random signs for each sample, 1 or -1: [samples, outputs].
  at::Tensor signs(const at::Tensor& samples, int64_t point) const {
    at::Tensor drawn = at::empty({samples.size(0), others_.size(0)}, at::kFloat);
    float* sign = drawn.data_ptr<float>();
    for (int64_t i = 0; i < samples.size(0); ++i) {
      Random random(derive_seed(params_.seed, fmt::format("signs {} {}", samples[i].item<int64_t>(), point)));
      for (int64_t output = 0; output < others_.size(0); ++output)
        *sign++ = random.below(2) == 0 ? 1.0F : -1.0F;
    }
    return drawn.to(program_.device);
  }

  static std::vector<at::Tensor> gradients_of(const at::Tensor& wanted, const std::vector<at::Tensor>& inputs,
                                              bool keep) {
    return torch::autograd::grad({wanted}, inputs, {}, keep, /*create_graph=*/false, /*allow_unused=*/true);
  }

  /// Adds effects [samples, clusters], of which a pass has one of several points, to the sums.
  void add(const Pass& pass, const at::Tensor& effects, const Cells& into) {
    ScoringState& state = rounds_.state();
    at::Tensor by_cell = at::matmul(into.members, effects).to(at::kDouble) / static_cast<double>(points_);
    by_cell = by_cell * open_clusters().to(by_cell.options());
    const at::Tensor stratum = into.cells.div(block_count, "floor");
    if (pass.output < 0) {
      const at::Tensor all = at::zeros({state.sums.size(0), state.sums.size(1)}, state.sums.options());
      state.sums.add_(all.index_add(0, stratum, by_cell).unsqueeze(2) * others_.to(all.device()));
      return;
    }
    state.sums.select(2, pass.output).index_add_(0, stratum, by_cell);
    const at::Tensor resampled = rounds_.resampled().to(at::kCPU);
    for (int64_t t = 0; t < resampled.size(0) && params_.stop; ++t) {
      if (resampled[t].item<int64_t>() == pass.output)
        state.blocks.flatten(0, 1).select(2, t).index_add_(0, into.cells, by_cell);
    }
  }

  /// 1 for clusters of groups that are not settled, else 0: [clusters].
  at::Tensor open_clusters() const {
    std::vector<double> open;
    open.reserve(clusters_.size());
    for (const Cluster& cluster : clusters_)
      open.push_back(rounds_.settled(cluster.group) ? 0.0 : 1.0);
    return at::tensor(open, at::kDouble);
  }

  // ---- Results ------------------------------------------------------------------------------------------------------

  Contributions result() {
    Contributions result = contributions_of(clusters_, copied(rounds_.state(), at::kCPU));
    result.chunk = chunk_;
    result.passes = static_cast<int64_t>(passes_.size());
    result.multiply_adds =
        static_cast<double>(result.samples) * multiply_adds_ * static_cast<double>(passes_.size() + 1);
    return result;
  }

  const Program& program_;
  const UnitMap& map_;
  const std::vector<Cluster>& clusters_;
  const ScoringParams& params_;
  const Executor executor_;
  const std::vector<bool> mutated_;  // by unit
  const GradientTarget target_;
  const Columns columns_;
  Rounds rounds_;
  Frontier frontier_;
  std::vector<PlaceSums> sums_;  // by place
  std::optional<Recorder> recorder_;
  at::Tensor positions_;  // see compared_positions
  int64_t points_ = 1;    // of each sample
  std::vector<Pass> passes_;
  at::Tensor others_;   // float64 [outputs]: 1 for those that are not wanted
  at::Tensor weights_;  // float32 [outputs]: see weights_of_others
  int64_t chunk_ = 1;
  double multiply_adds_ = 0;  // of one sample's forward pass
  int64_t done_ = 0;          // gradients
  int64_t done_in_round_ = 0;
};

/// Runs two samples forwards and backwards, to see whether a gradient reaches every place.
std::string trial(const Program& program, const Frontier& frontier, const std::vector<bool>& mutated,
                  const GradientTarget& target, const Batch& batch) {
  const Executor executor(program);
  const Recording recording = Recorder(executor, frontier, mutated, {0.0}, target.value()).run(batch);
  std::vector<at::Tensor> inputs;
  std::vector<NodeId> makers;
  for (size_t p = 0; p < recording.places.size(); ++p) {
    if (!recording.places[p].defined()) continue;
    inputs.push_back(recording.places[p]);
    makers.push_back(program.maker(frontier.places[p].value));
  }
  if (inputs.empty()) return "";
  if (!recording.outputs.requires_grad()) return "the outputs have no gradient";
  const at::AutoGradMode with_gradients(true);
  const auto gradients = torch::autograd::grad({recording.outputs.sum()}, inputs, {}, {}, false, true);
  for (size_t p = 0; p < gradients.size(); ++p) {
    if (gradients[p].defined()) continue;
    const Node& maker = program.node(makers[p]);
    return fmt::format("no gradient reaches what {} at {} makes", maker.op, maker.source);
  }
  return "";
}

}  // namespace

std::string obstacle_to_gradients(const Program& program, const UnitMap& map, OutputKind kind, const Dataset& data,
                                  Metric metric) {
  const Batch two = two_samples(data, program.device);
  const std::vector<bool> mutated = removable_units(map);
  const Frontier frontier = find_frontier(program, map, sample_values(program, two), mutated);
  if (!frontier.obstacle.empty()) return frontier.obstacle;
  try {
    return trial(program, frontier, mutated, GradientTarget(program, metric, kind), two);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    return first_line(error);
  }
}

int64_t gradient_passes(int64_t wanted, int64_t outputs, bool positions) {
  return (wanted + (wanted < outputs ? 1 : 0)) * (positions ? points_of_positions : 1);
}

Contributions score_by_gradients(const Program& program, const UnitMap& map, const std::vector<Cluster>& clusters,
                                 OutputKind kind, const Dataset& data, const at::Tensor& order,
                                 const ScoringParams& params, const Progress& progress) {
  return GradientScorer(program, map, clusters, kind, params).run(data, order, progress);
}

}  // namespace incite
