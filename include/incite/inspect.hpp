#pragma once

#include "incite/error.hpp"
#include "incite/inspection.hpp"
#include "incite/options.hpp"

namespace incite {

/// Loads a model, finds its units, and tells whether decompose would work. Throws Error: model_file, data_file,
/// data_mismatch, unsupported or device, where the model or the data can't be read or do not fit.
Inspection inspect(const ModelOptions& options);

}  // namespace incite
