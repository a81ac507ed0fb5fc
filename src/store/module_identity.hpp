#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "incite/decomposition.hpp"
#include "units/output_kind.hpp"

namespace incite {

/// What a module's file says of itself, so that it can be composed and evaluated wherever it lies, trained further or
/// not. A composition of modules says the same, but for its output.
struct ModuleIdentity {
  std::string model;    ///< SHA-256 of the original's file; empty for a composition of several originals
  int64_t output = -1;  ///< which of the original's outputs it is for; -1: a composition
  int64_t outputs = 0;  ///< how many the original has; 0 for a composition of several originals
  OutputKind kind = OutputKind::logits;
  Task task = Task::classification;
  bool own_head = true;  ///< its outputs are [others, output], or the one value; else all of the original's
  std::string input_key = "x", target_key = "y";
  std::optional<double> input_scale;  ///< as it was asked for; unset: auto
  std::optional<double> scale;        ///< that was used; unset: 1/255 for inputs of uint8, 1 for the others
  std::vector<int64_t> input_shape;   ///< as it was asked for; empty: as in the archive
  InputLayout input_layout = InputLayout::as_stored;
  std::vector<std::vector<int64_t>> shapes;  ///< by input: of one sample as the model takes it; empty: not known

  /// Whether samples are read alike for both.
  bool reads_like(const ModuleIdentity& other) const {
    return input_key == other.input_key && input_scale == other.input_scale && scale == other.scale &&
           input_shape == other.input_shape && input_layout == other.input_layout;
  }
};

/// As one line of JSON.
std::string to_text(const ModuleIdentity& identity);

/// What to_text wrote; nothing for any other text.
std::optional<ModuleIdentity> parse_identity(const std::string& text);

/// What a decomposition's document says of one of its modules.
ModuleIdentity identity_of(const Decomposition& decomposition, const ModuleResult& module);

}  // namespace incite
