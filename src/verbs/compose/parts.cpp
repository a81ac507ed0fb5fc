#include "verbs/compose/parts.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "base/fail.hpp"
#include "base/human.hpp"
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
    Part part{file, *known, attributes.parameters, {}, {}, {}};
    for (const int64_t output : known->identity.set.outputs)
      part.columns.push_back({{}, output, static_cast<int64_t>(part.columns.size())});
    return part;
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

/// The class that a column is for: its name, or its number.
std::string name_of(const Part& part, const JoinedColumn& column) {
  const std::vector<std::string>& names = part.identity().set.names;
  return names.empty() ? std::to_string(column.label) : names[static_cast<size_t>(column.place)];
}

/// The name of a module's set, or of its only column.
std::string name_of(const Part& part) {
  const std::string& name = part.identity().set.name;
  return name.empty() ? name_of(part, part.columns[0]) : name;
}

/// Sets the default names and keys of the columns.
void name_columns(std::vector<Part>& parts) {
  std::set<std::string> labels;
  size_t count = 0;
  for (const Part& part : parts) {
    labels.insert(name_of(part));
    count += part.columns.size() + 1;
    for (const JoinedColumn& column : part.columns)
      labels.insert(name_of(part, column));
    if (part.identity().set.name.empty()) --count;  // it is its only column's name
  }
  const bool by_label = labels.size() == count;
  const auto folders = folder_names(parts);
  std::set<std::string> taken, keys;
  for (Part& part : parts) {
    const auto name = [&](const std::string& label) {
      std::string full = by_label ? label : folders.at(unique_path(folder_of(part.file))) + "-" + label;
      // Two files of one folder: a module, and the same trained further.
      return taken.contains(full) ? full + "-" + part.file.stem().string() : full;
    };
    part.name = name(name_of(part));
    for (JoinedColumn& column : part.columns)
      column.name = name(name_of(part, column));
    taken.insert(part.name);
    for (const JoinedColumn& column : part.columns)
      taken.insert(column.name);
    std::string key = "module_" + part.name;
    std::replace_if(
        key.begin(), key.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
    part.key = key;
    for (int again = 2; !keys.insert(part.key).second; ++again)
      part.key = fmt::format("{}_{}", key, again);
  }
}

/// Throws Error (usage) for a name that is no column's and no set's.
[[noreturn]] void refuse_name(const std::vector<Part>& parts, const char* option, const std::string& name) {
  std::vector<std::string> names;
  for (const Part& part : parts) {
    if (!part.identity().set.name.empty()) names.push_back(part.name);
    for (const JoinedColumn& column : part.columns)
      names.push_back(column.name);
  }
  fail(ExitCode::usage, "{} {}: no such column; expected one of {}", option, name, fmt::join(names, ", "));
}

/// The module of a name: its own, or that of its only column.
Part& find_module(std::vector<Part>& parts, const char* option, const std::string& name) {
  for (Part& part : parts) {
    if (part.name == name || (part.columns.size() == 1 && part.columns[0].name == name)) return part;
    const bool has = std::any_of(part.columns.begin(), part.columns.end(),
                                 [&](const JoinedColumn& column) { return column.name == name; });
    if (has) fail(ExitCode::usage, "{} {}: a column of {}; name the whole module", option, name, part.name);
  }
  refuse_name(parts, option, name);
}

/// Removes a column, or all columns of a set. Throws Error (usage) if there is none of that name.
void remove_columns(std::vector<Part>& parts, const std::string& name) {
  size_t removed = 0;
  for (Part& part : parts) {
    removed += std::erase_if(
        part.columns, [&, all = part.name == name](const JoinedColumn& column) { return all || column.name == name; });
  }
  if (removed == 0) refuse_name(parts, "--remove", name);
}

/// Applies --replace and --remove.
void change(std::vector<Part>& parts, const ComposeOptions& options, Collector& collector) {
  std::set<std::string> replaced;
  for (const auto& [name, file] : options.replace) {
    Part& place = find_module(parts, "--replace", name);
    if (!replaced.insert(name).second) {
      fail(ExitCode::usage, "--replace {}: given twice; expected one module per column", name);
    }
    Part part = collector.part(file);
    if (part.columns.size() != place.columns.size()) {
      fail(ExitCode::usage, "--replace {}={}: a module for {}; expected one for {} output{}", name, file.string(),
           human_list(part.identity().set.outputs, "output", "outputs"), place.columns.size(),
           place.columns.size() == 1 ? "" : "s");
    }
    part.name = place.name;
    part.key = place.key;
    part.columns = place.columns;
    place = std::move(part);
  }
  const std::set<std::string> removed(options.remove.begin(), options.remove.end());
  for (const std::string& name : removed) {
    if (replaced.contains(name)) {
      fail(ExitCode::usage, "--remove {}: --replace names this column too; expected one of the two", name);
    }
    remove_columns(parts, name);
  }
  std::erase_if(parts, [](const Part& part) { return part.columns.empty(); });
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
  std::vector<JoinedColumn*> columns;
  for (Part& part : parts) {
    for (JoinedColumn& column : part.columns)
      columns.push_back(&column);
  }
  if (names.size() != columns.size()) {
    fail(ExitCode::usage, "--names: {} name{}; expected {}, one for each {}", names.size(),
         names.size() == 1 ? "" : "s", columns.size(), columns.size() == parts.size() ? "module" : "column");
  }
  std::set<std::string> different;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (names[i].empty()) fail(ExitCode::usage, "--names: name {} is empty; expected some text", i + 1);
    if (!different.insert(names[i]).second) {
      fail(ExitCode::usage, "--names: '{}' is given twice; expected different names", names[i]);
    }
    columns[i]->name = names[i];
  }
  for (Part& part : parts) {
    if (part.identity().set.name.empty()) part.name = part.columns[0].name;
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
