#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace incite {

/// What a module is for: one output of the model, or a set of outputs.
struct OutputSet {
  std::vector<int64_t> outputs;  ///< ascending
  std::string name;              ///< of a set; empty: a single output, known by its number
  /// Classification: the model has classes that are not in the set, so that a fitted head starts with a row for them.
  bool others = true;
  std::vector<std::string> names = {};  ///< of the outputs; empty: not known

  int64_t size() const { return static_cast<int64_t>(outputs.size()); }
  /// Rows of a fitted head: [others, outputs...].
  int64_t rows() const { return size() + (others ? 1 : 0); }
  /// The name of the set, or the number of the output.
  std::string label() const { return name.empty() ? std::to_string(outputs.front()) : name; }
  /// The same for people, with the output's name: "3 (cat)".
  std::string title() const { return name.empty() && !names.empty() ? label() + " (" + names.front() + ")" : label(); }
};

/// Whether a fitted head of the set has a row for other classes. `count`: outputs of the model.
inline bool has_others(const OutputSet& set, bool classification, int64_t count) {
  return classification && set.size() < count;
}

/// Whether a set's outputs are some of a model's, ascending. An empty set is sound.
inline bool is_sound(const OutputSet& set, int64_t count) {
  for (size_t i = 0; i < set.outputs.size(); ++i) {
    if (set.outputs[i] < (i == 0 ? 0 : set.outputs[i - 1] + 1) || set.outputs[i] >= count) return false;
  }
  return true;
}

/// The outputs of all sets, one set after another: the outputs that the modules' columns are for.
inline std::vector<int64_t> outputs_of(const std::vector<OutputSet>& sets) {
  std::vector<int64_t> outputs;
  for (const OutputSet& set : sets)
    outputs.insert(outputs.end(), set.outputs.begin(), set.outputs.end());
  return outputs;
}

}  // namespace incite
