#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "units/unit_map.hpp"

namespace incite {

/// How far a mutant's change is known exactly, position by position, without a run of the mutant.
///
/// Mutants of all clusters scale what their layers make. As long as a node works position by position, or only moves
/// positions, what it makes of the scaled values is at each position what the mutant of that position's unit makes
/// there: one run on whole values serves all mutants of all groups at once. A value that any other node reads is a
/// *place* of the frontier: there the changes are known, and what follows is not.
///
/// A layer's output starts anew even if it reads changed values, as those of a residual group do: times 0 it is 0.
/// Times another factor, what its inputs change in it is left to the gradient. A recurrent layer reads its own units
/// too: that is a place as well, of the shape of its outputs.
struct Frontier {
  /// Positions along one axis of a value.
  struct Place {
    ValueId value = -1;
    int64_t axis = -1;  ///< labelled
    int64_t batch_axis = 0;
    std::vector<int32_t> units;  ///< by position
    bool own = false;            ///< not the value, but what the recurrent layer that makes it reads of it
  };

  std::vector<Place> places;
  std::vector<std::vector<Place>> layers;  ///< by node: what it makes that mutants scale
  std::vector<bool> passes;                ///< by node: it runs on changed values, and is no reader of the frontier
  std::string obstacle;                    ///< why there is none, as the end of a sentence; empty: there is one
};

/// Finds the frontier. `sample` is what the values are for two samples; `mutated` says of each unit whether a mutant
/// changes it.
Frontier find_frontier(const Program& program, const UnitMap& map, const Sample& sample,
                       const std::vector<bool>& mutated);

}  // namespace incite
