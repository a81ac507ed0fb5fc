#pragma once

#include <filesystem>
#include <string>

#include "incite/decomposition.hpp"
#include "incite/evaluation_result.hpp"
#include "incite/inspection.hpp"

namespace incite {

/// Version of the documents below; it changes when a reader of the old ones would misread the new. Documented in
/// docs/decomposition-json.md.
inline constexpr int schema = 1;

/// The document of a decomposition, indented, with a newline at its end. Numbers that are not defined are null.
std::string to_json(const Decomposition& decomposition);

/// The document of an evaluation of a decomposition's modules on other data.
std::string to_json(const ModulesEvaluation& evaluation);

/// The document of an evaluation of a model by itself.
std::string to_json(const ModelEvaluation& evaluation);

/// The document of an inspection: docs/inspect-json.md.
std::string to_json(const Inspection& inspection);

/// Reads what evaluating needs of a decomposition's document: `modules` have output, file, parameters and compression.
/// Throws Error (data_file) if there is none, or it is damaged or of another schema.
Decomposition read_decomposition(const std::filesystem::path& file);

}  // namespace incite
