#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "incite/measures.hpp"
#include "incite/progress.hpp"
#include "subject/subject.hpp"
#include "verbs/decompose/choose.hpp"
#include "verbs/decompose/make.hpp"

namespace incite {

/// How good and how small the modules are.
struct Measures {
  Evaluation evaluation;  ///< on the held-out samples
  at::Tensor overlap;     ///< see overlap_matrix
  double mean_overlap = 1;
  double mean_compression = 1;
};

/// Runs the original on the held-out samples, and measures the modules by what they said of the same.
Measures measure(const Subject& subject, const Choice& choice, const Modules& modules, const Progress& progress);

}  // namespace incite
