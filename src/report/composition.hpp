#pragma once

#include <cstddef>
#include <string>

#include "incite/composition.hpp"

namespace incite {

/// The document of a composition: docs/decomposition-json.md.
std::string to_json(const Composition& composition);

/// The table after compose. Where it is wider than `width` columns (0: any width is fine), names are shortened.
std::string to_table(const Composition& composition, size_t width = 0);

}  // namespace incite
