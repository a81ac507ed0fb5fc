#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "scoring/suffix_plan.hpp"
#include "units/unit_map.hpp"

namespace incite {

/// A cluster's units, scaled by a factor.
struct Mutant {
  int64_t cluster;
  double factor;
};

/// Mutants of one group that run together, and where each changes what.
struct MutantBatch {
  /// Positions along a labelled axis that mutants change, side by side: `width` slots for each mutant. A mutant that
  /// changes fewer positions repeats one.
  struct Slots {
    at::Tensor index;    ///< int64 [mutants * width]: positions along the axis
    at::Tensor factors;  ///< float32 [mutants * width]: what a position of a layer's output is scaled by
    at::Tensor used;     ///< float32 [mutants, width]: 0 for repeated positions, else 1; undefined if all are 1
    int64_t width = 0;   ///< slots of one mutant
    std::vector<int64_t> counts;  ///< by mutant: its slots that are no repetition
  };
  /// Mutants next to each other that are of one cluster.
  struct Run {
    int64_t first;
    int64_t count;
  };

  int64_t mutants = 0;
  at::Tensor clusters;       ///< int64 [mutants]
  std::vector<Run> runs;     ///< in order; together all mutants
  std::vector<Slots> slots;  ///< by slot set of the plan
  std::vector<at::Tensor>
      factors;  ///< by scaled value of the plan: float32 [mutants, positions]; undefined if not used
};

/// Runs mutants of one group from the group's layers to the program's output.
class Suffix {
 public:
  /// `unit_clusters` is the cluster of each unit, -1 for none.
  Suffix(const Program& program, const UnitMap& map, int32_t group, const Sample& sample,
         const std::vector<int64_t>& unit_clusters)
      : plan_(plan_suffix(program, map, group, sample, unit_clusters)), unit_clusters_(unit_clusters) {}

  const SuffixPlan& plan() const { return plan_; }

  MutantBatch batch(const std::vector<Mutant>& mutants, at::Device device) const;

  /// The program's outputs for stacked mutants: [mutants * samples, outputs], mutant by mutant. `base` holds the values
  /// that the plan has saved from the run without mutants.
  at::Tensor run(const Executor& executor, const Environment& base, const MutantBatch& batch) const;

 private:
  MutantBatch::Slots slots_of(const std::vector<int32_t>& units, const std::vector<Mutant>& mutants) const;
  static MutantBatch::Slots repeated(const MutantBatch::Slots& parent, int64_t ratio);
  at::Tensor factors_of(const std::vector<int32_t>& units, const std::vector<Mutant>& mutants) const;

  SuffixPlan plan_;
  const std::vector<int64_t>& unit_clusters_;
};

}  // namespace incite
