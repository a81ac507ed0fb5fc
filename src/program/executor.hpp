#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "base/batch.hpp"
#include "program/program.hpp"

namespace incite {

/// The values of a run; those not made yet, or no longer needed, are None. Indexed by ValueId.
using Environment = std::vector<c10::IValue>;

/// Runs a program, whole or in part. It refers to the program, which must outlive it and not change.
///
/// Whether gradients are recorded is the caller's choice (at::NoGradGuard). A node that fails throws std::runtime_error
/// with PyTorch's own first line and the node's place in the user's code.
class Executor {
 public:
  explicit Executor(const Program& program);

  /// An environment that holds constants and parameters, and the inputs.
  Environment start(const Batch& batch) const;

  /// An environment that holds constants and parameters as they are now, and what a run, perhaps of the same program
  /// with other parameters, has computed: `saved`.
  Environment resume(const Environment& saved) const;

  /// Runs the nodes from `first` to before `last`. Frees what no later node reads, unless `keep[value]`.
  void run(Environment& environment, NodeId first, NodeId last, const std::vector<bool>& keep = {}) const;

  /// Runs one node; frees nothing.
  void run_node(Environment& environment, NodeId node) const;

  /// What a node makes of `inputs`, given in place of those that it reads.
  std::vector<c10::IValue> apply(NodeId node, std::vector<c10::IValue> inputs) const;

  /// Frees what is read by `node` for the last time, unless `keep[value]`.
  void free_after(Environment& environment, NodeId node, const std::vector<bool>& keep = {}) const;

  /// The program's output for `batch`. [samples, outputs]
  at::Tensor operator()(const Batch& batch) const;

  const Program& program() const { return program_; }

 private:
  const Program& program_;
  Environment fixed_;                             // constants and parameters
  std::vector<std::vector<ValueId>> dies_after_;  // by node: computed values and inputs, when read for the last time
};

/// What each value is on a sample: a tensor's shape, anything else itself.
struct Sample {
  std::vector<std::vector<int64_t>> shapes;  ///< by value; empty for what is no tensor
  std::vector<int64_t> batch_axes;           ///< by value: the axis that holds the samples; -1 where there is none
  Environment others;                        ///< by value; None for computed tensors
  int64_t activation_bytes = 0;              ///< of all computed tensors together

  const std::vector<int64_t>& shape(ValueId value) const { return shapes[at_index(value)]; }
  int64_t batch_axis(ValueId value) const { return batch_axes[at_index(value)]; }
};

/// What the tensors alive at once may take on a CPU: few enough for a large part of them to stay in the caches.
inline constexpr int64_t batch_bytes = int64_t{8} << 20;

/// How many samples to run at a time, 1 to `most`, so that the tensors alive at once take no more than so many bytes,
/// or on a GPU, which large batches keep busy, 256 MiB if that is more. Runs the program on `batch`, a few samples, to
/// see; where there are none, `most`.
int64_t batch_size(const Program& program, const Batch& batch, int64_t most, int64_t bytes = batch_bytes);

/// Runs the program on `batch`, and on one sample more, and notes what each value is.
Sample sample_values(const Program& program, const Batch& batch);

}  // namespace incite
