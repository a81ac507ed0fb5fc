#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "incite/decomposition.hpp"
#include "program/program.hpp"
#include "slicing/head.hpp"
#include "units/output_kind.hpp"

namespace incite {

/// Fits a calibration for each module, all together: `odds` [samples, modules] float64, `modules` [samples] int64, the
/// number of the module of each sample's class; -1: there is none. Minimises the cross-entropy of the softmax over the
/// calibrated log-odds (Platt scaling, 1999, of all at once), over samples that have a module, and, with a tenth of its
/// weight, each module's own class-balanced cross-entropy over all samples, which keeps its threshold where it was: the
/// first does not change when all offsets do. Convex; L-BFGS. Scales are positive. Where a module has no sample, none
/// is changed: how it compares with others is not known.
std::vector<Calibration> calibrate(const at::Tensor& odds, const at::Tensor& modules);

/// `odds` [samples, modules] float64, with calibrations.
at::Tensor calibrated(const at::Tensor& odds, const std::vector<Calibration>& calibrations);

/// What the heads of all modules are fitted to, together.
struct JointHeadData {
  std::vector<at::Tensor> features;  ///< by module: [samples, features] float32, what its head reads
  at::Tensor modules;                ///< [samples] int64: as for calibrate
  int64_t validating = 0;            ///< of the samples, the last ones, which choose the penalty
};

/// What fit_heads_together found.
struct JointHeads {
  std::vector<Head> heads;     ///< two rows each; none where no penalty does better than what there was
  std::vector<double> losses;  ///< on the validating samples: of the heads as they were, calibrated; and of `heads`
};

/// Fits all weights of all heads (classification, two rows each) to the loss that calibrate minimises, from `apart` on:
/// what one module mistakes for its class, another may know. The penalty on weights of standardised features is chosen
/// on the validating samples. Convex; L-BFGS.
JointHeads fit_heads_together(const JointHeadData& data, const std::vector<Head>& apart, OutputKind kind);

/// What a head of two rows says, as a row for the log-odds, float64: weight [features], bias [].
Head log_odds_row(const Head& rows, OutputKind kind);

/// The head with a calibration multiplied into its weights.
Head calibrated(const Head& head, const Calibration& calibration, OutputKind kind);

}  // namespace incite
