#pragma once

#include <string>

namespace incite {

/// The meaning of a pin's reason, as a clause about its units: "they are the model's outputs". Empty for an unknown
/// reason.
std::string explain_pin(const std::string& reason);

/// The meaning of the reason why a layer is kept whole, as a clause about its weights. Empty for an unknown reason.
std::string explain_whole(const std::string& reason);

}  // namespace incite
