#pragma once

#include <string>

#include "units/unit_map.hpp"

namespace incite {

/// Whether an effect of an operation's rule is left out: never, but in a build with INCITE_MUTANTS, where
/// `incite-lab check rules` leaves out one at a time to see whether a test notices.
#ifdef INCITE_MUTANTS
bool left_out(const std::string& op, const std::string& effect);
#else
inline bool left_out(const std::string& /*op*/, const std::string& /*effect*/) {
  return false;
}
#endif

inline bool left_out(const std::string& op, const std::string& effect, PinReason reason) {
  return left_out(op, effect + " " + to_string(reason));
}

}  // namespace incite
