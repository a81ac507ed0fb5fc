#pragma once

#include "incite/error.hpp"
#include "incite/inspection.hpp"
#include "incite/options.hpp"

namespace incite {

/// Loads a model, finds its units, and checks whether decompose would work; why not is in Inspection::refusal. Throws
/// Error (model_file, data_file, data_mismatch, unsupported or device) if the model or the data can't be read, or don't
/// fit each other.
Inspection inspect(const ModelOptions& options);

}  // namespace incite
