#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "incite/units/unit_map.hpp"

namespace incite {

/// The part of a program that mutants of one group run through, and what it needs from the run without mutants.
///
/// A mutant changes the outputs of the group's layers. Those that do not depend on another of them are `seeds`: their
/// saved values are stacked, a copy for each mutant, and scaled. The others are scaled as soon as the suffix has made
/// them.
class Suffix {
 public:
  /// A value of which mutants scale positions.
  struct Scaled {
    NodeId node;
    ValueId value;
    int64_t batch_axis;
    int64_t channel_axis;
    std::vector<int32_t> units;  ///< by position along channel_axis
    bool seed;
  };

  Suffix(const Program& program, const UnitMap& map, int32_t group, const Sample& sample);

  /// What the group's layers make.
  const std::vector<Scaled>& scaled() const { return scaled_; }

  /// Values to save from the run without mutants.
  const std::vector<ValueId>& saved() const { return saved_; }

  /// The program's outputs for `mutants` stacked mutants: [mutants * samples, outputs]. `base` holds the saved values
  /// for a chunk of samples; `scales[i]` is [mutants, positions] for the scaled value i: each position's factor.
  at::Tensor run(const Executor& executor, const Environment& base, const std::vector<at::Tensor>& scales) const;

  /// Bytes that one sample of one mutant takes at most, counting all that the suffix makes.
  int64_t bytes_per_sample() const { return bytes_per_sample_; }

 private:
  static at::Tensor stack(const at::Tensor& value, int64_t batch_axis, int64_t mutants);
  static at::Tensor scale(const at::Tensor& value, const Scaled& scaled, const at::Tensor& scales);
  static at::Tensor stack_and_scale(const at::Tensor& value, const Scaled& scaled, const at::Tensor& scales);

  struct Live {
    ValueId value;
    int64_t batch_axis;  // -1: the same for every batch
  };
  const Program& program_;
  std::vector<Scaled> scaled_;                    // layer by layer of the group
  std::vector<Live> live_;                        // read by the suffix, made before it, not mutated
  std::vector<NodeId> nodes_;                     // ascending
  std::vector<std::vector<ValueId>> dies_after_;  // by position in nodes_
  std::vector<ValueId> saved_;
  int64_t bytes_per_sample_ = 0;
};

}  // namespace incite
