#include "verbs/compose/parts.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "base/fail.hpp"
#include "store/result_folder.hpp"

namespace incite {
namespace {

/// Finds modules and identifies them.
class Collector {
 public:
  /// The modules that a file or folder stands for.
  std::vector<Part> parts(const std::filesystem::path& operand) {
    if (!std::filesystem::is_directory(operand)) return {part(operand)};
    const auto folder = identifier_.read(operand);
    std::vector<Part> all;
    for (const ModuleResult& module : folder->decomposition.modules)
      all.push_back(of_file(folder->path / module.file));
    return all;
  }

  /// The module of a file.
  Part part(const std::filesystem::path& file) {
    if (!std::filesystem::is_regular_file(file)) {
      fail(ExitCode::model_file, "{}: no such file; expected a module that 'incite decompose' wrote", file.string());
    }
    return of_file(file);
  }

 private:
  Part of_file(const std::filesystem::path& file) {
    const FileAttributes attributes = read_attributes(file);
    const auto known = identifier_.identify(file, attributes);
    if (!known) refuse(file);
    return {file, *known, attributes.parameters, known->identity.output, {}, {}};
  }

  [[noreturn]] void refuse(const std::filesystem::path& file) {
    const auto folder = identifier_.beside(file);
    if (!folder) {
      fail(ExitCode::data_file,
           "{}: neither the file nor a {} beside it says which output it is for; expected a module that 'incite "
           "decompose' wrote, or such a module loaded and saved again",
           file.string(), document_name);
    }
    std::vector<std::string> names;
    for (const ModuleResult& module : folder->decomposition.modules)
      names.push_back(module.file);
    fail(ExitCode::data_file,
         "{}: neither the file nor {} says which output it is for; expected one of {}, or one of "
         "these loaded and saved again",
         file.string(), (folder_of(file) / document_name).string(), fmt::join(names, ", "));
  }

  Identifier identifier_;
};

/// The last `count` parts of a path, "lenet" or "mnist/lenet".
std::string ending(const std::filesystem::path& path, size_t count) {
  std::vector<std::string> steps;
  for (const std::filesystem::path& step : path.relative_path())
    steps.push_back(step.string());
  const size_t first = steps.size() > count ? steps.size() - count : 0;
  return fmt::format("{}", fmt::join(steps.begin() + static_cast<std::ptrdiff_t>(first), steps.end(), "/"));
}

/// A short name for each folder of modules: the last part of its path, or as many parts as make all names different.
std::map<std::filesystem::path, std::string> folder_names(const std::vector<Part>& parts) {
  std::set<std::filesystem::path> paths;
  for (const Part& part : parts)
    paths.insert(unique_path(folder_of(part.file)));
  for (size_t count = 1;; ++count) {
    std::map<std::filesystem::path, std::string> names;
    std::set<std::string> different;
    for (const std::filesystem::path& path : paths) {
      names[path] = ending(path, count);
      different.insert(names[path]);
    }
    if (different.size() == paths.size()) return names;
  }
}

/// Sets the default names and keys of the columns.
void name_columns(std::vector<Part>& parts) {
  std::set<int64_t> numbers;
  for (const Part& part : parts)
    numbers.insert(part.identity().output);
  const bool by_number = numbers.size() == parts.size();
  const auto folders = folder_names(parts);
  std::set<std::string> taken, keys;
  for (Part& part : parts) {
    part.name = std::to_string(part.identity().output);
    if (!by_number) part.name = folders.at(unique_path(folder_of(part.file))) + "-" + part.name;
    if (!taken.insert(part.name).second) {  // two files of one folder: a module, and the same trained further
      part.name += "-" + part.file.stem().string();
      taken.insert(part.name);
    }
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
  names.reserve(parts.size());
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

/// Applies --replace and --remove.
void change(std::vector<Part>& parts, const ComposeOptions& options, Collector& collector) {
  std::set<std::string> replaced;
  for (const auto& [name, file] : options.replace) {
    const auto place = find_column(parts, "--replace", name);
    if (!replaced.insert(name).second) {
      fail(ExitCode::usage, "--replace {}: given twice; expected one module per column", name);
    }
    Part part = collector.part(file);
    part.name = place->name;
    part.key = place->key;
    part.label = place->label;
    *place = std::move(part);
  }
  std::set<std::string> removed;
  for (const std::string& name : options.remove) {
    find_column(parts, "--remove", name);
    if (replaced.contains(name)) {
      fail(ExitCode::usage, "--remove {}: --replace names this column too; expected one of the two", name);
    }
    removed.insert(name);
  }
  std::erase_if(parts, [&](const Part& part) { return removed.contains(part.name); });
  if (parts.empty()) fail(ExitCode::usage, "--remove: no column would be left; expected at least one to stay");
}

void check_files_differ(const std::vector<Part>& parts) {
  std::set<std::filesystem::path> files;
  for (const Part& part : parts) {
    if (files.insert(unique_path(part.file)).second) continue;
    fail(ExitCode::usage, "{}: given for two columns; expected each module once. Leave one out", part.file.string());
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
      fail(ExitCode::usage, "--names: '{}' is given twice; expected different names", names[i]);
    }
    parts[i].name = names[i];
  }
}

void check_one_task(const std::vector<Part>& parts) {
  const Part& first = parts[0];
  for (const Part& part : parts) {
    if (part.identity().task == first.identity().task) continue;
    fail(ExitCode::data_mismatch, "{}: its task is {}; expected {}, as for {}. Join modules of one task",
         part.file.string(), to_string(part.identity().task), to_string(first.identity().task), first.file.string());
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
