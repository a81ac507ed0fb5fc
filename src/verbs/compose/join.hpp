#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace incite {

/// What a module's outputs mean, and so how a column is made of them. The log-odds are those of `log_odds` in
/// units/output_kind.hpp, in float32.
enum class Column : uint8_t {
  value,             ///< the output itself
  of_logits,         ///< log-odds from logits or log-probabilities
  of_probabilities,  ///< log-odds from probabilities that add up to 1
  of_sigmoid,        ///< log-odds from one probability for each output
};

/// A module to be joined with others.
struct JoinedModule {
  std::filesystem::path file;
  std::string key;   ///< an identifier, which its state_dict keys begin with: "module_3"
  std::string name;  ///< of its class or value
  Column column = Column::of_logits;
  /// Which of its outputs the column is made for. None: they are [others, class], or the one value.
  std::optional<int64_t> output = std::nullopt;
  int64_t label = 0;  ///< the class, or value, of its model that the column is for
};

/// Joins modules into one, which calls each on the same input: the bytes of a TorchScript file for the CPU. Its forward
/// takes what theirs take, under the first one's names, and returns float32 [samples, modules]. Its state_dict keys are
/// theirs behind `key` and a dot, and it has the names as an attribute `names`, List[str], the labels as `outputs`,
/// List[int], and `identity`, unless it is empty, as its identity_attribute. The same files give the same bytes.
///
/// Throws Error: model_file for a file that is no TorchScript, data_mismatch for modules that take different numbers of
/// inputs.
std::string join(const std::vector<JoinedModule>& modules, const std::string& identity = {});

}  // namespace incite
