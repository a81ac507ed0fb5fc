#include <spdlog/spdlog.h>

#include "command.hpp"
#include "incite/base/error.hpp"
#include "incite/report/json.hpp"
#include "incite/report/table.hpp"

namespace incite::cli {
namespace {

struct Arguments {
  DecomposeOptions options;
  DataArguments data;
  std::string test_file, test_input_key, test_target_key;
  std::string task = "auto";
  std::string metric = "auto";
  std::string clustering = "kmeans";
  std::string cluster_size = "auto";
  std::string samples = "auto";
  double agreement = 0.99;
  std::string repair = "least-squares";
  std::string head = "lbfgs";
  std::string allocation = "global";
  std::string calibration = "layers";
  std::string outputs = "all";
  std::string preset;
  uint64_t memory = 0;
};

void add_data_options(CLI::App& verb, Arguments& a) {
  verb.add_option("--test", a.test_file, "Data to evaluate on; default: a held-out part of --data")
      ->type_name("FILE.npz")
      ->group("Data");
  verb.add_option("--test-input-key", a.test_input_key, "Arrays of samples in the test data; default: as --input-key")
      ->type_name("NAMES")
      ->group("Data");
  verb.add_option("--test-target-key", a.test_target_key, "Array of targets in the test data; default: as --target-key")
      ->type_name("NAME")
      ->group("Data");
  verb.add_option("--held-out", a.options.held_out,
                  "Share of --data to evaluate on where there is no --test, above 0 and below 1")
      ->check(in_range(0, 0.999999, false, "a share above 0 and below 1"))
      ->capture_default_str()
      ->type_name("SHARE")
      ->group("Data");
  choice(verb, "--task", a.task, {"auto", "classification", "regression"},
         "What the model does; auto: told from the target", "Data");
  verb.add_option("--outputs", a.outputs, "Outputs to make modules for, such as 0,3")
      ->capture_default_str()
      ->type_name("LIST|all")
      ->group("Data");
}

/// What the modules are to be.
void add_wish_options(CLI::App& verb, Arguments& a) {
  verb.add_option("--target-compression", a.options.target_compression,
                  "How many times smaller than the model each module is to be, by parameters; default: " +
                      fmt::format("{:g}", default_compression))
      ->check(in_range(1, 1e9, true, "a number of 1 or more"))
      ->type_name("NUMBER")
      ->group("Size");
  verb.add_option(
          "--max-loss", a.options.max_loss,
          "Find the smallest modules that lose no more on samples set apart: points of combined accuracy (of one "
          "module: balanced accuracy), or per cent of mean absolute error")
      ->check(in_range(0, 1e9, true, "0 or more"))
      ->type_name("POINTS")
      ->group("Size");
  verb.add_option("--keep", a.options.keep,
                  "Share of each group's clusters that a module keeps, above 0 and up to 1 (the paper: 0.6)")
      ->check(in_range(0, 1, false, "a share above 0 and up to 1"))
      ->type_name("SHARE")
      ->group("Size");
  choice(verb, "--allocation", a.allocation, {"global", "uniform"},
         "How the size is divided: global: all clusters compete by contribution per parameter; uniform: the same share "
         "of each group's clusters",
         "Size");
}

void add_method_options(CLI::App& verb, Arguments& a) {
  choice(verb, "--preset", a.preset, {"paper"},
         "paper: the published method (flips, agglomerative clusters of 10, keep 0.6, no repair, head by Adam); "
         "options given "
         "beside it win",
         "Method");
  choice(verb, "--metric", a.metric, {"auto", "probability", "flips", "absolute", "random", "magnitude"},
         "What a mutant's effect is measured by; auto: probability, absolute for regression; random and magnitude (of "
         "weights) are baselines that run no mutants",
         "Method");
  verb.add_option("--factors", a.options.factors,
                  "Factors that mutants multiply weights and biases by; 0 removes the units")
      ->check(in_range(-1e6, 1e6, true, "numbers from -1e6 to 1e6"))
      ->delimiter(',')
      ->default_str("0")
      ->type_name("NUMBERS")
      ->group("Method");
  choice(verb, "--clustering", a.clustering, {"kmeans", "agglomerative", "none"},
         "How units are put together to be mutated as one", "Method");
  verb.add_option("--cluster-size", a.cluster_size,
                  "Mean units a cluster, 1 or more; auto: a 64th of the group, 1 to 10")
      ->capture_default_str()
      ->type_name("UNITS|auto")
      ->group("Method");
  verb.add_option(
          "--samples", a.samples,
          "Samples to score: all, COUNT, or auto: until more would not change what modules keep. Not all: most of "
          "them where the model is uncertain")
      ->capture_default_str()
      ->type_name("auto|all|COUNT")
      ->group("Method");
  verb.add_option("--agreement", a.agreement,
                  "For --samples auto: how well what a group keeps must agree with what it would keep by all samples")
      ->check(in_range(0, 1, false, "a share above 0 and up to 1"))
      ->capture_default_str()
      ->type_name("SHARE")
      ->group("Method");
  verb.add_option("--scores", a.options.scores,
                  "scores.npz of an earlier run on the same model and data (--keep-scores), to score no more")
      ->type_name("FILE.npz")
      ->group("Method");
  choice(verb, "--repair", a.repair, {"none", "mean", "least-squares"},
         "How what stays is refitted to the original's pre-activations: mean: biases alone; none with --head original, "
         "unless given",
         "Method");
  choice(verb, "--head", a.head, {"lbfgs", "adam", "original"},
         "How a module's output layer is made; original: the model's own, all outputs, with its inputs cut", "Method");
  choice(verb, "--calibration", a.calibration, {"layers", "heads", "scales", "none"},
         "How the modules are made comparable: layers: their heads, and then their last hidden layers too, are fitted "
         "once more, all together; heads: the heads alone; scales: a scale and an offset for each",
         "Method");
  verb.add_option(
          "--finetune", a.options.finetune,
          "Train the modules for up to so many epochs, on the labels and the original's probabilities; the best "
          "is kept")
      ->check(in_range(0, 1e6, true, "0 or more epochs"))
      ->capture_default_str()
      ->type_name("EPOCHS")
      ->group("Method");
  verb.add_option("--epochs", a.options.epochs, "Most epochs of --head adam, 1 or more")
      ->check(in_range(1, 1e9, true, "1 or more epochs"))
      ->capture_default_str()
      ->type_name("COUNT")
      ->group("Method");
  verb.add_option("--seed", a.options.seed, "Seed of all random choices, 0 to 2^53")
      ->check(in_range(0, 0x1p53, true, "a whole number from 0 to 2^53"))  // what JSON holds exactly
      ->capture_default_str()
      ->type_name("NUMBER")
      ->group("Method");
}

/// The paper's preset, where the user said nothing else.
void apply_preset(const CLI::App& verb, Arguments& a) {
  if (a.preset.empty()) return;
  const auto set = [&](const char* flag, std::string& value, const char* preset) {
    if (verb.get_option(flag)->count() == 0) value = preset;
  };
  a.options.classification_metric = Metric::flips;
  if (verb.get_option("--factors")->count() == 0) a.options.factors = {1.1, 0.9, 0.0};
  set("--clustering", a.clustering, "agglomerative");
  set("--cluster-size", a.cluster_size, "10");
  set("--calibration", a.calibration, "none");
  const bool wished = verb.get_option("--keep")->count() + verb.get_option("--target-compression")->count() +
                          verb.get_option("--max-loss")->count() >
                      0;
  if (!wished) a.options.keep = 0.6;
  set("--repair", a.repair, "none");
  set("--head", a.head, "adam");
}

std::vector<int64_t> parse_outputs(const std::string& text) {
  std::vector<int64_t> outputs;
  if (text == "all") return outputs;
  for (const std::string& part : CLI::detail::split(text, ',')) {
    if (part.empty() || part.find_first_not_of("0123456789") != std::string::npos || part.size() > 9) {
      fail(ExitCode::usage, "--outputs {}: expected all, or numbers of outputs such as 0,3", text);
    }
    outputs.push_back(std::stoll(part));
  }
  return outputs;
}

void finish(const CLI::App& verb, Arguments& a) {
  apply_preset(verb, a);
  DecomposeOptions& options = a.options;
  finish_data_options(a.data, options.data);
  options.data.target_required = verb.get_option("--target-key")->count() > 0;
  if (!a.test_file.empty()) {
    options.test = options.data;
    options.test->file = a.test_file;
    if (!a.test_input_key.empty()) options.test->input_key = a.test_input_key;
    if (!a.test_target_key.empty()) options.test->target_key = a.test_target_key;
  }
  if (a.task != "auto") options.task = named<Task>(a.task, {Task::classification, Task::regression});
  if (a.metric != "auto") {
    options.metric = named<Metric>(
        a.metric, {Metric::probability, Metric::flips, Metric::absolute, Metric::random, Metric::magnitude});
  }
  options.allocation = named<Allocation>(a.allocation, {Allocation::global, Allocation::uniform});
  if (options.keep && a.allocation == "global" && verb.get_option("--allocation")->count() > 0) {
    fail(ExitCode::usage,
         "--allocation global has no use for --keep, a share of each group; pass --target-compression");
  }
  options.calibration =
      a.head == "original"
          ? CalibrationMethod::none
          : named<CalibrationMethod>(a.calibration, {CalibrationMethod::none, CalibrationMethod::scales,
                                                     CalibrationMethod::heads, CalibrationMethod::layers});
  options.clustering = named<ClusteringMethod>(
      a.clustering, {ClusteringMethod::kmeans, ClusteringMethod::agglomerative, ClusteringMethod::none});
  if (a.head == "original" && verb.get_option("--repair")->count() == 0) a.repair = "none";
  options.repair = named<RepairMethod>(a.repair, {RepairMethod::none, RepairMethod::mean, RepairMethod::least_squares});
  options.head = named<HeadMethod>(a.head, {HeadMethod::lbfgs, HeadMethod::adam, HeadMethod::original});
  options.cluster_size = parse_count("--cluster-size", a.cluster_size, "auto");
  options.agreement.reset();
  if (a.samples == "auto") {
    options.agreement = a.agreement;
  } else {
    if (verb.get_option("--agreement")->count() > 0) {
      fail(ExitCode::usage, "--agreement is for --samples auto; not for --samples {}", a.samples);
    }
    options.samples = parse_count("--samples", a.samples, "all");
  }
  options.outputs = parse_outputs(a.outputs);
  if (verb.get_option("--memory")->count() > 0 && (a.memory == 0 || a.memory > INT64_MAX)) {
    fail(ExitCode::usage, "--memory: expected a size above 0, such as 2GB");  // CLI11 turns -1 into 2^64 - 1
  }
  options.memory = static_cast<int64_t>(a.memory);
}

/// A user who stops the program is told where to go on.
Decomposition run(const DecomposeOptions& options, const Progress& progress) {
  try {
    return decompose(options, progress);
  } catch (const Error& error) {
    if (error.code() != ExitCode::interrupted || !has_checkpoint(options.out)) throw;
    fail(ExitCode::interrupted,
         "stopped; no module was written. What was done so far is kept, {} in checkpoint*: go on with --resume",
         human_bytes(checkpoint_bytes(options.out)));
  }
}

}  // namespace

void add_decompose(CLI::App& app, CommonOptions& common) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("decompose", "Take a model apart into one small module for each of its outputs");
  add_model_options(*verb, arguments->options, arguments->data);
  add_data_options(*verb, *arguments);
  add_wish_options(*verb, *arguments);
  add_method_options(*verb, *arguments);
  verb->add_option("-o,--out", arguments->options.out, "Folder for the modules and decomposition.json")
      ->required()
      ->type_name("FOLDER")
      ->group("Output");
  verb->add_flag("--force", arguments->options.force, "Replace a decomposition that is already in the folder")
      ->group("Output");
  verb->add_flag("--resume", arguments->options.resume, "Go on from where a run with the same options was stopped")
      ->group("Output");
  verb->add_flag("--keep-scores", arguments->options.keep_scores, "Keep the scores too, in scores.npz, for --scores")
      ->group("Output");
  add_common_options(*verb, common);
  verb->add_option("--memory", arguments->memory, "Memory for activations, such as 2GB; default: half of what is free")
      ->transform(CLI::AsSizeValue(false).description(""))
      ->type_name("BYTES")
      ->group("Machine");
  verb->add_flag(
          "--tf32", arguments->options.tf32,
          "Let a GPU score with TF32 products, of factors rounded to ten bits: faster where there are convolutions")
      ->group("Machine");
  verb->callback([arguments, verb, &common] {
    apply(common);
    finish(*verb, *arguments);
    const DecomposeOptions& options = arguments->options;
    spdlog::info("{}: samples from array '{}' of {}, targets from '{}'", options.model.string(), options.data.input_key,
                 options.data.file.string(), options.data.target_key);
    const Decomposition result = run(options, make_progress(common));
    spdlog::info("scoring: {} mutants, chunks of {} samples, batches of at most {} mutants, {:.3g} multiply-adds",
                 result.scoring.mutants, result.scoring.chunk, result.scoring.batch, result.scoring.multiply_adds);
    spdlog::info("{}: {} modules written", options.out.string(), result.modules.size());
    if (result.scores_bytes) spdlog::info("scores.npz: {}", human_bytes(*result.scores_bytes));
    print(common, to_json(result), to_table(result), result.warnings);
  });
}

}  // namespace incite::cli
