#pragma once

#include <optional>
#include <vector>

#include "incite/compose.hpp"
#include "verbs/compose/parts.hpp"

namespace incite {

/// A few samples that all modules take, read as their models read them: of `options.data`, else of the data that the
/// first of their models was decomposed with whose data is still there. None where there is only one model, whose
/// modules surely take the same, and its data is gone.
///
/// Throws Error: data_mismatch for models whose samples differ in number of inputs, shape, type or scale, or where a
/// module does not run on the samples; data_file where no data is there to see that by, and what read_dataset throws
/// for `options.data`.
std::optional<Dataset> common_samples(const std::vector<Part>& parts, const ComposeOptions& options);

}  // namespace incite
