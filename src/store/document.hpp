#pragma once

#include <filesystem>

#include "incite/decomposition.hpp"

namespace incite {

/// The document's name in a result's folder.
inline constexpr const char* document_name = "decomposition.json";

/// Version of the documents; it changes when a reader of the old ones would misread the new. Documented in
/// docs/decomposition-json.md.
inline constexpr int schema = 1;

/// Reads what evaluating needs of a decomposition's document: `modules` have output, file, parameters and compression.
/// Throws Error (data_file) if there is none, or it is damaged or of another schema.
Decomposition read_decomposition(const std::filesystem::path& file);

/// The data that a decomposition was made from, as its document names it; read_decomposition leaves it out, since
/// evaluating does not need it. Throws Error (data_file) if the document can't be read or does not say.
SourceFile data_source(const std::filesystem::path& document);

}  // namespace incite
