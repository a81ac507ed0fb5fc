#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>

#include "incite/program/program.hpp"

namespace incite {

/// Reads a TorchScript file as straight-line code, by running it on `input` ([n, ...], n >= 1, on the device to run on)
/// at two batch sizes, and checks that the code gives what the model gives (design: invariant 1), at a third batch size
/// too.
///
/// Throws Error: model_file when the file is missing, truncated or no TorchScript (a state_dict or a pickled nn.Module:
/// the message says how to export); data_mismatch when the model does not accept such an input; unsupported for a model
/// whose control flow depends on the data, whose batch size is fixed, which uses random numbers, writes in place in a
/// way that can't be made pure, or whose output is not one tensor [samples, outputs]. Messages name the line of the
/// user's code.
Program load_program(const std::filesystem::path& file, const at::Tensor& input);

}  // namespace incite
