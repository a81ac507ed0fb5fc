#pragma once

#include <cstddef>
#include <string>

namespace incite::cli {

/// Breaks lines that are longer than `width` columns (0: no limit) between words. Continuation lines are indented by
/// `indent` blanks; a word that is too long gets a line of its own.
std::string wrapped(const std::string& text, size_t width, size_t indent = 2);

/// The width to write for: the variable COLUMNS, else the width of the terminal behind a file descriptor, else 0.
size_t columns_of(int descriptor);

}  // namespace incite::cli
