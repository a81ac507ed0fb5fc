#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "incite/decompose.hpp"
#include "incite/options.hpp"
#include "incite/progress.hpp"

namespace incite::cli {

/// Options that every verb has.
struct CommonOptions {
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  int threads = 0;                               // 0: as many as there are cores
  std::vector<std::string> shown_warnings = {};  // on stderr, while the verb ran
};

// A verb's set-up: adds it to the application, and a callback that runs it.
void add_inspect(CLI::App& app, CommonOptions& common);
void add_decompose(CLI::App& app, CommonOptions& common);
void add_compose(CLI::App& app, CommonOptions& common);
void add_evaluate(CLI::App& app, CommonOptions& common);

void add_common_options(CLI::App& verb, CommonOptions& common);

/// Sets logging and threads as the common options say.
void apply(const CommonOptions& common);
/// A progress callback for the terminal, which also shows warnings and stops the run when the user does.
Progress make_progress(CommonOptions& common);
/// Shows a warning on stderr, unless all is to be quiet, and notes it in `common`.
void show_warning(CommonOptions& common, const std::string& warning);
/// Writes text to stdout. Throws Error (output) where it can't.
void print_to_stdout(const std::string& text);
/// Writes a result to stdout: the document, or the table unless all is to be quiet. Under the table stand the warnings
/// that were not shown before; the document has them all.
void print(const CommonOptions& common, const std::string& json, const std::string& table,
           const std::vector<std::string>& warnings = {});

/// Adds the option --input-layout; `otherwise` is added to its help.
void add_layout_option(CLI::App& verb, std::string& value, const std::string& otherwise = {});
/// The layout of such a name; none for no name.
std::optional<InputLayout> parse_layout(const std::string& name);

/// Adds an option that takes one of some names.
CLI::Option* choice(CLI::App& verb, const std::string& flag, std::string& value, const std::vector<std::string>& names,
                    const std::string& help, const std::string& group);

}  // namespace incite::cli
