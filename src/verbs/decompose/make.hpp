#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "incite/decomposition.hpp"
#include "verbs/decompose/choose.hpp"
#include "verbs/decompose/module.hpp"

namespace incite {

/// The modules of a decomposition, as written.
struct Modules {
  std::vector<ModuleResult> results;
  std::vector<at::Tensor> columns;  ///< by module: its columns for the held-out samples, [n, set] float64
  std::vector<double> head_losses, last_layer_losses, finetuning_losses;  ///< see FittedModules
};

/// Makes the chosen modules, calibrates them, and writes each to the staged files. Every file is read back and compared
/// with the module in memory. Throws what make_module and check_file throw.
Modules make(const Workshop& workshop, const Choice& choice);

}  // namespace incite
