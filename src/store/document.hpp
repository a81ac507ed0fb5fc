#pragma once

#include <filesystem>

#include "incite/decomposition.hpp"

namespace incite {

/// The name of the document in a result folder.
inline constexpr const char* document_name = "decomposition.json";

/// Version of the documents (docs/decomposition-json.md). It changes when old readers would misread new documents.
inline constexpr int schema = 1;

/// Reads from a decomposition's document what evaluate needs; `modules` have only output, file, parameters and
/// compression. Throws Error (data_file) if the document is missing, damaged or of another schema.
Decomposition read_decomposition(const std::filesystem::path& file);

/// The data that a decomposition was made from, which read_decomposition leaves out, since evaluate does not need it.
/// Throws Error (data_file) if the document can't be read or does not name it.
SourceFile data_source(const std::filesystem::path& document);

}  // namespace incite
