#pragma once

#include <filesystem>
#include <string>

#include "incite/decomposition.hpp"
#include "incite/evaluation.hpp"
#include "incite/inspection.hpp"

namespace incite {

/// The JSON document of a decomposition, indented, with a newline at the end. Undefined numbers are null.
std::string to_json(const Decomposition& decomposition);

/// The document of an evaluation of a decomposition's modules.
std::string to_json(const ModulesEvaluation& evaluation);

/// The document of an evaluation of a model by itself.
std::string to_json(const ModelEvaluation& evaluation);

/// The document of an inspection: see docs/inspect-json.md.
std::string to_json(const Inspection& inspection);

}  // namespace incite
