#pragma once

#include <string>

#include "program/program.hpp"

namespace incite::test {

/// The parameter of that name; -1 where there is none.
inline ValueId parameter_named(const Program& program, const std::string& name) {
  for (size_t i = 0; i < program.values.size(); ++i) {
    if (program.values[i].kind == Value::Kind::parameter && program.values[i].name == name)
      return static_cast<ValueId>(i);
  }
  return -1;
}

}  // namespace incite::test
