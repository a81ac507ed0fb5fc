#pragma once

#include <string>

namespace incite {

/// What the one word of a pin means, as a clause about its units: "they are the model's outputs". Empty for a word that
/// is not known.
std::string explain_pin(const std::string& reason);

/// The same for a layer that is kept whole, as a clause about its weights.
std::string explain_whole(const std::string& reason);

}  // namespace incite
