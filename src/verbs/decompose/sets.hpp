#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "incite/output_set.hpp"

namespace incite {

/// Reads numbers and ranges of outputs, "0,3-7", ascending; nullopt for any other text.
std::optional<std::vector<int64_t>> parse_outputs(const std::string& text);

/// Reads the text of --modules: "each" (no sets), "all" (a set without outputs), sets such as "digits=0-4 rest=5,7-9",
/// or the name of a file that has a set on each line. Throws Error: usage for any other text; data_file for a file that
/// can't be read.
std::vector<OutputSet> parse_sets(const std::string& text);

/// Reads the text of --names: names with commas between them, or the name of a file with one on each line. Throws
/// Error: usage for a name that is empty or given twice; data_file for a file that can't be read.
std::vector<std::string> parse_names(const std::string& text);

/// What parse_sets reads as these sets.
std::string sets_text(const std::vector<OutputSet>& sets);

}  // namespace incite
