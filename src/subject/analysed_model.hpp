#pragma once

#include <cstdint>

#include "program/program.hpp"
#include "units/output_kind.hpp"
#include "units/unit_map.hpp"

namespace incite {

/// A model's program with its units, and the kind and number of its outputs.
struct AnalysedModel {
  Program program;
  UnitMap map;
  OutputKind kind = OutputKind::other;
  int64_t outputs = 0;
};

}  // namespace incite
