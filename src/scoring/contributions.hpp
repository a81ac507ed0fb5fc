#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "data/dataset.hpp"
#include "incite/options.hpp"
#include "incite/progress.hpp"
#include "scoring/clusters.hpp"
#include "scoring/run_sizes.hpp"
#include "units/output_kind.hpp"

namespace incite {

/// How far scoring has come: what a stopped run goes on from. The samples are divided into strata by how uncertain the
/// model is about them, since mutants hardly move what it is sure of; sums are kept for each.
struct ScoringState {
  at::Tensor order;      ///< [samples] int64: all samples, stratum by stratum, each in the order of scoring
  at::Tensor sizes;      ///< [strata] int64: samples of each
  at::Tensor taken;      ///< [strata] int64: of those, the ones that are scored
  at::Tensor sums;       ///< [strata, clusters, outputs] float64: the metric's sums over mutants and samples
  at::Tensor blocks;     ///< [strata, blocks, clusters, some outputs] float64: the same by blocks of samples
  at::Tensor samples;    ///< [groups, strata] int64: samples that a group's mutants have run
  at::Tensor agreement;  ///< [groups] float64: estimated Jaccard index of the units kept and those that all samples
                         ///< would keep, the mean over outputs; 1 when all samples were scored, NaN if unknown
};

/// When to stop. After each round of samples each group's clusters are chosen anew from resampled blocks of samples (a
/// stratified bootstrap, its deviations scaled down as a stratum runs out). Where the choices agree with the choice
/// from all of them, the group is settled, and its mutants run no further. All groups are settled where they agree on
/// the whole, as the mean by units, and none disagrees more than `slack` times as much as it should: a group with few
/// units, of which one stands at the cut, can hold up a network for as long as there are samples.
struct StopRule {
  static constexpr double slack = 3;
  /// Which clusters stay, of a group's scores [..., clusters, outputs]: bool of the same shape. Called on several
  /// threads at a time.
  std::function<at::Tensor(const at::Tensor& scores)> choose;
  double agreement = 0.99;  ///< that settles a group
};

struct ScoringParams {
  Metric metric = Metric::probability;
  std::vector<double> factors = {0.0};  ///< a mutant multiplies a cluster's weights and biases by one of these
  int64_t memory = 0;                   ///< bytes that activations may take; 0: 1 GiB
  Scoring scoring = Scoring::mutation;
  std::vector<int64_t> outputs;                   ///< Scoring::gradient: those with a column of their own; empty: all
  uint64_t seed = 0;                              ///< of Metric::random, of resampling, of positions and of signs
  int64_t samples = 0;                            ///< most to score; 0: all
  bool tf32 = false;                              ///< see Tf32Products
  std::optional<StopRule> stop;                   ///< unset: all samples, or so many, are scored
  std::optional<ScoringState> resume;             ///< to go on from
  std::function<void(const ScoringState&)> save;  ///< called after each round
  std::optional<ChunkSizes> most;                 ///< unset: what suits the device
};

/// What each cluster is worth to each output.
struct Contributions {
  at::Tensor scores;         ///< [clusters, outputs] float64, CPU: the metric's sum over mutants, its mean over samples
  ScoringState state;        ///< what they were made from, on the CPU
  int64_t samples = 0;       ///< most that a group has used
  int64_t mutants = 0;       ///< clusters times factors
  int64_t passes = 0;        ///< Scoring::gradient: backward passes of a sample
  double multiply_adds = 0;  ///< of all mutants, or of all passes
  int64_t chunk = 0;         ///< samples in one forward pass
  int64_t batch = 0;         ///< most mutants in one batch
};

/// Scores every cluster's mutants on samples `order` (int64, CPU) of the data. Where not all are scored, scores are
/// estimates for all by stratified sampling: strata hold equal parts of the outputs' variance Σ p (1 - p), which one
/// run of the model over all samples gives, and the next round takes samples from each by the share that it has of the
/// scores so far (Neyman allocation, with the mean for the deviation).
///
/// Scaling a unit's weights and bias scales its pre-activation, so a mutant is never built: each chunk of samples runs
/// once, and then, for each group, its mutants run from the group's first layer to the output. As long as operations
/// work channel by channel, only the channels that a mutant changes are carried on (src/scoring/suffix_plan.hpp).
/// Memory does not depend on the number of samples or mutants. Where outputs have positions, effects are means over at
/// most 256 of them, spread evenly, the same for all samples.
///
/// Throws Error: device when one mutant of one sample does not fit, data_mismatch when the model gives NaN for a
/// sample; and what `progress` and `save` throw.
Contributions score(const Program& program, const UnitMap& map, const std::vector<Cluster>& clusters, OutputKind kind,
                    const Dataset& data, const at::Tensor& order, const ScoringParams& params,
                    const Progress& progress = {});

/// The contributions that a state holds.
Contributions contributions_of(const std::vector<Cluster>& clusters, const ScoringState& state);

}  // namespace incite
