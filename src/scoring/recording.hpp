#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "scoring/frontier.hpp"

namespace incite {

/// A run of a batch that gradients can be had of, and what mutants change in it.
struct Recording {
  at::Tensor outputs;              ///< what is asked for, with its history
  std::vector<at::Tensor> places;  ///< by place of the frontier: the value as its readers get it
  /// By factor, by place: what the mutants of each position's unit add to the value there.
  std::vector<std::vector<at::Tensor>> changes;
};

/// Runs batches for a frontier.
class Recorder {
 public:
  /// `factors`: what mutants scale by. `last`: the value that is asked for.
  Recorder(const Executor& executor, const Frontier& frontier, const std::vector<bool>& mutated,
           const std::vector<double>& factors, ValueId last);

  Recording run(const Batch& batch) const;

 private:
  std::vector<c10::IValue> inputs_of(NodeId id, const Environment& base, const Environment& read) const;
  std::vector<c10::IValue> run_recurrent(NodeId id, const std::vector<c10::IValue>& inputs, Recording& recording) const;
  void run_changed(NodeId id, const Environment& base, Environment& changed, size_t factor) const;

  const Executor& executor_;
  const Frontier& frontier_;
  const ValueId last_;
  std::vector<double> factors_;
  std::vector<std::vector<std::vector<at::Tensor>>> scales_;  // by node, by layer there, by factor: [positions]
  std::vector<int64_t> place_of_;                             // by value; -1: none
  std::vector<int64_t> own_place_of_;                         // by node; -1: none
};

}  // namespace incite
