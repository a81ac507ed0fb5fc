#pragma once

#include <cstdint>
#include <vector>

#include "program/program.hpp"
#include "units/unit_map.hpp"

namespace incite {

/// The layers that have one of the units, ascending.
std::vector<int32_t> layers_of(const UnitMap& map, const std::vector<int32_t>& units);

/// Elements of the weights and biases of a group's layers; shared ones count once.
int64_t group_parameters(const Program& program, const UnitMap& map, const Group& group);

/// Elements of the weights of a layer that is kept whole.
int64_t whole_parameters(const Program& program, const WholeLayer& layer);

}  // namespace incite
