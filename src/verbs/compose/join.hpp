#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace incite {

/// What a module's outputs mean, and thus how its column is computed. The log-odds are those of `log_odds` in
/// units/output_kind.hpp, in float32.
enum class Column : uint8_t {
  value,             ///< the output itself
  of_logits,         ///< log-odds from logits or log-probabilities
  of_probabilities,  ///< log-odds from probabilities that add up to 1
  of_sigmoid,        ///< log-odds from one probability for each output
};

/// A module to join with others.
struct JoinedModule {
  std::filesystem::path file;
  std::string key;   ///< an identifier, the prefix of its state_dict keys: "module_3"
  std::string name;  ///< name of its column
  Column column = Column::of_logits;
  /// The output that the column is for; unset: the outputs are [others, class], or one value.
  std::optional<int64_t> output = std::nullopt;
  int64_t label = 0;  ///< the class, or value, of the original model
};

/// Joins modules into one that calls each of them on the same input. Returns the bytes of a TorchScript file for the
/// CPU; the same files give the same bytes. Its forward takes the arguments of the first module and returns float32
/// [samples, modules]. Its state_dict keys are those of the modules, each prefixed with `key` and a dot. Attributes:
/// `names`, List[str]; `outputs`, List[int], with the labels; and `identity`, unless it is empty, as
/// identity_attribute.
///
/// Throws Error: model_file for a file that is not TorchScript, data_mismatch for modules with different numbers of
/// inputs.
std::string join(const std::vector<JoinedModule>& modules, const std::string& identity = {});

}  // namespace incite
