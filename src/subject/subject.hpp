#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/stopwatch.hpp"
#include "data/dataset.hpp"
#include "evaluation/evaluate.hpp"
#include "incite/decompose.hpp"
#include "subject/analysed_model.hpp"

namespace incite {

/// A model and its data, read and analysed.
struct LoadedModel {
  AnalysedModel model;
  std::shared_ptr<const Dataset> data;
  std::shared_ptr<const Dataset> test;  ///< null: a share of the data is held out
  double multiply_adds = 0;             ///< of the model in the file, for one sample
};

/// Reads and analyses the model and the data. Adds the stages "load" and "analysis" to `watch`. Throws what load_model
/// and read_dataset throw, and Error: device, or usage for --tf32 without a GPU.
LoadedModel load(const DecomposeOptions& options, Stopwatch& watch);

/// What a decomposition starts from: a model with its data, its task, the outputs that get modules, and the split of
/// the samples.
struct Subject {
  AnalysedModel model;      ///< a binary classifier with one output has two here: see with_two_columns
  bool one_column = false;  ///< the model in the file has one output
  int64_t parameters = 0;   ///< of the model in the file
  double multiply_adds = 0;
  std::shared_ptr<const Dataset> data, test;
  Task task = Task::classification;
  std::vector<OutputSet> modules;  ///< what each module is for
  std::vector<int64_t> outputs;    ///< by column: those of one module after another
  std::vector<int64_t> absent;     ///< outputs left out by --outputs present
  std::vector<std::string> names;  ///< of all outputs of the model; empty: not known
  TestSet fit;                     ///< samples for fitting, in a seeded order
  TestSet held_out;                ///< samples for measuring, disjoint from those of `fit`
  at::Tensor train;                ///< [n] int64: samples of `fit` that weights are fitted to
  at::Tensor validation;           ///< [v] int64: the other samples of `fit`, for choices; may be empty
};

/// Settles task, outputs and samples. Throws Error for everything that decompose refuses about a model and its data:
/// unsupported for a model without a removable unit or a replaceable head; usage for outputs that it does not have;
/// data_mismatch for targets of neither task, too few samples, or a class without samples.
Subject prepare(LoadedModel loaded, const DecomposeOptions& options);

}  // namespace incite
