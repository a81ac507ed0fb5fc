#pragma once

#include <optional>
#include <vector>

#include "incite/compose.hpp"
#include "verbs/compose/parts.hpp"

namespace incite {

/// A few samples that all modules accept, read as their models read them: from `options.data`, else from the data of
/// the first decomposition whose data is still there and unchanged. Nullopt if all modules come from one model, so that
/// they accept the same inputs, and its data is gone.
///
/// Throws Error: data_mismatch if the models' samples differ in number of inputs, shape, type or scale, or if a module
/// does not run on the samples; data_file if several models can't be compared for lack of data; and what read_dataset
/// throws for `options.data`.
std::optional<Dataset> common_samples(const std::vector<Part>& parts, const ComposeOptions& options);

}  // namespace incite
