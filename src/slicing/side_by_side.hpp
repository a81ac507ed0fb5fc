#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "data/dataset.hpp"
#include "incite/progress.hpp"
#include "program/program.hpp"
#include "units/unit_map.hpp"

namespace incite {

/// A slice to run, and what of it is wanted.
struct SliceRun {
  const Program* module = nullptr;
  const Selection* keep = nullptr;
  std::vector<ValueId> wanted;
  std::vector<int64_t> axes;  ///< of what `reading` gives: the axis that holds the samples, or points
  /// What is kept of the wanted values for some samples.
  std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>& values, const at::Tensor& samples)> reading;
};

/// How slices are run side by side.
struct SideBySide {
  const Program& program;  ///< the original that they were cut from
  const UnitMap& map;
  const Dataset& data;
  int64_t most = 512;   ///< samples at a time
  int64_t workers = 1;  ///< batches at a time
  const Progress& progress;
};

/// Runs slices on samples: by slice, what its reading gives, all samples together. Each batch is read once, and what
/// the slices share with the original is computed once (see shared_start). Results do not depend on the number of
/// workers.
std::vector<std::vector<at::Tensor>> run_side_by_side(const SideBySide& how, const std::vector<SliceRun>& runs,
                                                      const at::Tensor& samples);

}  // namespace incite
