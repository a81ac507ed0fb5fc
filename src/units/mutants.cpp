#include "units/mutants.hpp"

#ifdef INCITE_MUTANTS

#include <cstdlib>
#include <fstream>
#include <set>

namespace incite {

bool left_out(const std::string& op, const std::string& effect) {
  static const char* const chosen = std::getenv("INCITE_MUTANT");   // a line of the log
  static const char* const log = std::getenv("INCITE_MUTANT_LOG");  // a file for the effects that are reached
  static std::set<std::string> seen;
  const std::string name = op + " " + effect;
  if (log != nullptr && seen.insert(name).second) std::ofstream(log, std::ios::app) << name << "\n";
  return chosen != nullptr && name == chosen;
}

}  // namespace incite

#endif
