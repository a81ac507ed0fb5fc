#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "incite/decomposition.hpp"
#include "units/output_kind.hpp"

namespace incite {

/// What a module's file states about itself, so that it can be composed and evaluated in any folder, also after further
/// training. A composition states the same, except for the output.
struct ModuleIdentity {
  std::string model;    ///< SHA-256 of the original's file; empty for a composition of several originals
  OutputSet set;        ///< the original's outputs that it is for; none: a composition
  int64_t outputs = 0;  ///< number of outputs of the original; 0 for a composition of several originals
  OutputKind kind = OutputKind::logits;
  Task task = Task::classification;
  bool own_head = true;  ///< its outputs are those of a fitted head (see OutputSet::rows); else all of the original's
  std::string input_key = "x", target_key = "y";
  std::optional<double> input_scale;  ///< as requested; unset: auto
  std::optional<double> scale;        ///< as used; unset: 1/255 for uint8 inputs, 1 for others
  std::vector<int64_t> input_shape;   ///< as requested; empty: as in the archive
  InputLayout input_layout = InputLayout::as_stored;
  std::vector<std::vector<int64_t>> shapes;  ///< by input: of one sample as the model takes it; empty: unknown

  bool is_module() const { return !set.outputs.empty(); }
  /// How many outputs the module has.
  int64_t rows() const { return own_head ? set.rows() : outputs; }

  /// Whether samples are read in the same way for both.
  bool reads_like(const ModuleIdentity& other) const {
    return input_key == other.input_key && input_scale == other.input_scale && scale == other.scale &&
           input_shape == other.input_shape && input_layout == other.input_layout;
  }
};

/// The identity as one line of JSON.
std::string to_text(const ModuleIdentity& identity);

/// Reads what to_text wrote; nullopt for any other text.
std::optional<ModuleIdentity> parse_identity(const std::string& text);

/// The identity of a module according to its decomposition's document.
ModuleIdentity identity_of(const Decomposition& decomposition, const ModuleResult& module);

/// How decompose read samples when it made the module; the file is left open.
DatasetOptions reading_of(const ModuleIdentity& identity);

}  // namespace incite
