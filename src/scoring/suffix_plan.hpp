#pragma once

#include <cstdint>
#include <vector>

#include "units/unit_map.hpp"

namespace incite {

/// How the mutants of one group run from the group's layers to the output, and with which values.
///
/// A mutant changes some positions of what the group's layers make. As long as operations work position by position,
/// only those positions are carried on: a *narrow* value, in which the changed positions of all mutants lie side by
/// side along the labelled axis. The next linear operation adds what the changes make to what it made without them, and
/// from there on values are *whole*: mutants are stacked along the batch.
struct SuffixPlan {
  struct Step {
    enum class Kind : uint8_t {
      seed,         ///< narrow: the changed positions of a layer's output, scaled
      whole_seed,   ///< whole: a layer's output, a scaled copy for each mutant
      narrow,       ///< narrow: runs the node on changed positions
      depthwise,    ///< narrow: the same for a depthwise convolution
      reshape,      ///< narrow: a view in which each position becomes `ratio` ones
      linear,       ///< whole: from the narrow input's changes
      convolution,  ///< whole: likewise
      scale,        ///< whole: scales a layer's output
      widen,        ///< whole: the narrow value's positions among the unchanged ones
      stack,        ///< whole: a copy of an unchanged value for each mutant
      whole,        ///< whole: runs the node
      recurrent,    ///< whole: runs a recurrent layer for each mutant, what it reads of its own units scaled
      size,         ///< runs a node that asks for shapes alone
    };
    Kind kind;
    NodeId node = -1;                      ///< that is run; -1: none
    ValueId value = -1;                    ///< that is made; of several outputs the first
    ValueId changed = -1;                  ///< the narrow input of reshape, linear, convolution
    size_t slots = 0;                      ///< slot set of what is narrow
    int64_t axis = -1;                     ///< labelled axis of what is narrow, or scaled
    int64_t scaled = -1;                   ///< index in `scaled`, where a layer's output is made; -1: none
    Locality locality = Locality::mixing;  ///< of a node that runs narrow
    size_t groups_input = 0;               ///< of a depthwise convolution: the input that counts groups
    int64_t feedback = -1;                 ///< of a recurrent layer: index in `scaled` of what it reads of itself
    bool broadcast = false;                ///< whole, element by element: unchanged operands need not be stacked
    std::vector<ValueId> narrow_dies, whole_dies;  ///< read for the last time
  };
  /// The changed positions of values that share their labels.
  struct SlotSet {
    std::vector<int32_t> units;  ///< by position along the labelled axis
    int64_t parent = -1;         ///< the set of which each slot became `ratio` ones
    int64_t ratio = 1;
    int64_t widest = 1;  ///< most positions that one cluster has
    double mean = 0;     ///< positions that a cluster has, in the mean over those that have any

    int64_t positions() const { return static_cast<int64_t>(units.size()); }
  };
  /// A layer's output (or state), which mutants scale.
  struct Scaled {
    std::vector<int32_t> units;  ///< by position along the labelled axis
    bool whole;                  ///< the value is scaled when it is whole
  };
  /// What is known of a value.
  struct Shape {
    std::vector<int64_t> sizes;  ///< of one sample: the batch axis counts what one sample makes
    int64_t batch_axis;
  };

  std::vector<Step> steps;
  std::vector<SlotSet> sets;
  std::vector<Scaled> scaled;
  std::vector<ValueId> saved;  ///< what is needed of the run without mutants
  std::vector<Shape> shapes;   ///< by value; no sizes for what is no tensor
  ValueId output = -1;
  int64_t bytes_per_sample = 0;  ///< that one sample of one mutant takes at most while it runs
  double multiply_adds = 0;  ///< of convolutions, linear layers and products, for one sample of a mutant of mean size
};

/// Plans the suffix of a group. `sample` is what the values are for two samples; `unit_clusters` the cluster of each
/// unit, -1 for none.
SuffixPlan plan_suffix(const Program& program, const UnitMap& map, int32_t group, const Sample& sample,
                       const std::vector<int64_t>& unit_clusters);

}  // namespace incite
