#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "incite/base/error.hpp"
#include "incite/units/output_kind.hpp"
#include "incite/units/unit_map.hpp"

namespace incite {

/// What inspect has to say.
struct Inspection {
  Program program;
  UnitMap map;
  OutputKind kind = OutputKind::other;
  int64_t outputs = 0;
  bool one_column = false;           ///< its one output is taken as those of two classes
  int64_t removable_parameters = 0;  ///< parameters that go when each layer keeps one channel besides the pinned ones
  std::optional<Error>
      refusal;  ///< with which decompose and its defaults refuse the model or the data; unset: it works
};

/// Layers that have one of the units, ascending.
std::vector<int32_t> layers_of(const UnitMap& map, const std::vector<int32_t>& units);
/// Elements of the weights and biases of a group's layers; shared ones count once.
int64_t group_parameters(const Inspection& inspection, const Group& group);
/// Elements of the weights of a layer that is kept whole.
int64_t whole_parameters(const Inspection& inspection, const WholeLayer& layer);

}  // namespace incite
