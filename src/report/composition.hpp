#pragma once

#include <cstddef>
#include <string>

#include "incite/composition.hpp"

namespace incite {

/// The JSON document of a composition: see docs/decomposition-json.md.
std::string to_json(const Composition& composition);

/// The table that compose prints. Names are shortened if it is wider than `width` columns (0: no limit).
std::string to_table(const Composition& composition, size_t width = 0);

}  // namespace incite
