#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "incite/measures.hpp"
#include "incite/output_set.hpp"

namespace incite::test {

/// A module for one class, whose head starts with a row for the others.
inline OutputSet one(int64_t output) {
  return {{output}, {}, true};
}

/// A module for each of some classes.
inline std::vector<OutputSet> each(const std::vector<int64_t>& outputs) {
  std::vector<OutputSet> sets;
  for (const int64_t output : outputs)
    sets.push_back(one(output));
  return sets;
}

/// A module for one output of a regression: there are no others.
inline OutputSet one_value(int64_t output) {
  return {{output}, {}, false};
}

/// A module for each of some outputs of a regression.
inline std::vector<OutputSet> each_value(const std::vector<int64_t>& outputs) {
  std::vector<OutputSet> sets;
  for (const int64_t output : outputs)
    sets.push_back(one_value(output));
  return sets;
}

/// A module for several classes of more.
inline OutputSet some(std::vector<int64_t> outputs) {
  return {std::move(outputs), "some", true};
}

/// A module for all classes, or for several outputs of a regression.
inline OutputSet whole(std::vector<int64_t> outputs) {
  return {std::move(outputs), "whole", false};
}

/// The measures of a module for one class.
inline SetMeasures of_one(const ClassMeasures& measures) {
  return {measures, {measures}};
}

}  // namespace incite::test
