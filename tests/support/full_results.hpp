#pragma once

#include <ATen/ATen.h>

#include "incite/decomposition.hpp"
#include "support/output_sets.hpp"

namespace incite::test {

// Results in which every field differs from its default.

inline at::Tensor square(const std::vector<int64_t>& values) {
  return at::tensor(values, at::kLong).view({2, 2});
}

/// Of modules for outputs 0 and 2. Every field differs from its default.
inline Evaluation full_evaluation() {
  Evaluation e;
  e.samples = 80;
  e.test_samples = 90;
  e.original.score = 0.875;
  e.original.classes = {{50, 0.875, 0.5, 0.25, 0.75, 0.625}, {30, 0.875, 1, 0, 0.5, NAN}};
  e.original.confusion = square({4, 1, 0, 3});
  e.original.ece = 0.125;
  e.combined.score = 0.625;
  e.combined.classes = {{50, 0.625, 0.125, 0.25, 0.375, 0.5, 0.75}, {30, 0.625, 1, 0.5, 0.25, 0.75, 0.125}};
  e.combined.confusion = square({3, 2, 1, 2});
  e.combined.ece = 0.25;
  e.modules = {of_one({50, 0.75, 0.5, 0.25, 0.125, 0.875, 0.625, 50, 90}),
               of_one({30, 0.5, NAN, 0, 0, NAN, 0.5, 0, 90})};
  e.originals = {of_one({50, 0.25, 1, 0.5, 0.75, 0.5, 0.375, 50, 90}),
                 of_one({30, 0.75, 0.25, 1, 0.5, NAN, 0.875, 50, 90})};
  e.agreement = 0.375;
  return e;
}

inline Evaluation full_regression() {
  Evaluation e;
  e.task = Task::regression;
  e.samples = e.test_samples = 8;
  e.original.score = 0.5;
  e.original.errors = {{0.25, 0.375, 0.75}, {0.75, 1.5, NAN}};
  e.combined.score = 0.625;
  e.combined.errors = {{0.5, 0.75, 0.875}, {0.75, 2.5, -1}};
  e.original_errors = e.original.errors;
  e.module_errors = e.combined.errors;
  return e;
}

/// Every field differs from its default.
inline Decomposition full_decomposition() {
  Decomposition d;
  d.model = {"net.pt", "aa"};
  d.parameters = 1000;
  d.bytes = 5000;
  d.multiply_adds = 1e6;
  d.outputs = 3;
  d.kind = OutputKind::log_probabilities;
  d.data = {"train.npz", "bb"};
  d.test = SourceFile{"test.npz", "cc"};
  d.samples = 60;
  d.fit_samples = 50;
  d.validation_samples = 9;
  d.steps = {{4, 0.5, 0.25}};
  d.head_losses = {0.5, 0.25};
  d.last_layer_losses = {0.25, 0.125};
  d.finetuning_losses = {0.75, 0.5};
  d.scored_samples = 40;
  d.test_samples = 10;
  d.input_key = "images";
  d.target_key = "labels";
  d.input_scale = 0.5;
  d.input_shape = {1, 28, 28};
  d.settings = {{"task", std::string("classification")},
                {"input_key", d.input_key},
                {"target_key", d.target_key},
                {"input_scale", *d.input_scale},
                {"input_shape", d.input_shape},
                {"factors", std::vector<double>{1.1, 0.0}},
                {"head", std::string("adam")},
                {"seed", int64_t{7}},
                {"force", true}};
  d.groups = {{{"conv1", "conv2"}, 16, 4, 2, 40, 0.75}};
  d.scoring = {Scoring::mutation, "as asked for", 12, 0, 3e9, 64, 6};
  d.modules = {{one(0), "module-0.pt", 400, 2000, 2.5, {{"conv1", {0, 3}}, {"fc", {0}}}, 1e-7, 3e5, {Calibration{}}},
               {one(2), "module-2.pt", 500, 2500, 2.0, {{"conv1", {}}}, 2e-7, 4e5, {Calibration{}}}};
  d.evaluation = full_evaluation();
  d.overlap = at::tensor({1.0, 0.25, 0.25, 1.0}, at::kDouble).view({2, 2});
  d.mean_overlap = 0.25;
  d.mean_compression = 2.25;
  d.seconds = {{"load", 0.5}, {"total", 1.5}};
  d.warnings = {"few samples"};
  return d;
}

}  // namespace incite::test
