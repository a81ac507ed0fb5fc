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
  /// Of a model whose outputs have positions after their channels, as in segmentation: those positions of each sample
  /// that are looked at, [N, P] int64. Each is a point. Undefined: a sample is one point. See choose_positions.
  at::Tensor positions;
  /// [points] or [points, K] as stored, but whole numbers [points] as int64; undefined if there is none. As long as
  /// positions are not chosen, [N, ...]. See classes_of, labels_of and values_of.
  at::Tensor target;
  std::optional<double> input_scale;                  ///< of all inputs; unset: 1/255 for uint8, 1 for other types
  InputLayout input_layout = InputLayout::as_stored;  ///< that `input` came from
  std::string file;                                   ///< for messages
  std::vector<std::string> input_keys;
  std::string target_key;
  std::vector<std::string> names;  ///< of the outputs, from a text array "names"; empty: there is none

  int64_t size() const { return input.samples(); }
  /// The points of each sample.
  int64_t points_each() const { return positions.defined() ? positions.size(1) : 1; }
  /// The points of some samples (int64, CPU), one sample after another: [n · points_each] int64.
  at::Tensor points(const at::Tensor& samples) const;
  /// A model's outputs [n, K, ...] for some samples (int64, CPU) at their points: [n · points_each, K].
  at::Tensor at_points(const at::Tensor& outputs, const at::Tensor& samples) const;

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
/// length differs from the input's (both are said), or a target of no dimension or no column, or an input_shape whose
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

/// The label of a position that is not labelled, in a target of 255 classes or fewer; so is every one below 0.
inline constexpr int64_t no_label = 255;

/// Chooses the points of a model's outputs [N, outputs, map...]: at each sample as many positions, spread at random
/// over those that have labels, so that there are at most `most` points in all, or all positions. Takes the target at
/// these points. An empty map leaves a sample one point. Throws Error (data_mismatch) for a target of other shapes than
/// [N, map...] and [N, outputs, map...], or a sample without a labelled position where not all are taken.
void choose_positions(Dataset& data, at::IntArrayRef map, int64_t outputs, int64_t most, uint64_t seed);

/// The classes of a data set's target: int64 [points] on the CPU, each in [0, outputs), or -1 at a position without a
/// label. Takes integer labels [points] (or [points, 1]) and one-hot [points, outputs]. Throws Error (data_mismatch): a
/// label out of range (first sample and range are said), a row that is not one-hot, a wrong number of columns,
/// fractional labels.
at::Tensor classes_of(const Dataset& dataset, int64_t outputs);

/// The labels of a multilabel target: float32 [points, outputs] on the CPU, 1 where a sample has the label, else 0.
/// Throws Error (data_mismatch) for a wrong number of columns, or a value that is neither 0 nor 1 (the first sample is
/// said).
at::Tensor labels_of(const Dataset& dataset, int64_t outputs);

/// For each sample the label, of those that it has, that the fewest samples have; K if it has none: [N] int64. `labels`
/// [N, K], above 0 where a sample has a label.
at::Tensor rarest_labels(const at::Tensor& labels);

/// The values of a regression target: float32 [points, outputs] on the CPU; [points] is taken as [points, 1].
/// Throws Error (data_mismatch) when the number of columns is not `outputs`.
at::Tensor values_of(const Dataset& dataset, int64_t outputs);

/// The place of each of `classes` (int64, -1 for none) among `outputs`; -1 where it has none.
at::Tensor places_of(const at::Tensor& classes, const std::vector<int64_t>& outputs);

/// What `auto` means for a target that is there, of a model of so many outputs. Classification: integer or bool [N] (or
/// [N, 1]); the same as floats, where all are whole numbers and there are several outputs (one value can't be the
/// target of several), or all are 0 or 1 and there is one; and [N, K > 1] rows that are all one-hot. Multilabel: rows
/// of 0 and 1 that are not. Else regression.
Task guess_task(const at::Tensor& target, int64_t outputs);

/// A seeded order of all samples in which every prefix holds the classes in nearly the proportions of the whole (int64
/// [N]). `classes` is int64 [N], or undefined for a plain shuffle of `size` samples.
at::Tensor stratified_order(const at::Tensor& classes, int64_t size, uint64_t seed);

}  // namespace incite
