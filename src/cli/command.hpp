#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "incite/decompose.hpp"
#include "incite/options.hpp"
#include "incite/progress.hpp"

namespace incite::cli {

/// Options of every verb.
struct CommonOptions {
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  std::filesystem::path json_file = {};          // empty: none
  int threads = 0;                               // 0: OMP_NUM_THREADS, else one per core
  std::vector<std::string> shown_warnings = {};  // those already shown on stderr while the verb ran
};

// Each adds a verb to the application, with a callback that runs it.
void add_inspect(CLI::App& app, CommonOptions& common);
void add_decompose(CLI::App& app, CommonOptions& common);
void add_compose(CLI::App& app, CommonOptions& common);
void add_evaluate(CLI::App& app, CommonOptions& common);

void add_common_options(CLI::App& verb, CommonOptions& common);

/// Sets up logging and threads from the common options.
void apply(const CommonOptions& common);
/// A progress callback for the terminal. It also shows warnings, and throws Error (interrupted) once the user stops
/// the program.
Progress make_progress(CommonOptions& common);
/// Shows a warning on stderr, unless --quiet is given, and records it in `common`.
void show_warning(CommonOptions& common, const std::string& warning);
/// Writes text to stdout. Throws Error (output) if that fails.
void print_to_stdout(const std::string& text);
/// Writes a result to stdout: with --json the document, else, without --quiet, the table. Warnings that were not shown
/// before follow the table; the document contains all of them. With --json-file, writes the document to a file first.
/// Throws Error (output).
void print(const CommonOptions& common, const std::string& json, const std::string& table,
           const std::vector<std::string>& warnings = {});

/// Adds the option --format: what kind of file to write.
void add_format_option(CLI::App& verb, std::string& value);

/// Adds the option --input-layout; `otherwise` is appended to its help.
void add_layout_option(CLI::App& verb, std::string& value, const std::string& otherwise = {});
/// The layout with this name; unset for an empty name.
std::optional<InputLayout> parse_layout(const std::string& name);

/// Adds an option that takes one of `names`.
CLI::Option* choice(CLI::App& verb, const std::string& flag, std::string& value, const std::vector<std::string>& names,
                    const std::string& help, const std::string& group);

}  // namespace incite::cli
