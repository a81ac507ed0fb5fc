#include "scoring/sampling.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/random.hpp"

namespace incite {
namespace {

constexpr int64_t resamples = 64;

/// Jaccard index of two choices of clusters, over dimension -2, weighted by the clusters' units; 1 for two empty ones.
at::Tensor jaccard(const at::Tensor& a, const at::Tensor& b, const at::Tensor& units) {
  const at::Tensor weights = units.unsqueeze(1);
  const at::Tensor both = (a.logical_and(b) * weights).sum(-2);
  const at::Tensor either = (a.logical_or(b) * weights).sum(-2);
  return at::where(either > 0, both / either, at::ones_like(both));
}

/// How many samples the next round takes of each stratum.
std::vector<int64_t> allocation(const ScoringState& state, int64_t most, int64_t first) {
  const int64_t least_round = std::max<int64_t>(first / 4, 1);
  const int64_t strata = state.sizes.size(0);
  const auto behind = state.taken.sum().item<int64_t>();
  // Rounds grow with what is behind them, so that what is scored in vain, and the number of rounds, stay small.
  const int64_t wanted = behind > 0 ? std::max(behind / 4 / least_round * least_round, least_round) : first;
  const int64_t length = std::min(wanted, most - behind);
  at::Tensor parts = at::ones({strata}, at::kDouble);
  if (behind > 0) {
    const at::Tensor mass = state.sums.sum({1, 2}).to(at::kCPU) * state.sizes / state.taken.clamp_min(1);
    if (mass.sum().item<double>() > 0) parts = mass / mass.sum() * static_cast<double>(strata) + 0.25;
  }
  std::vector<int64_t> counts(static_cast<size_t>(strata), 0);
  int64_t left = length;
  // What a stratum can't give is shared by the others; what rounding leaves is taken one by one.
  for (bool moved = true; left > 0 && moved;) {
    moved = false;
    const at::Tensor open = state.sizes - state.taken - at::tensor(counts, at::kLong) > 0;
    const at::Tensor share = parts * open / (parts * open).sum() * static_cast<double>(left);
    int64_t given = 0;
    for (int64_t l = 0; l < strata; ++l) {
      int64_t& count = counts[static_cast<size_t>(l)];
      const int64_t room = state.sizes[l].item<int64_t>() - state.taken[l].item<int64_t>() - count;
      const auto due = std::max<int64_t>(static_cast<int64_t>(share[l].item<double>()), 1);
      const int64_t more = std::min({room, due, left - given});
      count += more;
      given += more;
      moved = moved || more > 0;
    }
    left -= given;
  }
  return counts;
}

/// How often each block is drawn in each resample of its stratum. [resamples, strata, blocks] float64
at::Tensor draws(int64_t strata, uint64_t seed) {
  Random random(seed);
  at::Tensor drawn = at::zeros({resamples, strata, block_count}, at::kDouble);
  auto* row = drawn.data_ptr<double>();
  for (int64_t stratum = 0; stratum < resamples * strata; ++stratum, row += block_count) {
    for (int64_t draw = 0; draw < block_count; ++draw)
      row[random.below(block_count)] += 1;
  }
  return drawn;
}

}  // namespace

at::Tensor strata_of(const at::Tensor& uncertainty, int64_t strata) {
  const at::Tensor ranked = at::argsort(uncertainty, /*stable=*/true, 0, /*descending=*/true);
  const at::Tensor parts = uncertainty.index_select(0, ranked) + 1e-12;
  const at::Tensor before = parts.cumsum(0) - parts;
  const at::Tensor stratum = (before / parts.sum() * strata).to(at::kLong).clamp(0, strata - 1);
  return at::zeros_like(stratum).scatter_(0, ranked, stratum);
}

at::Tensor next_places(const ScoringState& state, int64_t most, int64_t first_round) {
  const std::vector<int64_t> counts = allocation(state, most, first_round);
  std::vector<at::Tensor> places;
  int64_t first = 0;
  for (size_t l = 0; l < counts.size(); ++l) {
    const auto stratum = static_cast<int64_t>(l);
    const int64_t begin = first + state.taken[stratum].item<int64_t>();
    places.push_back(at::arange(begin, begin + counts[l], at::kLong));
    first += state.sizes[stratum].item<int64_t>();
  }
  return at::cat(places);
}

at::Tensor cells_of(const ScoringState& state, const at::Tensor& places, int64_t blocks) {
  const at::Tensor ends = state.sizes.cumsum(0);
  const at::Tensor stratum = at::searchsorted(ends, places, /*out_int32=*/false, /*right=*/true);
  const at::Tensor rank = places - (ends - state.sizes).index_select(0, stratum);
  return stratum * block_count + rank.remainder(blocks);
}

Bootstrap::Bootstrap(const ScoringState& state, uint64_t seed) : blocks_(state.blocks.to(at::kCPU)) {
  const at::Tensor sizes = state.sizes.to(at::kDouble);
  const at::Tensor scale = sizes / state.taken.clamp_min(1);  // from a stratum's sample to all
  // Of n samples of N a share is known for good: the deviation shrinks as in sampling without replacement. Eight blocks
  // show seven eighths of the variance.
  const at::Tensor unknown = (1 - state.taken / sizes).clamp_min(0);
  const at::Tensor deviation = (unknown * block_count / (block_count - 1)).sqrt();
  estimate_ = scale.unsqueeze(1).expand({-1, block_count}).reshape({1, -1});
  const at::Tensor spread = deviation.view({1, -1, 1}) * (draws(state.sizes.size(0), seed) - 1);
  drawn_ = (scale.view({1, -1, 1}) * (1 + spread)).flatten(1);
}

double Bootstrap::agreement(const at::Tensor& clusters, const at::Tensor& units,
                            const std::function<at::Tensor(const at::Tensor&)>& choose) const {
  const at::Tensor own = blocks_.index_select(2, clusters);
  const std::vector<int64_t> shape = {-1, own.size(2), own.size(3)};
  const at::Tensor flat = own.reshape({-1, own.size(2) * own.size(3)});
  const at::Tensor all = at::matmul(estimate_, flat).view(shape);
  const at::Tensor drawn = at::matmul(drawn_, flat).view(shape);
  return jaccard(choose(drawn), choose(all), units).mean().item<double>();
}

}  // namespace incite
