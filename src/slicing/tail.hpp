#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "data/dataset.hpp"
#include "program/executor.hpp"
#include "units/unit_map.hpp"

namespace incite {

/// The last nodes of a program, which are run again and again while their weights are fitted: all that depend on what
/// one layer reads.
struct Tail {
  std::vector<NodeId> nodes;
  std::vector<ValueId> reads;  ///< what they read of the rest, parameters and constants aside
  std::vector<int64_t> axes;   ///< by read value: the axis that holds the samples
};

/// What a tail reads, for some samples; by Tail::reads.
using TailInputs = std::vector<at::Tensor>;

/// A tail, and what it reads for the samples that it is fitted to.
struct TailData {
  Tail tail;
  TailInputs inputs;
};

/// The weight with which the last hidden layers begin: linear ones, up to `most`, that follow each other up to the
/// head, or else the layer before it, if that is a convolution. Nullopt: there are none.
std::optional<ValueId> last_layers(const Program& program, const UnitMap& map, int64_t most);

/// The tail that begins with the first node that reads a parameter; nullopt if it reads something that does
/// not have samples along an axis (the size of an input, say). `batch`: a few samples, on which the program is run.
std::optional<Tail> find_tail(const Program& program, ValueId parameter, const Batch& batch);

/// Runs the rest of the program on samples of the data, so many at a time.
TailInputs run_up_to(const Program& program, const Tail& tail, const Dataset& data, const at::Tensor& samples,
                     int64_t at_once);

/// `rows` of what a tail reads (int64, on the program's device).
TailInputs select_rows(const Tail& tail, const TailInputs& inputs, const at::Tensor& rows);

/// Whether a tail makes a value.
bool makes(const Program& program, const Tail& tail, ValueId value);

/// Runs a tail until it has made `result`, a tensor, which it returns. The executor's program is the tail's.
at::Tensor run_tail(const Executor& executor, const Tail& tail, const TailInputs& inputs, ValueId result);

}  // namespace incite
