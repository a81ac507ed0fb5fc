#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "incite/base/error.hpp"
#include "incite/data/dataset.hpp"
#include "incite/units/output_kind.hpp"
#include "incite/units/unit_map.hpp"

namespace incite {

/// What inspect has to say.
struct Inspection {
  Program program;
  UnitMap map;
  OutputKind kind = OutputKind::other;
  int64_t outputs = 0;
  std::optional<Task> task;          ///< as decompose tells it; unset: nothing tells
  bool one_column = false;           ///< its one output is taken as those of two classes
  int64_t removable_parameters = 0;  ///< parameters that go when each layer keeps one channel besides the pinned ones
  int64_t smallest_module = 0;       ///< parameters of the smallest module that decompose can make by default
  bool own_head = true;              ///< that module's head is its own; else it is the model's output layer
  std::optional<Error>
      refusal;  ///< with which decompose and its defaults refuse the model or the data; unset: it works
  std::vector<std::string> warnings;  ///< sentences: what decompose warns of before it scores; none where it refuses
};

/// Layers that have one of the units, ascending.
std::vector<int32_t> layers_of(const UnitMap& map, const std::vector<int32_t>& units);
/// Elements of the weights and biases of a group's layers; shared ones count once.
int64_t group_parameters(const Inspection& inspection, const Group& group);
/// Elements of the weights of a layer that is kept whole.
int64_t whole_parameters(const Inspection& inspection, const WholeLayer& layer);

}  // namespace incite
