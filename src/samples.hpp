#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "incite/data/dataset.hpp"
#include "incite/evaluation/evaluate.hpp"
#include "incite/program/program.hpp"

namespace incite {

/// The first samples of a data set, at most eight, for loading and checking a program.
at::Tensor first_samples(const Dataset& data, at::Device device);

/// The number of a program's outputs.
int64_t output_count(const Program& program, const at::Tensor& input);

/// The truth about a data set: its target, or the model's own outputs where it has none. `samples` is left unset.
TestSet truth(const Program& program, const Dataset& data, Task task, int64_t outputs);

}  // namespace incite
