#pragma once

#include <cstdint>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

namespace incite {

/// A seed of its own for each purpose, from the user's one seed: stages draw independently of each other. FNV-1a over
/// the purpose, mixed by splitmix64.
uint64_t derive_seed(uint64_t seed, std::string_view purpose);

/// Random draws that depend on the seed alone: the standard fixes what std::mt19937_64 gives, but not what its
/// distributions make of it.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  /// A number in [0, 1), of 53 random bits.
  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1.0p-53; }

  /// An integer from 0 to count - 1, each as likely. `count` is at least 1.
  uint64_t below(uint64_t count) {
    const uint64_t unfair = (UINT64_MAX % count + 1) % count;  // so many of the 2^64 draws are over after whole rounds
    uint64_t draw = engine_();
    while (draw > UINT64_MAX - unfair)
      draw = engine_();
    return draw % count;
  }

  /// Puts `values` in random order (Fisher and Yates).
  template <typename T>
  void shuffle(std::vector<T>& values) {
    for (std::size_t left = values.size(); left > 1; --left)
      std::swap(values[left - 1], values[below(left)]);
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace incite
