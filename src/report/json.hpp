#pragma once

#include <filesystem>
#include <string>

#include "incite/decomposition.hpp"
#include "incite/evaluation.hpp"
#include "incite/inspection.hpp"

namespace incite {

/// The document of a decomposition, indented, with a newline at its end. Numbers that are not defined are null.
std::string to_json(const Decomposition& decomposition);

/// The document of an evaluation of a decomposition's modules on other data.
std::string to_json(const ModulesEvaluation& evaluation);

/// The document of an evaluation of a model by itself.
std::string to_json(const ModelEvaluation& evaluation);

/// The document of an inspection: docs/inspect-json.md.
std::string to_json(const Inspection& inspection);

}  // namespace incite
