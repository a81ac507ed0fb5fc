#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "incite/measures.hpp"
#include "incite/progress.hpp"
#include "subject/subject.hpp"
#include "verbs/decompose/choose.hpp"
#include "verbs/decompose/make.hpp"

namespace incite {

/// The quality and size of the modules.
struct Measures {
  Evaluation evaluation;  ///< on the held-out samples
  at::Tensor overlap;     ///< see overlap_matrix
  double mean_overlap = 1;
  double mean_compression = 1;
};

/// Runs the original on the held-out samples and compares the modules, whose columns are known, with it.
Measures measure(const Subject& subject, const Choice& choice, const Modules& modules, const Progress& progress);

}  // namespace incite
