#pragma once

#include <cstddef>
#include <string>

#include "incite/inspection.hpp"

namespace incite {

struct InspectionTableParams {
  size_t width = 0;   ///< of the table in columns; 0: no limit
  bool full = false;  ///< show all layers of every group, and every pin
};

/// The table that inspect prints: groups, pins with the meaning of their reasons, and outputs. Unless `full`, only the
/// first layer of a group is named, and equal pins share a line.
std::string to_table(const Inspection& inspection, const InspectionTableParams& params = {});

}  // namespace incite
