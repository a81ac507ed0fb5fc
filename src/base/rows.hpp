#pragma once

#include <algorithm>

#include "base/fail.hpp"

namespace incite {

/// The row of a table whose `key` is that value. Throws std::logic_error where there is none.
template <typename Table, typename Row, typename Key>
const Row& row_in(const Table& table, Key Row::*key, Key value) {
  const auto row = std::find_if(table.begin(), table.end(), [&](const Row& one) { return one.*key == value; });
  INCITE_ASSERT(row != table.end());
  return *row;
}

}  // namespace incite
