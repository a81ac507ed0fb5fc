#include "parts.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "data_source.hpp"
#include "incite/base/error.hpp"
#include "incite/report/json.hpp"
#include "result_folder.hpp"

namespace incite {
namespace {

/// One name for a file, however it is written.
std::filesystem::path unique_path(const std::filesystem::path& file) {
  std::error_code error;
  const std::filesystem::path made = std::filesystem::weakly_canonical(file, error);
  return error ? file : made;
}

/// Finds modules and the documents that say what they are.
class Collector {
 public:
  /// The modules that a file or folder stands for.
  std::vector<Part> parts(const std::filesystem::path& operand) {
    if (!std::filesystem::is_directory(operand)) return {part(operand)};
    const auto folder = read(operand);
    std::vector<Part> all;
    for (const ModuleResult& module : folder->decomposition.modules)
      all.push_back({folder, folder->path / module.file, module, {}, {}});
    return all;
  }

  /// The module of a file.
  Part part(const std::filesystem::path& file) {
    if (!std::filesystem::is_regular_file(file)) {
      fail(ExitCode::model_file, "{}: no such file; expected a module that 'incite decompose' wrote", file.string());
    }
    const std::filesystem::path parent = file.has_parent_path() ? file.parent_path() : ".";
    if (!std::filesystem::exists(parent / document_name)) {
      fail(ExitCode::data_file,
           "{}: no {} beside it, which says what its outputs mean; expected a module where 'incite decompose' wrote it",
           file.string(), document_name);
    }
    const auto folder = read(parent);
    std::vector<std::string> names;
    for (const ModuleResult& module : folder->decomposition.modules) {
      if (module.file == file.filename()) return {folder, file, module, {}, {}};
      names.push_back(module.file);
    }
    fail(ExitCode::data_file, "{}: not a module of {}; expected one of {}", file.string(),
         (parent / document_name).string(), fmt::join(names, ", "));
  }

 private:
  std::shared_ptr<const ModuleFolder> read(const std::filesystem::path& path) {
    std::shared_ptr<const ModuleFolder>& known = folders_[unique_path(path)];
    if (known) return known;
    ModuleFolder folder{path, read_decomposition(path / document_name)};
    folder.decomposition.data = data_source(path / document_name);
    return known = std::make_shared<ModuleFolder>(std::move(folder));
  }

  std::map<std::filesystem::path, std::shared_ptr<const ModuleFolder>> folders_;
};

/// The last `count` parts of a path, "lenet" or "mnist/lenet".
std::string ending(const std::filesystem::path& path, size_t count) {
  std::vector<std::string> steps;
  for (const std::filesystem::path& step : path.relative_path())
    steps.push_back(step.string());
  const size_t first = steps.size() > count ? steps.size() - count : 0;
  return fmt::format("{}", fmt::join(steps.begin() + static_cast<std::ptrdiff_t>(first), steps.end(), "/"));
}

/// A name for each folder: the last part of its path, or as many as tell it from the others.
std::map<const ModuleFolder*, std::string> folder_names(const std::vector<Part>& parts) {
  std::map<const ModuleFolder*, std::filesystem::path> paths;
  for (const Part& part : parts)
    paths[part.folder.get()] = unique_path(part.folder->path);
  for (size_t count = 1;; ++count) {
    std::map<const ModuleFolder*, std::string> names;
    std::set<std::string> different;
    for (const auto& [folder, path] : paths) {
      names[folder] = ending(path, count);
      different.insert(names[folder]);
    }
    if (different.size() == paths.size()) return names;
  }
}

/// Gives columns their default names and keys.
void name_columns(std::vector<Part>& parts) {
  std::set<int64_t> numbers;
  for (const Part& part : parts)
    numbers.insert(part.module.output);
  const bool by_number = numbers.size() == parts.size();
  const auto folders = folder_names(parts);
  std::set<std::string> keys;
  for (Part& part : parts) {
    part.name = std::to_string(part.module.output);
    if (!by_number) part.name = folders.at(part.folder.get()) + "-" + part.name;
    std::string key = "module_" + part.name;
    std::replace_if(
        key.begin(), key.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
    part.key = key;
    for (int again = 2; !keys.insert(part.key).second; ++again)
      part.key = fmt::format("{}_{}", key, again);
  }
}

std::vector<std::string> names_of(const std::vector<Part>& parts) {
  std::vector<std::string> names;
  for (const Part& part : parts)
    names.push_back(part.name);
  return names;
}

std::vector<Part>::iterator find_column(std::vector<Part>& parts, const char* option, const std::string& name) {
  const auto found = std::find_if(parts.begin(), parts.end(), [&](const Part& part) { return part.name == name; });
  if (found == parts.end()) {
    fail(ExitCode::usage, "{} {}: no such column; expected one of {}", option, name, fmt::join(names_of(parts), ", "));
  }
  return found;
}

/// Puts modules in the place of others and leaves columns out.
void change(std::vector<Part>& parts, const ComposeOptions& options, Collector& collector) {
  std::set<std::string> replaced;
  for (const auto& [name, file] : options.replace) {
    const auto place = find_column(parts, "--replace", name);
    if (!replaced.insert(name).second) {
      fail(ExitCode::usage, "--replace {}: given twice; expected one module for a column", name);
    }
    Part part = collector.part(file);
    part.name = place->name;
    part.key = place->key;
    *place = std::move(part);
  }
  std::set<std::string> removed;
  for (const std::string& name : options.remove) {
    find_column(parts, "--remove", name);
    if (replaced.contains(name)) {
      fail(ExitCode::usage, "--remove {}: is to be replaced as well; expected one of the two", name);
    }
    removed.insert(name);
  }
  std::erase_if(parts, [&](const Part& part) { return removed.contains(part.name); });
  if (parts.empty()) fail(ExitCode::usage, "--remove: no column would be left; expected one or more to stay");
}

void check_files_differ(const std::vector<Part>& parts) {
  std::set<std::filesystem::path> files;
  for (const Part& part : parts) {
    if (files.insert(unique_path(part.file)).second) continue;
    fail(ExitCode::usage, "{}: would be two columns; expected each module once. Leave one out", part.file.string());
  }
}

void rename(std::vector<Part>& parts, const std::vector<std::string>& names) {
  if (names.empty()) return;
  if (names.size() != parts.size()) {
    fail(ExitCode::usage, "--names: {} name{}; expected {}, one for each module", names.size(),
         names.size() == 1 ? "" : "s", parts.size());
  }
  std::set<std::string> different;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (names[i].empty()) fail(ExitCode::usage, "--names: name {} is empty; expected some text", i + 1);
    if (!different.insert(names[i]).second) {
      fail(ExitCode::usage, "--names: '{}' is there twice; expected different names", names[i]);
    }
    parts[i].name = names[i];
  }
}

void check_one_task(const std::vector<Part>& parts) {
  const Part& first = parts[0];
  for (const Part& part : parts) {
    if (part.folder->decomposition.task == first.folder->decomposition.task) continue;
    fail(ExitCode::data_mismatch, "{}: its task is {}; expected {}, as of {}. Join modules of one task",
         part.file.string(), to_string(part.folder->decomposition.task), to_string(first.folder->decomposition.task),
         first.file.string());
  }
}

}  // namespace

std::vector<Part> parts_of(const ComposeOptions& options) {
  Collector collector;
  std::vector<Part> parts;
  for (const std::filesystem::path& operand : options.modules) {
    for (Part& part : collector.parts(operand))
      parts.push_back(std::move(part));
  }
  if (parts.empty()) fail(ExitCode::usage, "no modules; expected one or more to join");
  check_files_differ(parts);
  name_columns(parts);
  change(parts, options, collector);
  check_files_differ(parts);
  rename(parts, options.names);
  check_one_task(parts);
  return parts;
}

}  // namespace incite
