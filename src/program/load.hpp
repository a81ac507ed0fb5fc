#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/batch.hpp"
#include "program/program.hpp"

namespace incite {

/// Reads a TorchScript file as straight-line code, by running it on `batch` (n >= 1 samples, on the device to run on)
/// at two batch sizes, and checks that the code gives what the model gives (design: invariant 1), at a third batch size
/// too. The inputs go to forward's arguments that take a tensor, in order; the arguments left over have their defaults.
///
/// `output` names one tensor of a tuple, list or dict that forward returns, by key, field or position ("logits",
/// "0.logits"); empty: the only one that will do. What only the others need is not in the program. An output [samples]
/// becomes [samples, 1]: see make_column.
///
/// Throws Error: model_file when the file is missing, truncated or no TorchScript (a state_dict or a pickled nn.Module:
/// the message says how to export); data_mismatch when the model does not accept such inputs, or another number of
/// them; usage when `output` does not say which of several tensors is meant; unsupported for a model whose control flow
/// depends on the data, whose batch size is fixed, which uses random numbers, writes in place in a way that has no
/// counterpart without, or whose output is not a tensor [samples, outputs]. Messages name the line of the user's code.
Program load_program(const std::filesystem::path& file, const Batch& batch, const std::string& output = {});

/// Why the model of a file does not run on a batch, in PyTorch's own words; nothing where it does. Throws Error as
/// load_program does for the file and the number of inputs.
std::optional<std::string> refusal_of(const std::filesystem::path& file, const Batch& batch);

/// Which of `batches`, the same samples as other types, is the first that the model of a file runs on. Where there is
/// none, one that fails for another reason than its type. Throws Error as load_program does for the file and the number
/// of inputs.
size_t first_accepted(const std::filesystem::path& file, const std::vector<Batch>& batches);

}  // namespace incite
