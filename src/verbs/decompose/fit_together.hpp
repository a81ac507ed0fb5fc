#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "verbs/decompose/module.hpp"

namespace incite {

/// The modules of some selections, before calibration. `programs` is empty if the modules can be read again from their
/// checkpoints, so that memory does not grow with their number.
struct FittedModules {
  std::vector<double> slice_differences;  ///< by module
  std::vector<Head> heads;                ///< fitted together, not yet in the modules; empty: each module has its own
  std::vector<Program> programs;          ///< with fine-tuning or last layers fitted together
  /// The modules' columns for the validation samples, [samples, columns] float64; undefined if there are no samples.
  at::Tensor validation_columns;
  std::vector<double> head_losses;        ///< see JointHeads::losses; empty if heads were not fitted together
  std::vector<double> last_layer_losses;  ///< see FinetuneResult::losses; empty if last layers were not fitted
  std::vector<double> finetuning_losses;
};

/// Makes the modules that keep `selections`, in parallel, and fits together what the options ask for: heads, last
/// layers, all weights. Every module is saved as a checkpoint, so that none is made twice. Heads and last layers are
/// fitted on as many samples as fit into a fixed amount of memory, in which their inputs stay.
FittedModules fit_together(const Workshop& workshop, const std::vector<Selection>& selections);

/// One of these modules, without calibration: moved out of `fitted`, or read from its checkpoint, or made again.
Program take_module(const Workshop& workshop, const std::vector<Selection>& selections, FittedModules& fitted,
                    size_t module);

/// Whether the options and samples call for calibration: a scale and an offset for each of several modules, for one
/// that is fine-tuned (unless its outputs are sigmoids), or for each label.
bool calibrates(const Workshop& workshop);

}  // namespace incite
