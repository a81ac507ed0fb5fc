#pragma once

#include <vector>

#include "incite/base/batch.hpp"
#include "incite/data/dataset.hpp"
#include "incite/evaluation/measures.hpp"
#include "incite/program/program.hpp"

namespace incite {

/// Batch sizes that latency is measured at.
inline constexpr int64_t small_batch = 1;
inline constexpr int64_t large_batch = 256;

/// Milliseconds from a batch on the device to its outputs on the CPU.
struct Latency {
  double small = undefined;  ///< for a batch of small_batch
  double large = undefined;  ///< for one of large_batch

  /// Of two programs one after the other.
  Latency& operator+=(const Latency& other) {
    small += other.small;
    large += other.large;
    return *this;
  }
};

/// Milliseconds that the program takes for a batch that is on its device, until the outputs are on the CPU: the median
/// of 5 to 30 runs, for a fifth of a second, after 2 that do not count.
double latency_ms(const Program& program, const Batch& batch);

/// The same for the first samples of the data, which are repeated where they are too few.
Latency measure_latency(const Program& program, const Dataset& data);

/// The median; of an even number of values the mean of the middle two. Throws std::logic_error where there is none.
double median(std::vector<double> values);

}  // namespace incite
