#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace incite {

enum class Task { classification, regression };
const char* to_string(Task task);

/// What to read from an .npz file, and how.
struct DatasetOptions {
  std::filesystem::path file;
  std::string input_key = "x";
  std::string target_key = "y";
  bool target_required = false;  ///< whether a missing target key is an error; else `Dataset::target` stays undefined
  std::optional<double> input_scale;  ///< factor on every input value; unset: 1/255 for uint8, 1 for every other type
  std::vector<int64_t> input_shape;   ///< shape of one sample for the model; empty: as in the file
};

/// Labelled samples in memory, as stored in the file: they are converted batch by batch.
struct Dataset {
  at::Tensor input;  ///< [N, ...] of the file's type, on the CPU
  /// [N] or [N, K] as stored, but whole numbers [N] as int64; undefined if there is none. See classes_of and values_of.
  at::Tensor target;
  double input_scale = 1.0;
  std::string file;  ///< for messages
  std::string input_key, target_key;

  int64_t size() const { return input.size(0); }

  /// Samples `indices` (int64, CPU) as the model takes them: float32 [n, ...], scaled, on `device`. Integer inputs of
  /// more than 8 bits, and bool, become float32 as well.
  at::Tensor batch(const at::Tensor& indices, at::Device device) const;
  /// Samples first to first + count - 1; the same conversion.
  at::Tensor batch(int64_t first, int64_t count, at::Device device) const;
};

/// Reads and checks a data set. Throws Error: data_file (see NpzFile), data_mismatch for an input without samples, NaN
/// or infinite inputs or targets (the message names the first sample), a target whose length differs from the input's
/// (both are said), or a target that is neither [N] nor [N, K], or an input_shape whose element count differs from the
/// file's; usage for an input_scale that is 0 or not finite. What becomes infinite in float32 counts as infinite.
Dataset read_dataset(const DatasetOptions& options);

/// The classes of a data set's target: int64 [N] on the CPU, each in [0, outputs). Takes integer [N] (or [N, 1]) labels
/// and one-hot [N, outputs]. Throws Error (data_mismatch): a label out of range (first sample and range are said), a
/// row that is not one-hot, a wrong number of columns, fractional labels.
at::Tensor classes_of(const Dataset& dataset, int64_t outputs);

/// The values of a regression target: float32 [N, outputs] on the CPU; [N] is taken as [N, 1].
/// Throws Error (data_mismatch) when the number of columns is not `outputs`.
at::Tensor values_of(const Dataset& dataset, int64_t outputs);

/// What `auto` means for a target that is there: classification for integer or bool [N] (or [N, 1]) and for [N, K > 1]
/// rows that are all one-hot; else regression.
Task guess_task(const at::Tensor& target);

/// A seeded order of all samples in which every prefix holds the classes in nearly the proportions of the whole (int64
/// [N]). `classes` is int64 [N], or undefined for a plain shuffle of `size` samples.
at::Tensor stratified_order(const at::Tensor& classes, int64_t size, uint64_t seed);

}  // namespace incite
