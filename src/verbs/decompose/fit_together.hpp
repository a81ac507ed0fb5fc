#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "verbs/decompose/module.hpp"

namespace incite {

/// The modules of some selections, before calibration. Of those that are only read again from their checkpoints, so
/// that memory does not grow with their number, `programs` is empty.
struct FittedModules {
  std::vector<double> slice_differences;  ///< by module
  std::vector<Head> heads;                ///< fitted together, to be put into the modules; empty: they have their own
  std::vector<Program> programs;          ///< fine-tuned, or with last layers fitted together
  /// What the modules say of the validation samples: [samples, modules] float64. Undefined where there are none.
  at::Tensor validation_columns;
  std::vector<double> head_losses;        ///< see JointHeads::losses; empty where heads were not fitted together
  std::vector<double> last_layer_losses;  ///< see FinetuneResult::losses; empty where last layers were not
  std::vector<double> finetuning_losses;
};

/// Makes the modules that keep `selections`, by several workers, and fits together what the options say: heads, last
/// layers, all weights. Every module becomes a checkpoint, so that none is made twice. Where heads or last layers are
/// fitted together, what they read is in memory, for as many samples as fit into a fixed size.
FittedModules fit_together(const Workshop& workshop, const std::vector<Selection>& selections);

/// A module of those, without calibration. Made anew, or from its checkpoint, unless it is in `fitted`, which it
/// leaves.
Program take_module(const Workshop& workshop, const std::vector<Selection>& selections, FittedModules& fitted,
                    size_t module);

/// Whether the modules are calibrated.
bool calibrates(const Workshop& workshop);

}  // namespace incite
