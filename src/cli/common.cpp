#include <ATen/Parallel.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "base/fail.hpp"
#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/progress_bar.hpp"
#include "cli/text.hpp"
#include "store/files.hpp"

namespace incite::cli {
namespace {

void write_document(const std::filesystem::path& file, const std::string& json) {
  if (!file.has_filename())
    fail(ExitCode::output, "--json-file {}: not the name of a file; expected one such as result.json", file.string());
  StagedFiles files(file.has_parent_path() ? file.parent_path() : ".");
  files.write(file.filename().string(), json);
  files.commit();
}

}  // namespace

void add_common_options(CLI::App& verb, CommonOptions& common) {
  verb.add_flag("--json", common.json, "Print one JSON document to stdout instead of the table")->group("Output");
  verb.add_option("--json-file", common.json_file, "Also write the JSON document to FILE")
      ->type_name("FILE")
      ->group("Output");
  verb.add_flag("-q,--quiet", common.quiet, "Print errors only")->group("Output")->excludes("--json");
  verb.add_flag("-v,--verbose", common.verbose, "Log each stage to stderr")->group("Output");
  verb.add_option("--threads", common.threads,
                  "CPU threads, 1 to 1024; default: OMP_NUM_THREADS if it is set, else one per core")
      ->check(in_range({1, 1024, true, "1 to 1024 threads"}))
      ->group("Machine");
}

void apply(const CommonOptions& common) {
  auto logger = spdlog::stderr_color_mt("incite");
  logger->set_pattern("%^%l%$: %v");
  spdlog::set_default_logger(std::move(logger));
  spdlog::set_level(common.quiet ? spdlog::level::err : common.verbose ? spdlog::level::info : spdlog::level::warn);
  const unsigned int cores = std::max(std::thread::hardware_concurrency(), 1U);
  if (common.threads > 0) {
    at::set_num_threads(common.threads);
  } else if (std::getenv("OMP_NUM_THREADS") == nullptr) {
    at::set_num_threads(static_cast<int>(cores));
  }
}

void show_warning(CommonOptions& common, const std::string& warning) {
  common.shown_warnings.push_back(warning);
  if (common.quiet) return;
  std::cerr << wrapped("warning: " + warning, columns_of(STDERR_FILENO)) << std::endl;
}

Progress make_progress(CommonOptions& common) {
  return [bar = std::make_shared<ProgressBar>(!common.quiet), stage = std::string(),
          &common](const ProgressEvent& event) mutable {
    if (!event.warning.empty()) {
      bar->clear();
      return show_warning(common, event.warning);
    }
    if (!event.note.empty()) {
      bar->clear();
      if (!common.quiet && (event.important || common.verbose))
        std::cerr << wrapped(event.note, columns_of(STDERR_FILENO)) << std::endl;
      return;
    }
    if (event.stage != stage) {
      stage = event.stage;
      spdlog::info("{}: {} {}", stage, event.total, event.unit);
    }
    bar->show(event);
    if (interrupted()) fail(ExitCode::interrupted, "stopped; nothing was written");
  };
}

void print(const CommonOptions& common, const std::string& json, const std::string& table,
           const std::vector<std::string>& warnings) {
  if (!common.json_file.empty()) write_document(common.json_file, json);
  std::string text;
  if (common.json) {
    text = json;
  } else if (!common.quiet) {
    text = table;
    const std::vector<std::string>& shown = common.shown_warnings;
    for (const std::string& warning : warnings) {
      if (std::find(shown.begin(), shown.end(), warning) == shown.end()) text += "warning: " + warning + "\n";
    }
    text = wrapped(text, columns_of(STDOUT_FILENO));
  }
  print_to_stdout(text);
}

void print_to_stdout(const std::string& text) {
  std::cout << text;
  std::cout.flush();
  if (!std::cout) fail(ExitCode::output, "stdout: the result can't be written");
}

CLI::Option* choice(CLI::App& verb, const std::string& flag, std::string& value, const std::vector<std::string>& names,
                    const std::string& help, const std::string& group) {
  return verb.add_option(flag, value, help)
      ->check(one_of(names))
      ->capture_default_str()
      ->type_name(list_of(names))
      ->group(group);
}

void add_layout_option(CLI::App& verb, std::string& value, const std::string& otherwise) {
  choice(verb, "--input-layout", value, {to_string(InputLayout::as_stored), to_string(InputLayout::nhwc)},
         "Order of image axes in the archive; nhwc: channels last, passed to the model as [N, C, H, W]" + otherwise,
         "Data");
}

void add_format_option(CLI::App& verb, std::string& value) {
  choice(verb, "--format", value, {to_string(FileFormat::torchscript), to_string(FileFormat::pt2)},
         "What to write; torchscript: a file for torch.jit.load; pt2: an exported program, for torch.export.load; "
         "default: torchscript",
         "Output");
}

std::optional<InputLayout> parse_layout(const std::string& name) {
  if (name.empty()) return std::nullopt;
  return named<InputLayout>(name);
}

}  // namespace incite::cli
