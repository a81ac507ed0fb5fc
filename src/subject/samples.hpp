#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "data/dataset.hpp"
#include "evaluation/evaluate.hpp"
#include "incite/decompose.hpp"
#include "incite/evaluate.hpp"
#include "program/program.hpp"

namespace incite {

/// Reads a model (see load_program) and settles, for good, which inputs of the data set it takes as integers: those
/// arrays of whole numbers without which it does not run as float32. `output` chooses one of several outputs. Throws
/// Error: what load_program throws, data_mismatch where it does not run on the integers (see check_integers).
Program load_model(const std::filesystem::path& file, Dataset& data, const std::string& output, at::Device device);

/// Reads a data set's inputs as those of another data set. Throws Error (data_mismatch) where the samples have another
/// shape, or are no whole numbers where there must be.
void read_like(Dataset& data, const Dataset& other);

/// Throws Error (data_mismatch) where the program does not run on the smallest and largest integers of a data set, as
/// when a token's index is not in the vocabulary.
void check_integers(const Program& program, const Dataset& data);

/// Reads a data set to evaluate on: what `options` leave open is as in `defaults`. Throws what read_dataset throws.
Dataset read_to_evaluate(const EvaluationOptions& options, DatasetOptions defaults);

/// The number of a program's outputs.
int64_t output_count(const Program& program, const Batch& batch);

/// The truth about a data set: its target, or the model's own outputs where it has none. `samples` is left unset.
TestSet truth(const Program& program, const Dataset& data, Task task, int64_t outputs);

}  // namespace incite
