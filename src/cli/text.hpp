#pragma once

#include <cstddef>
#include <string>

namespace incite::cli {

/// Text with its lines broken between words where they are longer than `width` columns (0: any length is fine). What
/// goes on is indented by `indent` blanks; a word that is too long stands on a line of its own.
std::string wrapped(const std::string& text, size_t width, size_t indent = 2);

/// Columns to write for: what the variable COLUMNS says, else those of the terminal that a file descriptor is, else 0.
size_t columns_of(int descriptor);

}  // namespace incite::cli
