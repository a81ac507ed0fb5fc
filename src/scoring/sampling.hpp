#pragma once

#include <ATen/core/Tensor.h>

#include "scoring/contributions.hpp"

namespace incite {

/// Which samples are scored next, and how sure the choice of clusters is after that.

constexpr int64_t block_count = 8;  ///< of a stratum's samples, for the bootstrap

/// The stratum of each sample: the most uncertain ones, as long as they make up an equal part of the sum, are the
/// first. `uncertainty` [samples] float64; returns [samples] int64.
at::Tensor strata_of(const at::Tensor& uncertainty, int64_t strata);

/// The samples of the next round, at most `most` with those that were taken: places in the state's order, int64. The
/// first round has `first`, the next ones a quarter of what is behind them and of `first` at least. Each stratum gives
/// by its part of the scores so far, but none less than a quarter of an equal part.
at::Tensor next_places(const ScoringState& state, int64_t most, int64_t first);

/// The stratum of each place in the order, and which of its `blocks` (1 to block_count) the sample is dealt to: stratum
/// · block_count + block.
at::Tensor cells_of(const ScoringState& state, const at::Tensor& places, int64_t blocks);

/// The stratified bootstrap of StopRule: what scores would be, had other blocks of samples been drawn.
class Bootstrap {
 public:
  Bootstrap(const ScoringState& state, uint64_t seed);

  /// Jaccard index of what `choose` takes by resampled scores and by all of them, the mean over resamples and outputs.
  /// `clusters` [n] int64 are a group's; `units` [n] float64 are what each weighs.
  double agreement(const at::Tensor& clusters, const at::Tensor& units,
                   const std::function<at::Tensor(const at::Tensor&)>& choose) const;

 private:
  at::Tensor blocks_;    // of the state, on the CPU
  at::Tensor estimate_;  // [1, strata * blocks]: a block's weight in the scores
  at::Tensor drawn_;     // [resamples, strata * blocks]: in those of a resample
};

}  // namespace incite
