#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "base/json.hpp"
#include "incite/decomposition.hpp"

namespace incite {

// Parts of several documents.

/// The most modules for which matrices are written: one for 1,000 modules would have a million numbers.
inline constexpr int64_t most_in_matrix = 100;

Json source(const SourceFile& file);
Json versions();
Json cost_json(const Cost& cost);

/// What a module is for: {"output": 3}, with "name" if it has one, or of a set {"name": "digits", "outputs": [0, 1]},
/// with "output_names".
Json set_json(const OutputSet& set);

/// "accuracy" or "mae".
const char* score_name(Task task);

/// Adds a module's measures to its entry.
void add_measures(Json& json, const Evaluation& evaluation, size_t module, const OutputSet& set);
/// Adds a matrix, row by row, unless it is undefined or larger than most_in_matrix.
void add_matrix(Json& json, const std::string& name, const at::Tensor& matrix);

Json evaluation_json(const Evaluation& evaluation, const std::vector<int64_t>& outputs);
/// The measures of each class, or of each output of a regression: an entry for each of `outputs`, in their order.
/// `iou`: intersections over unions too.
Json outputs_json(const ModelMeasures& measures, const std::vector<int64_t>& outputs, bool iou = false);

/// The outputs that a decomposition's modules are for, those of one module after another.
std::vector<int64_t> outputs_of(const Decomposition& decomposition);

}  // namespace incite
