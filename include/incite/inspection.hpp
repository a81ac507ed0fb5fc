#pragma once

#include <cstdint>

#include "incite/units/output_kind.hpp"
#include "incite/units/unit_map.hpp"

namespace incite {

/// What inspect has to say.
struct Inspection {
  Program program;
  UnitMap map;
  OutputKind kind = OutputKind::other;
  int64_t outputs = 0;
  int64_t removable_parameters = 0;  ///< parameters that go when each layer keeps one channel besides the pinned ones
};

}  // namespace incite
