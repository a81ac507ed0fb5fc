#pragma once

#include <string>

#include "incite/evaluation.hpp"

namespace incite {

/// The tables that evaluate prints for a decomposition's modules, and for a model by itself. They are at most 100
/// columns wide, unless file names are long.
std::string to_table(const ModulesEvaluation& evaluation);
std::string to_table(const ModelEvaluation& evaluation);

}  // namespace incite
