#pragma once

#include <string>

#include "units/unit_map.hpp"

namespace incite {

/// The meaning of a pin's reason, as a clause about its units: "they are the model's outputs".
std::string explain_pin(PinReason reason);

/// The meaning of the reason why a layer is kept whole, as a clause about its weights.
std::string explain_whole(PinReason reason);

}  // namespace incite
