#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "incite/output_set.hpp"

namespace incite {

/// What a module's outputs mean, and thus how its column is computed. The log-odds are those of `log_odds` in
/// units/output_kind.hpp, in float32.
enum class Column : uint8_t {
  value,             ///< the output itself
  of_logits,         ///< log-odds from logits or log-probabilities
  of_probabilities,  ///< log-odds from probabilities that add up to 1
  of_sigmoid,        ///< log-odds from one probability for each output
};

/// A column of a composition.
struct JoinedColumn {
  std::string name;
  int64_t label = 0;  ///< the class, or value, of the original model
  int64_t place = 0;  ///< in the module's set
};

/// A module to join with others.
struct JoinedModule {
  std::filesystem::path file;
  std::string key;  ///< an identifier, the prefix of its state_dict keys: "module_3"
  Column column = Column::of_logits;
  OutputSet set;
  bool own_head = true;  ///< its outputs are those of a fitted head; else all the original's
  int64_t outputs = 0;   ///< of the original
  std::vector<JoinedColumn> columns;
};

/// Joins modules into one that calls each of them on the same input. Returns the bytes of a TorchScript file for the
/// CPU; the same files give the same bytes. Its forward takes the arguments of the first module and returns float32
/// [samples, columns]. Its state_dict keys are those of the modules, each prefixed with `key` and a dot. Attributes:
/// `names`, List[str]; `outputs`, List[int], with the labels; and `identity`, unless it is empty, as
/// identity_attribute.
///
/// Throws Error: model_file for a file that is not TorchScript, data_mismatch for modules with different numbers of
/// inputs.
std::string join(const std::vector<JoinedModule>& modules, const std::string& identity = {});

}  // namespace incite
