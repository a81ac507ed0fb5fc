#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/batch.hpp"
#include "incite/options.hpp"

namespace incite {

/// Labelled samples in memory, as stored in the file: they are converted batch by batch.
struct Dataset {
  /// [N, ...] each, of the file's types, on the CPU; with the axes in the model's order, as views of what is stored.
  Batch input;
  std::vector<bool> as_integers;  ///< by input, whether the model takes it as integers, not as float32; empty: none
  /// [N] or [N, K] as stored, but whole numbers [N] as int64; undefined if there is none. See classes_of and values_of.
  at::Tensor target;
  std::optional<double> input_scale;                  ///< of all inputs; unset: 1/255 for uint8, 1 for other types
  InputLayout input_layout = InputLayout::as_stored;  ///< that `input` came from
  std::string file;                                   ///< for messages
  std::vector<std::string> input_keys;
  std::string target_key;
  std::vector<std::string> names;  ///< of the outputs, from a text array "names"; empty: there is none

  int64_t size() const { return input.samples(); }

  /// Samples `indices` (int64, CPU) as the model takes them: float32 [n, ...], scaled, on `device`, from every type;
  /// but those that are `as_integers` as int64, unscaled, and bool as it is.
  Batch batch(const at::Tensor& indices, at::Device device) const;
  /// Samples first to first + count - 1; the same conversion.
  Batch batch(int64_t first, int64_t count, at::Device device) const;

 private:
  Batch converted(const Batch& stored, at::Device device) const;
};

/// The values that `Dataset::as_integers` may have, in the order to try them: all float32 first, then each array of
/// whole numbers alone as integers, then more of them, all last.
std::vector<std::vector<bool>> readings_of(const Dataset& dataset);

/// Reads and checks a data set. Throws Error: data_file (see NpzFile), data_mismatch for an input without samples,
/// inputs of different lengths, NaN or infinite inputs or targets (the message names the first sample), a target whose
/// length differs from the input's (both are said), or a target that is neither [N] nor [N, K], or an input_shape whose
/// element count differs from the file's, or that has its axes in another order; usage for an input_scale that is 0 or
/// not finite, an input_shape for several inputs, or an input_layout without images. What becomes infinite in float32
/// counts as infinite.
Dataset read_dataset(const DatasetOptions& options);

/// The factor on inputs of a stored type that are given as float32.
double scale_of(const std::optional<double>& scale, at::ScalarType stored);

/// The first samples of a data set, at most eight, for loading and checking a program.
Batch first_samples(const Dataset& data, at::Device device);

/// Two samples, for analysing a program; the only one twice.
Batch two_samples(const Dataset& data, at::Device device);

/// The classes of a data set's target: int64 [N] on the CPU, each in [0, outputs). Takes integer [N] (or [N, 1]) labels
/// and one-hot [N, outputs]. Throws Error (data_mismatch): a label out of range (first sample and range are said), a
/// row that is not one-hot, a wrong number of columns, fractional labels.
at::Tensor classes_of(const Dataset& dataset, int64_t outputs);

/// The values of a regression target: float32 [N, outputs] on the CPU; [N] is taken as [N, 1].
/// Throws Error (data_mismatch) when the number of columns is not `outputs`.
at::Tensor values_of(const Dataset& dataset, int64_t outputs);

/// The place of each of `classes` (int64) among `outputs`; -1 where it has none.
at::Tensor places_of(const at::Tensor& classes, const std::vector<int64_t>& outputs);

/// What `auto` means for a target that is there, of a model of so many outputs. Classification: integer or bool [N] (or
/// [N, 1]); the same as floats, where all are whole numbers and there are several outputs (one value can't be the
/// target of several), or all are 0 or 1 and there is one; and [N, K > 1] rows that are all one-hot. Else regression.
Task guess_task(const at::Tensor& target, int64_t outputs);

/// A seeded order of all samples in which every prefix holds the classes in nearly the proportions of the whole (int64
/// [N]). `classes` is int64 [N], or undefined for a plain shuffle of `size` samples.
at::Tensor stratified_order(const at::Tensor& classes, int64_t size, uint64_t seed);

}  // namespace incite
