#pragma once

#include <cstddef>
#include <string>

#include "incite/inspection.hpp"

namespace incite {

struct InspectionTableParams {
  size_t width = 0;   ///< columns of the terminal; 0: as wide as need be
  bool full = false;  ///< all layers of every group, and every pin for itself
};

/// What a person reads after inspect: groups, pins and what their reasons mean, and the outputs. Of a group's layers
/// the first is named, and equal pins are one line, unless all are asked for.
std::string to_table(const Inspection& inspection, const InspectionTableParams& params = {});

}  // namespace incite
