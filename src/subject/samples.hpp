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

/// Reads a model (see load_program) and decides which arrays of whole numbers it takes as integers: those that it does
/// not accept as float32. The decision is stored in `data`. `output` chooses one of several outputs. Throws what
/// load_program and check_integers throw.
Program load_model(const std::filesystem::path& file, Dataset& data, const std::string& output, at::Device device);

/// Makes `data` pass the same inputs as integers as `other` does. Throws Error (data_mismatch) if the number of inputs
/// or a shape differs, or if an input must be whole numbers and is not.
void read_like(Dataset& data, const Dataset& other);

/// Throws Error (data_mismatch) if the program does not run on the smallest and largest integers of a data set, as with
/// a token that is not in the vocabulary.
void check_integers(const Program& program, const Dataset& data);

/// Reads a data set to evaluate on. `defaults` fill in what `options` leave unset. Throws what read_dataset throws.
Dataset read_to_evaluate(const EvaluationOptions& options, DatasetOptions defaults);

/// The number of outputs of a program, from a run on `batch`.
int64_t output_count(const Program& program, const Batch& batch);

/// The most outputs, at all points together, that are kept of a data set: to fit to, and to measure on.
inline constexpr int64_t most_fit_outputs = int64_t{1} << 23;
inline constexpr int64_t most_measured_outputs = int64_t{1} << 26;

/// Chooses the positions of the program's outputs that are looked at, where they have some, and takes the target there:
/// see choose_positions.
void settle_positions(Dataset& data, const Program& program, int64_t most_outputs, uint64_t seed);

/// The truth about a data set: its targets, or the model's own outputs if it has none. `samples` stays undefined.
/// `kind`: of its outputs. Throws what classes_of, labels_of and values_of throw.
TestSet truth(const Program& program, const Dataset& data, Task task, OutputKind kind, int64_t outputs);

}  // namespace incite
