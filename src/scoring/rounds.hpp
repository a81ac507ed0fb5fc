#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "scoring/contributions.hpp"

namespace incite {

/// The clusters of a group that has some.
struct ScoredGroup {
  int32_t group;
  at::Tensor clusters;  ///< int64
  at::Tensor units;     ///< float64: the units of each
  double all_units;     ///< of all of them
};

/// What is scored, and how its outputs are had and compared.
struct RoundsOf {
  const Executor& executor;
  OutputKind kind;
  const std::vector<Cluster>& clusters;
  size_t groups;
  const ScoringParams& params;
};

/// Where outputs of this shape are compared: a position in each of at most 256 equal parts of all, int64 on the device.
/// Undefined where they have no positions.
at::Tensor compared_positions(at::IntArrayRef shape, uint64_t seed, at::Device device);

/// Outputs [n, outputs, positions...] at the positions: [n, positions, outputs].
at::Tensor at_positions(const at::Tensor& outputs, const at::Tensor& positions);

/// The rounds in which samples are scored, however a cluster's effects are found: which samples come next, which groups
/// are settled, and the sums so far.
class Rounds {
 public:
  /// What `start` needs to know.
  struct Start {
    int64_t most;                    ///< samples to score
    int64_t chunk;                   ///< samples of one run
    int64_t chunks_at_once;          ///< runs that workers may do at a time
    at::Tensor positions;            ///< see compared_positions
    std::vector<int64_t> resampled;  ///< outputs for which choices may be resampled; empty: all
  };

  explicit Rounds(const RoundsOf& of);

  /// Goes on from the state to resume, or divides the samples into strata and starts with nothing scored.
  void start(const Dataset& data, const at::Tensor& order, const Start& with, const Progress& progress);

  ScoringState& state() { return state_; }
  const ScoringState& state() const { return state_; }
  int64_t taken() const { return state_.taken.sum().item<int64_t>(); }
  bool settled(int32_t group) const;
  bool any_unsettled() const;
  bool over() const { return taken() >= start_.most || !any_unsettled(); }
  /// Of many outputs, those that stand for all in the state's blocks.
  const std::vector<int64_t>& resampled() const { return resampled_; }

  /// Places in the state's order of the samples to score next, int64.
  at::Tensor next() const;
  /// See cells_of in sampling.hpp. Without a stop rule there is one block.
  at::Tensor cells_of(const at::Tensor& places) const;
  /// Notes that a round was scored. `finite`, bool by sample: whether the model's outputs were. Throws Error
  /// (data_mismatch) where they were not.
  void end(const at::Tensor& round, const at::Tensor& finite);
  /// What a stopped run goes on from, on the CPU.
  ScoringState to_go_on_from() const;

 private:
  double& agreement(int32_t group) const { return state_.agreement.data_ptr<double>()[group]; }
  bool enough() const;
  void stratify(const Dataset& data, const at::Tensor& order, const Progress& progress);
  at::Tensor uncertainty(const Dataset& data, const at::Tensor& order, const Progress& progress) const;
  void choose_resampled();
  void check_finite(const at::Tensor& round, const at::Tensor& finite) const;
  void settle();

  const RoundsOf of_;
  const ScoringParams& params_;
  const at::Device device_;
  std::vector<ScoredGroup> groups_;
  Start start_;
  std::vector<int64_t> resampled_;
  ScoringState state_;
};

/// Where the samples of a chunk belong.
struct ChunkCells {
  at::Tensor cells;    ///< int64: those that occur, ascending; stratum · blocks + block
  at::Tensor members;  ///< float32 [cells, samples]: 1 where a sample is in a cell, else 0
};

/// Of samples at `places` in the state's order, on a device.
ChunkCells chunk_cells(const Rounds& rounds, const at::Tensor& places, at::Device device);

/// A copy of a state with its sums on a device.
ScoringState copied(const ScoringState& state, at::Device device);

}  // namespace incite
