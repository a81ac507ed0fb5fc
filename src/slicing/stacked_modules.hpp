#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/batch.hpp"
#include "program/executor.hpp"
#include "program/program.hpp"
#include "slicing/tail.hpp"

namespace incite {

/// A value of several modules, side by side along axis 1: the channels of the first module, then those of the next. All
/// have as much room as the widest; the rest is filled up at the end.
struct StackedValue {
  at::Tensor values;            ///< [samples, modules · room, ...]
  std::vector<int64_t> widths;  ///< by module

  int64_t modules() const { return static_cast<int64_t>(widths.size()); }
  int64_t room() const { return values.size(1) / modules(); }
};

/// Side by side; `of_modules` [samples, width of the module, ...].
StackedValue stacked(const std::vector<at::Tensor>& of_modules);

/// Modules of one original, run as one network: convolutions as one in groups, linear layers as one product of batches.
/// A few narrow modules take about half the time that they take one after another.
///
/// Weights are read from the modules at each run, so that they can learn. Where an operation has no such form, there is
/// none for these modules.
class StackedModules {
 public:
  /// Null if the modules have none, or if it gives something else than they do on `batch`, a few samples.
  static std::unique_ptr<StackedModules> of(const std::vector<const Program*>& modules, const Batch& batch);

  /// The same for their tails, on the first of the samples that they hold.
  static std::unique_ptr<StackedModules> of_tails(const std::vector<const Program*>& modules,
                                                  const std::vector<const TailData*>& tails);

  /// The modules' outputs for a batch, by module.
  std::vector<at::Tensor> operator()(const Batch& batch) const;

  /// The same from what their tails read, side by side; `tail` is the first module's.
  std::vector<at::Tensor> run_tail(const Tail& tail, const std::vector<StackedValue>& inputs) const;

 private:
  explicit StackedModules(const std::vector<const Program*>& modules);

  class Run;

  /// Null if it differs from the modules alone.
  static std::unique_ptr<StackedModules> checked(
      const std::vector<const Program*>& modules,
      const std::function<std::vector<at::Tensor>(const StackedModules&)>& together,
      const std::function<at::Tensor(size_t module)>& alone);

  std::vector<const Program*> modules_;
  Executor shared_;                 // of the first module: for what all share
  std::vector<NodeId> last_reads_;  // by value: the last node that reads it
};

/// What tails read, side by side.
std::vector<StackedValue> stacked_inputs(const std::vector<const TailData*>& tails);

}  // namespace incite
