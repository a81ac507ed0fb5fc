#include <ATen/Parallel.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "command.hpp"
#include "incite/base/error.hpp"
#include "progress_bar.hpp"
#include "text.hpp"

namespace incite::cli {

void add_common_options(CLI::App& verb, CommonOptions& common) {
  verb.add_flag("--json", common.json, "Print one JSON document to stdout in place of the table")->group("Output");
  verb.add_flag("-q,--quiet", common.quiet, "Print errors only")->group("Output")->excludes("--json");
  verb.add_flag("-v,--verbose", common.verbose, "Log what is done to stderr")->group("Output");
  verb.add_option("--threads", common.threads,
                  "CPU threads, 1 to 1024; default: as OMP_NUM_THREADS says, else one for each core")
      ->check(in_range(1, 1024, true, "1 to 1024 threads"))
      ->group("Machine");
}

void add_model_options(CLI::App& verb, ModelOptions& options, DataArguments& arguments) {
  verb.add_option("model", options.model, "The trained model, a TorchScript file")->required()->type_name("MODEL.pt");
  verb.add_option("-d,--data", options.data.file, "Samples and targets, a NumPy archive")
      ->required()
      ->type_name("FILE.npz")
      ->group("Data");
  verb.add_option("--input-key", options.data.input_key,
                  "Array of samples in the archive; for a model of several inputs their arrays, in the order of "
                  "forward's arguments, such as image,mask")
      ->capture_default_str()
      ->type_name("NAMES")
      ->group("Data");
  verb.add_option("--target-key", options.data.target_key,
                  "Array of targets: class labels [N], one-hot [N, K], or values [N, K]; without it the model's own "
                  "outputs serve")
      ->capture_default_str()
      ->type_name("NAME")
      ->group("Data");
  verb.add_option("--input-scale", arguments.input_scale,
                  "Factor on inputs that are given as float32; auto: 1/255 for uint8, 1 for other types")
      ->capture_default_str()
      ->type_name("NUMBER|auto")
      ->group("Data");
  verb.add_option("--input-shape", arguments.input_shape,
                  "Shape of one sample, such as 1,28,28, for a model of one input; default: as in the archive")
      ->delimiter(',')
      ->type_name("SIZES")
      ->group("Data");
  add_layout_option(verb, arguments.input_layout);
  verb.add_option(
          "--output", options.output,
          "Which tensor of a tuple, list or dict that the model returns, such as logits, 0 or 0.logits; default: "
          "the only one of shape [N, K]")
      ->type_name("NAME|INDEX")
      ->group("Data");
  verb.add_option("--device", options.device, "cpu, cuda or cuda:INDEX")
      ->capture_default_str()
      ->type_name("DEVICE")
      ->group("Machine");
}

void finish_data_options(const DataArguments& arguments, DatasetOptions& options) {
  options.input_scale = parse_scale(arguments.input_scale);
  options.input_shape = arguments.input_shape;
  options.input_layout = *parse_layout(arguments.input_layout);
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
  std::string list;
  for (const std::string& name : names)
    list += (list.empty() ? "" : "|") + name;
  auto check = CLI::Validator(
      [names, list](std::string& text) -> std::string {
        if (std::find(names.begin(), names.end(), text) != names.end()) return {};
        return fmt::format("{}: expected {}", text, list);
      },
      "");
  return verb.add_option(flag, value, help)->check(check)->capture_default_str()->type_name(list)->group(group);
}

void add_layout_option(CLI::App& verb, std::string& value, const std::string& otherwise) {
  choice(verb, "--input-layout", value, {to_string(InputLayout::as_stored), to_string(InputLayout::nhwc)},
         "Axes of images in the archive; nhwc: channels come last, and the model is given [N, C, H, W]" + otherwise,
         "Data");
}

std::optional<InputLayout> parse_layout(const std::string& name) {
  if (name.empty()) return std::nullopt;
  return named<InputLayout>(name, {InputLayout::as_stored, InputLayout::nhwc});
}

CLI::Validator in_range(double low, double high, bool low_allowed, const std::string& expected) {
  CLI::Validator validator(
      [=](std::string& text) -> std::string {
        double value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool number = error == std::errc() && end == text.data() + text.size();
        if (number && value <= high && (value > low || (low_allowed && value == low))) return {};
        return fmt::format("{}: expected {}", text, expected);
      },
      "");
  return validator;
}

int64_t parse_count(const std::string& option, const std::string& text, const std::string& word) {
  if (text == word) return 0;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= 1) return value;
  fail(ExitCode::usage, "{} {}: expected {} or a whole number of 1 or more", option, text, word);
}

std::optional<double> parse_scale(const std::string& text) {
  if (text == "auto") return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value != 0) return value;
  fail(ExitCode::usage, "--input-scale {}: expected auto or a number other than 0", text);
}

}  // namespace incite::cli
