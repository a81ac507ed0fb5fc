#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "incite/decomposition.hpp"
#include "program/attributes.hpp"
#include "store/module_identity.hpp"

namespace incite {

/// A folder that decompose wrote.
struct ModuleFolder {
  std::filesystem::path path;
  Decomposition decomposition;  ///< as from read_decomposition, with its data
};

/// What is known about a module's file, from itself or from the decomposition.json beside it.
struct KnownModule {
  ModuleIdentity identity;
  bool by_document = false;  ///< known only from the document
  SourceFile data;           ///< that its model was decomposed with; empty: unknown
};

/// Identifies module files. Each document is read once.
class Identifier {
 public:
  /// The document of a folder. Throws Error (data_file) if it is missing or damaged.
  std::shared_ptr<const ModuleFolder> read(const std::filesystem::path& folder);

  /// The document beside a file; null if there is none. Throws as read.
  std::shared_ptr<const ModuleFolder> beside(const std::filesystem::path& file);

  /// Identifies a file by its attributes, else by the document beside it; nullopt if neither helps. Throws as read.
  std::optional<KnownModule> identify(const std::filesystem::path& file, const FileAttributes& attributes);

 private:
  std::map<std::filesystem::path, std::shared_ptr<const ModuleFolder>> folders_;
};

/// The canonical path of a file, so that two spellings of it compare equal.
std::filesystem::path unique_path(const std::filesystem::path& file);

/// The folder of a file; "." for a bare name.
std::filesystem::path folder_of(const std::filesystem::path& file);

}  // namespace incite
