#include "scoring/rounds.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/fail.hpp"
#include "base/random.hpp"
#include "base/transfer.hpp"
#include "base/workers.hpp"
#include "scoring/metrics.hpp"
#include "scoring/sampling.hpp"

namespace incite {
namespace {

constexpr int64_t most_strata = 16;
constexpr int64_t least_stratum = 64;                     // samples that a stratum is worth
constexpr int64_t most_state_bytes = int64_t{128} << 20;  // of sums, and as much of blocks
constexpr int64_t most_resampled = 64;                    // outputs

// Where outputs have positions, a sample tells of many at once.
constexpr int64_t most_positions = 256;
constexpr int64_t most_strata_of_positions = 4;
constexpr int64_t first_round = 256, first_round_of_positions = 64;  // samples

std::vector<ScoredGroup> groups_of(const std::vector<Cluster>& clusters, size_t groups) {
  std::vector<ScoredGroup> made;
  for (size_t g = 0; g < groups; ++g) {
    std::vector<int64_t> own;
    std::vector<double> units;
    for (size_t c = 0; c < clusters.size(); ++c) {
      if (clusters[c].group != static_cast<int32_t>(g)) continue;
      own.push_back(static_cast<int64_t>(c));
      units.push_back(static_cast<double>(clusters[c].units.size()));
    }
    if (own.empty()) continue;
    made.push_back({static_cast<int32_t>(g), at::tensor(own, at::kLong), at::tensor(units, at::kDouble),
                    std::accumulate(units.begin(), units.end(), 0.0)});
  }
  return made;
}

}  // namespace

at::Tensor compared_positions(at::IntArrayRef shape, uint64_t seed, at::Device device) {
  if (shape.size() <= 2) return {};
  const int64_t all = c10::multiply_integers(shape.slice(2));
  const int64_t count = std::min(all, most_positions);
  Random random(derive_seed(seed, "positions"));
  std::vector<int64_t> chosen;
  for (int64_t part = 0; part < count; ++part) {
    const int64_t first = part * all / count, next = (part + 1) * all / count;
    chosen.push_back(first + static_cast<int64_t>(random.below(static_cast<uint64_t>(next - first))));
  }
  return at::tensor(chosen, at::TensorOptions(at::kLong).device(device));
}

at::Tensor at_positions(const at::Tensor& outputs, const at::Tensor& positions) {
  return outputs.flatten(2).index_select(2, positions).transpose(1, 2);
}

ChunkCells chunk_cells(const Rounds& rounds, const at::Tensor& places, at::Device device) {
  const auto [cells, cell_of, counts] = at::_unique2(rounds.cells_of(places), /*sorted=*/true, /*return_inverse=*/true);
  const at::Tensor members = cell_of.unsqueeze(0) == at::arange(cells.size(0), at::kLong).unsqueeze(1);
  return {sent(cells, device, at::kLong), sent(members, device, at::kFloat)};
}

ScoringState copied(const ScoringState& state, at::Device device) {
  ScoringState copy = state;
  copy.sums = state.sums.to(device, at::kDouble, false, /*copy=*/true);
  copy.blocks = state.blocks.to(device, at::kDouble, false, /*copy=*/true);
  copy.taken = state.taken.clone();
  copy.samples = state.samples.clone();
  copy.agreement = state.agreement.clone();
  return copy;
}

Rounds::Rounds(const RoundsOf& of)
    : of_(of), params_(of.params), device_(of.executor.program().device), groups_(groups_of(of.clusters, of.groups)) {}

void Rounds::start(const Dataset& data, const at::Tensor& order, const Start& with, const Progress& progress) {
  start_ = with;
  if (params_.resume) {
    state_ = copied(*params_.resume, device_);
  } else {
    stratify(data, order, progress);
  }
  choose_resampled();
}

// ---- Strata ---------------------------------------------------------------------------------------------------------

void Rounds::stratify(const Dataset& data, const at::Tensor& order, const Progress& progress) {
  const auto count = static_cast<int64_t>(of_.clusters.size());
  const auto clusters = std::max<int64_t>(count, 1);
  const int64_t outputs = of_.executor(data.batch(order.narrow(0, 0, 1), device_)).size(1);
  const int64_t fitting = most_state_bytes / (clusters * outputs * 8);
  const bool partial = (params_.stop || start_.most < order.size(0)) && row_of(params_.metric).falls_with_certainty;
  const int64_t strata = partial
                             ? std::clamp<int64_t>(std::min(order.size(0) / least_stratum, fitting), 1,
                                                   start_.positions.defined() ? most_strata_of_positions : most_strata)
                             : 1;
  const at::Tensor stratum =
      strata > 1 ? strata_of(uncertainty(data, order, progress), strata) : at::zeros({order.size(0)}, at::kLong);
  state_.order = order.index_select(0, at::argsort(stratum, /*stable=*/true, 0, /*descending=*/false));
  const at::Tensor sizes = at::bincount(stratum, {}, strata);
  state_.sizes = sizes.masked_select(sizes > 0);

  const int64_t made = state_.sizes.size(0);
  const int64_t room = most_state_bytes / (made * block_count * clusters * 8);
  const auto some = static_cast<int64_t>(start_.resampled.size());
  const int64_t most = std::min(some > 0 ? some : outputs, most_resampled);
  const int64_t resampled = params_.stop ? std::clamp<int64_t>(room, 1, most) : 0;
  const auto on_device = at::TensorOptions().dtype(at::kDouble).device(device_);
  state_.taken = at::zeros({made}, at::kLong);
  state_.sums = at::zeros({made, count, outputs}, on_device);
  state_.blocks = at::zeros({made, block_count, count, resampled}, on_device);
  state_.samples = at::zeros({static_cast<int64_t>(of_.groups), made}, at::kLong);
  state_.agreement = at::ones({static_cast<int64_t>(of_.groups)}, at::kDouble);  // of groups without clusters
  for (const ScoredGroup& group : groups_)
    agreement(group.group) = std::numeric_limits<double>::quiet_NaN();
}

/// The variance of each sample's outputs, as probabilities. [samples] float64, CPU
at::Tensor Rounds::uncertainty(const Dataset& data, const at::Tensor& order, const Progress& progress) const {
  const at::Tensor& positions = start_.positions;
  const int64_t all = order.size(0), part = start_.chunk;
  std::vector<at::Tensor> variances(static_cast<size_t>((all + part - 1) / part));
  const auto run = [&](int64_t chunk) {
    const at::NoGradGuard no_grad;
    const int64_t first = chunk * part;
    const at::Tensor samples = order.narrow(0, first, std::min(part, all - first));
    const at::Tensor outputs = of_.executor(data.batch(samples, device_));
    const at::Tensor rows = positions.defined() ? at_positions(outputs, positions) : outputs;
    const at::Tensor p = probabilities(rows, of_.kind).to(at::kDouble);
    const at::Tensor variance = (p * (1 - p)).abs().sum(-1);
    variances[static_cast<size_t>(chunk)] = positions.defined() ? variance.mean(1) : variance;
  };
  run_pieces(static_cast<int64_t>(variances.size()), start_.chunks_at_once, device_, run, [&](int64_t done) {
    if (progress) progress({"sampling", std::min(done * part, all), all, "samples"});
  });
  return at::cat(variances).to(at::kCPU).nan_to_num(0, 0, 0);
}

void Rounds::choose_resampled() {
  std::vector<int64_t> from = start_.resampled;
  if (from.empty()) {
    from.resize(static_cast<size_t>(state_.sums.size(2)));
    std::iota(from.begin(), from.end(), 0);
  }
  const auto count = static_cast<size_t>(state_.blocks.size(3));
  resampled_.clear();
  for (size_t i = 0; i < count; ++i)
    resampled_.push_back(from[i * from.size() / count]);
}

// ---- Rounds ---------------------------------------------------------------------------------------------------------

bool Rounds::settled(int32_t group) const {
  return params_.stop && (agreement(group) >= params_.stop->agreement || enough());
}

/// Whether the groups agree well enough on the whole, by units, and none of them badly.
bool Rounds::enough() const {
  double agreed = 0, units = 0;
  for (const ScoredGroup& group : groups_) {
    if (1 - agreement(group.group) > StopRule::slack * (1 - params_.stop->agreement)) return false;
    agreed += group.all_units * agreement(group.group);
    units += group.all_units;
  }
  return agreed >= params_.stop->agreement * units;
}

bool Rounds::any_unsettled() const {
  return std::any_of(groups_.begin(), groups_.end(), [&](const ScoredGroup& group) { return !settled(group.group); });
}

at::Tensor Rounds::next() const {
  return next_places(state_, start_.most, start_.positions.defined() ? first_round_of_positions : first_round);
}

at::Tensor Rounds::cells_of(const at::Tensor& places) const {
  return incite::cells_of(state_, places, params_.stop ? block_count : 1);
}

void Rounds::end(const at::Tensor& round, const at::Tensor& finite) {
  check_finite(round, finite);
  state_.taken += at::bincount(cells_of(round).div(block_count, "floor"), {}, state_.sizes.size(0));
  for (const ScoredGroup& group : groups_) {
    if (!settled(group.group)) state_.samples[group.group].copy_(state_.taken);
  }
  if (params_.stop) settle();
  if (taken() == state_.order.size(0)) {
    for (const ScoredGroup& group : groups_)
      agreement(group.group) = settled(group.group) ? agreement(group.group) : 1;
  }
}

void Rounds::check_finite(const at::Tensor& round, const at::Tensor& finite) const {
  if (finite.all().item<bool>()) return;
  const at::Tensor bad = state_.order.index_select(0, round).masked_select(finite.to(at::kCPU).logical_not());
  fail(ExitCode::data_mismatch, "the model's output for sample {} is NaN or infinite; check the data and --input-scale",
       bad.min().item<int64_t>());
}

void Rounds::settle() {
  const Bootstrap bootstrap(state_, derive_seed(params_.seed, fmt::format("resample {}", taken())));
  std::vector<const ScoredGroup*> open;
  for (const ScoredGroup& group : groups_) {
    if (!settled(group.group)) open.push_back(&group);
  }
  const auto estimate = [&](int64_t g) {
    const ScoredGroup& group = *open[static_cast<size_t>(g)];
    agreement(group.group) = bootstrap.agreement(group.clusters, group.units, params_.stop->choose);
  };
  run_pieces(static_cast<int64_t>(open.size()), workers_for(at::kCPU), at::kCPU, estimate);
}

/// Blocks of groups that are settled, or of all at the end, are never read again: as zeros they take little space.
ScoringState Rounds::to_go_on_from() const {
  ScoringState state = copied(state_, at::kCPU);
  const bool at_the_end = taken() >= start_.most;
  for (const ScoredGroup& group : groups_) {
    if (at_the_end || settled(group.group)) state.blocks.index_fill_(2, group.clusters, 0);
  }
  return state;
}

}  // namespace incite
