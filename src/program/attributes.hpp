#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace incite {

/// The attribute in which a module, or a composition of modules, says what it is: JSON, see module_identity.hpp.
inline constexpr const char* identity_attribute = "incite";
/// Those in which a composition says what its columns are.
inline constexpr const char* names_attribute = "names";
inline constexpr const char* outputs_attribute = "outputs";

/// What a model's file says beside its code and weights.
struct FileAttributes {
  std::string identity;            ///< its identity_attribute; empty: none
  std::vector<std::string> names;  ///< of a composition's columns, as `join` wrote them; else empty
  std::vector<int64_t> outputs;    ///< which outputs of their models a composition's columns are for; else empty
  int64_t parameters = 0;          ///< elements of its trained parameters
};

/// Throws Error (model_file) for a file that is no model.
FileAttributes read_attributes(const std::filesystem::path& file);

}  // namespace incite
