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
  double multiply_adds = 0;             ///< of the model as the file has it, for one sample
};

/// Reads what decompose and inspect work on. Adds the stages "load" and "analysis" to `watch`. Throws what load_model
/// and read_dataset throw, and Error: device, usage for --tf32 without a GPU.
LoadedModel load(const DecomposeOptions& options, Stopwatch& watch);

/// What a decomposition starts from: a model with its data, its task, the outputs that get modules, and which samples
/// serve for what.
struct Subject {
  AnalysedModel model;      ///< a binary classifier of one output has two here: see with_two_columns
  bool one_column = false;  ///< the file has that one output
  int64_t parameters = 0;   ///< of the model as the file has it
  double multiply_adds = 0;
  std::shared_ptr<const Dataset> data, test;
  Task task = Task::classification;
  std::vector<int64_t> outputs;  ///< that get modules, ascending
  TestSet fit;                   ///< the samples that modules may be fitted to, in a seeded order
  TestSet held_out;              ///< the samples to measure on: never those of `fit`
  at::Tensor train;              ///< [n] int64, of fit's samples: those that weights are fitted to
  at::Tensor validation;         ///< [v] int64, the others: those that choices are made by; there may be none
};

/// Settles task, outputs and samples. Throws Error for all that decompose refuses about a model and its data:
/// unsupported for a model without a unit that can be removed, or without a head that can be replaced; usage for
/// outputs that it does not have; data_mismatch for a target of neither task, too few samples, or a class without
/// samples.
Subject prepare(LoadedModel loaded, const DecomposeOptions& options);

}  // namespace incite
