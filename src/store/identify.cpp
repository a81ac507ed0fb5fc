#include "store/identify.hpp"

#include <algorithm>

#include "base/fail.hpp"
#include "store/document.hpp"
#include "store/result_folder.hpp"

namespace incite {

std::filesystem::path unique_path(const std::filesystem::path& file) {
  std::error_code error;
  const std::filesystem::path canonical = std::filesystem::weakly_canonical(file, error);
  return error ? file : canonical;
}

std::filesystem::path folder_of(const std::filesystem::path& file) {
  return file.has_parent_path() ? file.parent_path() : ".";
}

std::shared_ptr<const ModuleFolder> Identifier::read(const std::filesystem::path& folder) {
  std::shared_ptr<const ModuleFolder>& known = folders_[unique_path(folder)];
  if (known) return known;
  ModuleFolder found{folder, read_decomposition(folder / document_name)};
  found.decomposition.data = data_source(folder / document_name);
  return known = std::make_shared<ModuleFolder>(std::move(found));
}

std::shared_ptr<const ModuleFolder> Identifier::beside(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::exists(folder_of(file) / document_name, error)) return nullptr;
  return read(folder_of(file));
}

std::optional<KnownModule> Identifier::identify(const std::filesystem::path& file, const FileAttributes& attributes) {
  if (const auto own = parse_identity(attributes.identity); own && own->is_module()) {
    KnownModule known{*own, false, {}};
    try {
      const auto folder = beside(file);
      if (folder && folder->decomposition.model.sha256 == own->model) known.data = folder->decomposition.data;
    } catch (const Error&) {  // a document that can't be read is not needed
    }
    return known;
  }
  const auto folder = beside(file);
  if (!folder) return std::nullopt;
  const std::vector<ModuleResult>& modules = folder->decomposition.modules;
  const auto module = std::find_if(modules.begin(), modules.end(),
                                   [&](const ModuleResult& one) { return one.file == file.filename(); });
  if (module == modules.end()) return std::nullopt;
  return KnownModule{identity_of(folder->decomposition, *module), true, folder->decomposition.data};
}

}  // namespace incite
