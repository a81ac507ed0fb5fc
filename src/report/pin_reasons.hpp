#pragma once

#include <span>
#include <string>

#include "units/unit_map.hpp"

namespace incite {

/// The words for a reason in documents and tables.
struct PinWords {
  PinReason reason;
  const char* word;
  const char* units;  ///< a clause about the units that can't be removed: "they are the model's outputs"
  const char* whole;  ///< the same about weights that are kept whole; null: `units` says it of the units that they meet
};

/// The words of all reasons.
std::span<const PinWords> pin_words();

std::string word_of(PinReason reason);

/// The meaning of a pin's reason, as a clause about its units: "they are the model's outputs".
std::string explain_pin(PinReason reason);

/// The meaning of the reason why a layer is kept whole, as a clause about its weights.
std::string explain_whole(PinReason reason);

}  // namespace incite
