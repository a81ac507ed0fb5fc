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

/// Fits a calibration for each module, all together: `odds` [samples, columns] float64, the columns of one set after
/// another; `columns` [samples] int64, the column of each sample's class; -1: there is none. Minimises the
/// cross-entropy of the softmax over the calibrated log-odds (Platt scaling, 1999, of all at once), over samples that
/// have a column, and, with a tenth of its weight, each module's own class-balanced cross-entropy over all samples,
/// which keeps its threshold where it was: the first does not change when all offsets do. Convex; L-BFGS. Scales are
/// positive. Where a module has no sample, none is changed: how it compares with others is not known. `start`: where to
/// begin; a calibration that is nearly right saves most of the steps.
std::vector<Calibration> calibrate(const at::Tensor& odds, const at::Tensor& columns,
                                   const std::vector<OutputSet>& sets, const std::vector<Calibration>& start = {});

/// `odds` [samples, columns] float64, with calibrations.
at::Tensor calibrated(const at::Tensor& odds, const std::vector<Calibration>& calibrations,
                      const std::vector<OutputSet>& sets);

/// Fits a calibration for each label, by itself (Platt scaling): `odds` [samples, columns] float64, `labels`
/// [samples, columns]. Minimises the log loss. Where a label holds for all samples or for none, it is left as it is.
std::vector<Calibration> calibrate_labels(const at::Tensor& odds, const at::Tensor& labels);

/// `odds` [samples, columns] float64, with a calibration for each column.
at::Tensor calibrated(const at::Tensor& odds, const std::vector<Calibration>& calibrations);

/// What the heads of all modules are fitted to, together.
struct JointHeadData {
  std::vector<at::Tensor> features;  ///< by module: [samples, features] float32, what its head reads
  at::Tensor columns;                ///< [samples] int64: as for calibrate
  at::Tensor teacher;                ///< of one module for all classes: see SetLoss; may be undefined
  int64_t validating = 0;            ///< of the samples, the last ones, which choose the penalty
};

/// What fit_heads_together found.
struct JointHeads {
  std::vector<Head> heads;     ///< none where no penalty does better than what there was
  std::vector<double> losses;  ///< on the validating samples: of the heads as they were, calibrated; and of `heads`
};

/// Fits all weights of all heads (classification) to the loss that calibrate minimises, from `apart` on: what one
/// module mistakes for its class, another may know. The penalty on weights of standardised features is chosen on the
/// validating samples. Convex; L-BFGS.
JointHeads fit_heads_together(const JointHeadData& data, const std::vector<Head>& apart,
                              const std::vector<OutputSet>& sets, OutputKind kind);

/// A classification head as rows for the log-odds of its set, float64: weight [set, features], bias [set].
Head log_odds_rows(const Head& head, const OutputSet& set, OutputKind kind);

/// The head with a calibration multiplied into its weights: one of all its log-odds, or of labels one for each.
Head calibrated(const Head& head, const std::vector<Calibration>& calibration, const OutputSet& set, OutputKind kind);

}  // namespace incite
