#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

namespace incite {

/// Which of the numbers 0, 1, ... belong together (union-find). A set is known by its least number, its root.
class DisjointSets {
 public:
  /// So many numbers, each alone.
  explicit DisjointSets(size_t numbers = 0) : parents_(numbers), sets_(numbers) {
    std::iota(parents_.begin(), parents_.end(), 0);
  }

  /// Adds the next number, alone; returns it.
  int32_t add() {
    parents_.push_back(static_cast<int32_t>(parents_.size()));
    ++sets_;
    return parents_.back();
  }

  int32_t root(int32_t number) {
    while (parent(number) != number) {
      parent(number) = parent(parent(number));
      number = parent(number);
    }
    return number;
  }

  void join(int32_t a, int32_t b) {
    const int32_t x = root(a);
    const int32_t y = root(b);
    if (x == y) return;
    parent(std::max(x, y)) = std::min(x, y);
    --sets_;
  }

  size_t numbers() const { return parents_.size(); }
  size_t sets() const { return sets_; }

 private:
  int32_t& parent(int32_t number) { return parents_[static_cast<size_t>(number)]; }

  std::vector<int32_t> parents_;
  size_t sets_;
};

}  // namespace incite
