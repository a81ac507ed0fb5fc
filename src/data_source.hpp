#pragma once

#include <filesystem>

#include "incite/decomposition.hpp"

namespace incite {

/// The data that a decomposition was made from, as its document names it; read_decomposition leaves it out, since
/// evaluating does not need it. Throws Error (data_file) if the document can't be read or does not say.
SourceFile data_source(const std::filesystem::path& document);

}  // namespace incite
