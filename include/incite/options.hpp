#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "incite/output_set.hpp"

namespace incite {

// Enumerations of options and outputs. The names beside each are used on the command line, in documents and messages.

template <typename Enum, size_t count>
using NameTable = std::array<std::pair<Enum, const char*>, count>;

enum class Task {
  classification,  ///< each sample is of one class
  multilabel,      ///< each output tells, by itself, whether a sample has its label
  regression,
};
constexpr NameTable<Task, 3> names_of(Task) {
  return {
      {{Task::classification, "classification"}, {Task::multilabel, "multilabel"}, {Task::regression, "regression"}}};
}

/// The order of image axes in a file.
enum class InputLayout : uint8_t {
  as_stored,  ///< as the model expects them
  nhwc,       ///< [N, H, W, C], channels last; the model gets [N, C, H, W]
};
constexpr NameTable<InputLayout, 2> names_of(InputLayout) {
  return {{{InputLayout::as_stored, "as-stored"}, {InputLayout::nhwc, "nhwc"}}};
}

/// What a model's outputs are, inferred from the operations after its last layer; of logits, the task decides which.
enum class OutputKind {
  logits,             ///< no operations but layout, relu and global average pooling
  probabilities,      ///< softmax
  log_probabilities,  ///< log_softmax
  sigmoid,            ///< one probability for each output
  label_logits,       ///< logits of a multilabel model: the sigmoid of each is a probability
  other,              ///< anything else
};
constexpr NameTable<OutputKind, 6> names_of(OutputKind) {
  return {{{OutputKind::logits, "logits"},
           {OutputKind::probabilities, "probabilities"},
           {OutputKind::log_probabilities, "log-probabilities"},
           {OutputKind::sigmoid, "sigmoid"},
           {OutputKind::label_logits, "label-logits"},
           {OutputKind::other, "other"}}};
}

/// Measure of a mutant's effect on an output, summed over samples: y and p are the original's outputs and
/// probabilities, y' and p' the mutant's. `random` and `magnitude` are baselines that run no mutants.
enum class Metric {
  probability,  ///< |p - p'|
  flips,        ///< |onehot(argmax y) - onehot(argmax y')|: the paper's for classification (Algorithm 1)
  absolute,     ///< |y - y'|: the paper's for regression
  random,       ///< a seeded random number
  magnitude,    ///< magnitude of the weights
};
constexpr NameTable<Metric, 5> names_of(Metric) {
  return {{{Metric::probability, "probability"},
           {Metric::flips, "flips"},
           {Metric::absolute, "absolute"},
           {Metric::random, "random"},
           {Metric::magnitude, "magnitude"}}};
}

/// How the effect of mutants is found.
enum class Scoring : uint8_t {
  mutation,  ///< each mutant runs
  gradient,  ///< it is estimated, by one backward pass for each output
};
constexpr NameTable<Scoring, 2> names_of(Scoring) {
  return {{{Scoring::mutation, "mutation"}, {Scoring::gradient, "gradient"}}};
}

/// How units are grouped into clusters, which are mutated as one.
enum class ClusteringMethod { kmeans, agglomerative, none };
constexpr NameTable<ClusteringMethod, 3> names_of(ClusteringMethod) {
  return {{{ClusteringMethod::kmeans, "kmeans"},
           {ClusteringMethod::agglomerative, "agglomerative"},
           {ClusteringMethod::none, "none"}}};
}

/// How a module's size is divided among the groups.
enum class Allocation {
  global,   ///< clusters of all groups compete by contribution per parameter
  uniform,  ///< the same share of each group's clusters: the paper's
};
constexpr NameTable<Allocation, 2> names_of(Allocation) {
  return {{{Allocation::global, "global"}, {Allocation::uniform, "uniform"}}};
}

/// How the weights that stay are refitted to the original's pre-activations.
enum class RepairMethod {
  none,           ///< they stay as they were
  mean,           ///< only biases: each pre-activation gets the original's mean
  least_squares,  ///< weights and biases
};
constexpr NameTable<RepairMethod, 3> names_of(RepairMethod) {
  return {{{RepairMethod::none, "none"}, {RepairMethod::mean, "mean"}, {RepairMethod::least_squares, "least-squares"}}};
}

/// How a module's output layer is made.
enum class HeadMethod {
  lbfgs,     ///< a new head, fitted to convergence (a convex problem) on all samples, both classes weighted equally
  adam,      ///< a new head as in the paper: mini-batches of balanced samples; the best validation epoch is kept
  original,  ///< the original's output layer, with all outputs
};
constexpr NameTable<HeadMethod, 3> names_of(HeadMethod) {
  return {{{HeadMethod::lbfgs, "lbfgs"}, {HeadMethod::adam, "adam"}, {HeadMethod::original, "original"}}};
}

/// What kind of file a module or a composition is written as.
enum class FileFormat {
  torchscript,  ///< for torch.jit.load: "module-3.pt"
  pt2,          ///< an exported program, for torch.export.load: "module-3.pt2"
};
constexpr NameTable<FileFormat, 2> names_of(FileFormat) {
  return {{{FileFormat::torchscript, "torchscript"}, {FileFormat::pt2, "pt2"}}};
}

/// How the log-odds of modules, whose heads are fitted one by one, are made comparable.
enum class CalibrationMethod {
  none,
  scales,  ///< a scale and an offset for each module, fitted together
  heads,   ///< all heads are refitted together, then `scales`
  layers,  ///< all heads are refitted together, then the last hidden layers with them, then `scales`
};
constexpr NameTable<CalibrationMethod, 4> names_of(CalibrationMethod) {
  return {{{CalibrationMethod::layers, "layers"},
           {CalibrationMethod::heads, "heads"},
           {CalibrationMethod::scales, "scales"},
           {CalibrationMethod::none, "none"}}};
}

/// An enumeration with a table of names: see names_of.
template <typename Enum>
concept Named = requires(Enum value) {
  names_of(value);
};

template <Named Enum>
constexpr const char* to_string(Enum value) {
  for (const auto& [one, name] : names_of(value)) {
    if (one == value) return name;
  }
  throw std::logic_error("a value that is not in its table of names");
}

/// The value with this name; nullopt if there is none.
template <Named Enum>
constexpr std::optional<Enum> named(std::string_view name) {
  for (const auto& [value, other] : names_of(Enum{})) {
    if (name == other) return value;
  }
  return std::nullopt;
}

/// What to read from an .npz file, and how.
struct DatasetOptions {
  std::filesystem::path file;
  std::string input_key = "x";  ///< an array for each input of the model, in forward's order: "x" or "image,mask"
  std::string target_key = "y";
  bool target_required = false;       ///< a missing target is an error
  std::optional<double> input_scale;  ///< factor for float32 inputs; unset: 1/255 for uint8, 1 for other types
  std::vector<int64_t> input_shape;   ///< of one sample, for a model with one input; empty: as in the file
  InputLayout input_layout = InputLayout::as_stored;  ///< of inputs with four or more dimensions
};

/// A model, its data, and the outputs that get modules.
struct ModelOptions {
  std::filesystem::path model;
  DatasetOptions data;
  std::optional<Task> task;      ///< unset: from the targets
  std::vector<int64_t> outputs;  ///< that get modules; empty: all
  bool present = false;          ///< only outputs of which the data has samples
  /// Sets of outputs that get a module each; one without outputs stands for all of them. Empty: a module for each
  /// output.
  std::vector<OutputSet> modules;
  std::vector<std::string> names;  ///< of the model's outputs; empty: from the data, if it has some
  std::string output;              ///< the one to use of several: a field's name or position; empty: the only one
  std::string device = "cpu";      ///< cpu, cuda or cuda:<index>
};

}  // namespace incite
