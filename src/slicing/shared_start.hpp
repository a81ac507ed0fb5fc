#pragma once

#include <vector>

#include "program/executor.hpp"
#include "units/unit_map.hpp"

namespace incite {

/// Where a slice begins to compute something else than the original: up to there its values are the original's, without
/// the channels that are gone. Slices of one original share these values, so that they are made once.
struct SharedStart {
  NodeId node = 0;               ///< the slice's first node that has to be run
  NodeId original = 0;           ///< the original's first node that need not be run
  std::vector<ValueId> values;   ///< what the slice's other nodes read of what comes before
  std::vector<at::Tensor> kept;  ///< by value, int64: the positions that stay along its labelled axis; undefined: all
  std::vector<int64_t> axes;     ///< by value: that axis
  std::vector<NodeId> lists;     ///< the slice's nodes before `node` that put what it reads into lists
};

/// The shared start of `module`, which is slice(program, map, keep), perhaps with other weights and another head.
/// `wanted`: what else than the module's output is asked of it.
SharedStart shared_start(const Program& program, const UnitMap& map, const Selection& keep, const Program& module,
                         const std::vector<ValueId>& wanted = {});

/// An environment of the slice, which `executor` runs, at `start.node`. `original`: of the original, at
/// `start.original` or later, with `start.values` kept.
Environment begin_from(const SharedStart& start, const Environment& original, const Executor& executor);

}  // namespace incite
