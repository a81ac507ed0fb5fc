#pragma once

#include <vector>

#include "base/batch.hpp"
#include "data/dataset.hpp"
#include "evaluation/measures.hpp"
#include "program/program.hpp"

namespace incite {

/// Milliseconds that the program takes for a batch that is on its device, until the outputs are on the CPU: the median
/// of 5 to 30 runs, for a fifth of a second, after 2 that do not count.
double latency_ms(const Program& program, const Batch& batch);

/// The same for the first samples of the data, which are repeated where they are too few.
Latency measure_latency(const Program& program, const Dataset& data);

/// The median; of an even number of values the mean of the middle two. Throws std::logic_error where there is none.
double median(std::vector<double> values);

}  // namespace incite
