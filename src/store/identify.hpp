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
  Decomposition decomposition;  ///< as read_decomposition gives it, and its data
};

/// What is known of a module's file: from what it says itself, or from the decomposition.json beside it.
struct KnownModule {
  ModuleIdentity identity;
  bool by_document = false;  ///< the file itself says nothing
  SourceFile data;           ///< that its model was decomposed with; empty: not known
};

/// Finds out what files are. Documents are read once.
class Identifier {
 public:
  /// The folder's document. Throws Error (data_file) if there is none or it is damaged.
  std::shared_ptr<const ModuleFolder> read(const std::filesystem::path& folder);

  /// The document beside a file; none where there is none.
  std::shared_ptr<const ModuleFolder> beside(const std::filesystem::path& file);

  /// What a file with such attributes is; nothing where neither it nor a document beside it says. Throws as read.
  std::optional<KnownModule> identify(const std::filesystem::path& file, const FileAttributes& attributes);

 private:
  std::map<std::filesystem::path, std::shared_ptr<const ModuleFolder>> folders_;
};

/// One name for a file, however it is written.
std::filesystem::path unique_path(const std::filesystem::path& file);

/// The folder that a file lies in.
std::filesystem::path folder_of(const std::filesystem::path& file);

}  // namespace incite
