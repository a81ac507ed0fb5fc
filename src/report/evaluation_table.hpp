#pragma once

#include <string>

#include "incite/evaluation.hpp"

namespace incite {

/// What a person reads after evaluate, of a decomposition's modules and of a model by itself: at most 100 columns
/// wide, but for long file names.
std::string to_table(const ModulesEvaluation& evaluation);
std::string to_table(const ModelEvaluation& evaluation);

}  // namespace incite
