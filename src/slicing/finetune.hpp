#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "data/dataset.hpp"
#include "incite/progress.hpp"
#include "program/program.hpp"
#include "slicing/tail.hpp"
#include "units/output_kind.hpp"

namespace incite {

struct FinetuneParams {
  int64_t epochs = 0;           ///< most passes over the samples
  int64_t patience = 3;         ///< epochs of the second half, none the best so far, that end it
  double learning_rate = 6e-3;  ///< of Adam at the start; falls to 0 in half a cosine, ...
  double decay = 0.5;           ///< ... after a trial that did harm it falls by this
  double tolerance = 2;         ///< a trial has done harm where the loss is more times what it was
  int64_t trials = 6;           ///< most short trainings before the first epoch, each with a lower rate, ...
  int64_t trial_steps = 64;     ///< ... of so many steps
  int64_t batch = 64;           ///< samples a step, ...
  int64_t position_batch = 16;  ///< ... or so many where each has many points
  double teacher = 0.8;         ///< share of the original's outputs in the loss, the rest is the labels'
  /// Divides log-probabilities and log-odds in the original's share. The original is nearly certain of samples that it
  /// was trained on; only its small probabilities say which classes look similar to it.
  double temperature = 4;
  bool calibrated = false;  ///< classification: losses on validation samples are those after calibrate
  uint64_t seed = 0;
  int64_t workers = 1;                ///< groups of modules that are run at a time
  int64_t memory = 0;                 ///< bytes for the activations of a group; 0: any number
  std::string stage = "fine-tuning";  ///< what progress calls it
};

/// What modules are fine-tuned to.
struct FinetuneData {
  const Dataset* data = nullptr;
  at::Tensor train;       ///< [n] int64: the samples to learn from
  at::Tensor validation;  ///< [v] int64: those that choose the epoch
  at::Tensor classes;     ///< classification: [points] int64, for all points of the data, see Dataset::points
  at::Tensor values;      ///< regression: [points, outputs] float32; multilabel: 1 where a label holds, else 0
  at::Tensor original;  ///< [points, outputs] float32, the original's probabilities for `train`; regression: undefined
  /// By module: its tail, which alone is trained, and what that reads for `train`, and then for `validation`. Empty:
  /// all of each module is trained.
  std::vector<TailData> tails;
};

/// What fine-tuning did.
struct FinetuneResult {
  std::vector<double> losses;  ///< on the validation samples: before the first epoch, and after each
  /// What the modules then say of the validation samples: [samples, columns] float64, log-odds or values, on the CPU.
  at::Tensor columns;
};

/// Trains all parameters of modules with heads of their own, or those of their tails, in place, by Adam: one stream of
/// mini-batches, in a seeded order, for all of them. Buffers (running statistics) stay as they are. The epoch of the
/// second half with the least validation loss is kept, which may be none.
///
/// Classification: the cross-entropy of the softmax over all columns, which are log-odds, against the labels, and with
/// both sides softened by a temperature, against the original's probabilities (Hinton et al., 2015), on samples whose
/// class has a column; and each module's own class-balanced cross-entropy on all. Each module gets the gradient of its
/// own columns. Modules run side by side where they can (see StackedModules). Multilabel: the binary cross-entropy of
/// each column, against the labels and the original's probabilities. Regression: the absolute error over the values'
/// deviation. `sets` says which outputs each module is for.
FinetuneResult finetune(std::vector<Program>& modules, const std::vector<OutputSet>& sets, OutputKind kind, Task task,
                        FinetuneData data, const FinetuneParams& params, const Progress& progress = {});

}  // namespace incite
