#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "scoring/suffix.hpp"

namespace incite {

/// All mutants of some clusters of one group: what a worker runs at a time. No other task adds to the sums of these
/// clusters, so that sums do not depend on which task ends first.
struct MutantTask {
  std::vector<Mutant> mutants;
  std::vector<MutantBatch> batches;  ///< in order; together the mutants
};

/// The mutants of one group and how they run.
struct MutantGroup {
  int32_t group;
  std::vector<Mutant> mutants;  ///< cluster by cluster, for each as many as there are factors
  Suffix suffix;
  std::vector<MutantTask> tasks;
};

/// The size, at most `most`, of as few parts of `count` as there must be, all but the last of them alike.
int64_t even_part(int64_t count, int64_t most);

/// Makes tasks of all mutants of the group, in batches of at most `most`.
void share_out(MutantGroup& group, int64_t most, at::Device device);

/// Puts two halves in place of a batch of several mutants.
void halve(const Suffix& suffix, MutantTask& task, size_t batch, at::Device device);

}  // namespace incite
