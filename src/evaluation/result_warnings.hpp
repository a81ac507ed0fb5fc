#pragma once

#include <optional>
#include <string>
#include <vector>

#include "incite/decompose.hpp"

namespace incite {

// What a user should know of a result, each as a plain sentence: modules that lose much or miss their size.

/// The modules lose more than anyone would want. `remedy`: what to do, a clause.
std::optional<std::string> loss_warning(const Evaluation& evaluation, const std::string& remedy);

/// Classes with a module, and no sample to measure it on: `outputs` by module.
std::optional<std::string> unmeasured_warning(const Evaluation& evaluation, const std::vector<ModuleResult>& modules);

/// Modules miss the compression asked for, `target`.
std::optional<std::string> compression_warning(const std::vector<ModuleResult>& modules, double target,
                                               Allocation allocation);

/// What is known once the modules are measured.
std::vector<std::string> warnings_after(const DecomposeOptions& options, const Decomposition& result);

}  // namespace incite
