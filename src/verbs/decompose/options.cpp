#include "verbs/decompose/options.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/fail.hpp"
#include "verbs/decompose/sets.hpp"

namespace incite {
namespace {

using Options = DecomposeOptions;
using Text = std::string;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

std::vector<std::string> parts_of(const Text& text) {
  std::vector<std::string> parts;
  for (size_t first = 0;;) {
    const size_t comma = text.find(',', first);
    parts.push_back(text.substr(first, comma - first));
    if (comma == std::string::npos) return parts;
    first = comma + 1;
  }
}

template <typename Value>
std::optional<Value> number_in(const Text& text) {
  Value value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// A number whose range the command line has checked; NaN for any other text.
double number(const Text& text) {
  return number_in<double>(text).value_or(nan);
}

int64_t whole(const char* option, const Text& text) {
  if (const auto value = number_in<int64_t>(text)) return *value;
  fail(ExitCode::usage, "{} {}: expected a whole number", option, text);
}

/// A word that stands for 0, or a whole number of 1 or more.
int64_t count(const char* option, const Text& text, const char* word) {
  if (text == word) return 0;
  if (const auto value = number_in<int64_t>(text); value && *value >= 1) return *value;
  fail(ExitCode::usage, "{} {}: expected {} or a whole number of 1 or more", option, text, word);
}

void set_outputs(Options& o, const Text& text) {
  o.outputs.clear();
  o.present = text == "present";
  if (o.present || text == "all") return;
  const auto outputs = parse_outputs(text);
  if (!outputs) fail(ExitCode::usage, "--outputs {}: expected all, present, or numbers of outputs such as 0,3-7", text);
  o.outputs = *outputs;
}

template <typename Enum>
OneOf names(std::vector<std::string> first = {}) {
  for (const auto& [value, name] : names_of(Enum{}))
    first.emplace_back(name);
  return {std::move(first)};
}

template <typename Enum>
Enum value_named(const Text& text) {
  const std::optional<Enum> value = named<Enum>(text);
  if (!value) throw std::logic_error("a name that the command line should have refused: " + text);
  return *value;
}

template <typename Enum>
std::optional<Enum> value_named_or_auto(const Text& text) {
  return text == "auto" ? std::nullopt : std::optional(value_named<Enum>(text));
}

/// The number in the size that was asked for, if it is of this kind; else NaN.
template <typename Wanted, typename Member>
double size_of(const Settled& s, Member member) {
  const auto* size = std::get_if<Wanted>(&s.options.size);
  return size == nullptr ? nan : size->*member;
}

std::string name_of(auto value) {
  return to_string(value);
}

Number range(double low, double high, bool low_allowed, const char* expected) {
  return {low, high, low_allowed, expected};
}

std::vector<Option> all_options() {
  return {
      {.name = "model",
       .group = "",
       .help = "The trained model, a TorchScript or .pt2 file",
       .takes = AnyText{},
       .type = "MODEL.pt",
       .affects = Affects::nothing,  // keys have its SHA-256
       .set = [](Options& o, const Text& text) { o.model = text; },
       .of_inspect = true},
      {.name = "data",
       .group = "Data",
       .help = "Samples and targets in a NumPy archive",
       .takes = AnyText{},
       .type = "FILE.npz",
       .affects = Affects::nothing,  // keys have its SHA-256
       .set = [](Options& o, const Text& text) { o.data.file = text; },
       .of_inspect = true},
      {.name = "task",
       .group = "Data",
       .help = "Task of the model; auto: inferred from the targets, or from the outputs if there are no targets",
       .takes = names<Task>({"auto"}),
       .initial = "auto",
       .affects = Affects::scores,
       .set = [](Options& o, const Text& text) { o.task = value_named_or_auto<Task>(text); },
       .value = [](const Settled& s) -> Setting::second_type { return name_of(*s.options.task); },
       .of_inspect = true},
      {.name = "input-key",
       .group = "Data",
       .help = "Name of the array of samples; for a model with several inputs, their arrays in the order of forward's "
               "arguments, such as image,mask",
       .takes = AnyText{},
       .type = "NAMES",
       .initial = "x",
       .affects = Affects::scores,
       .set = [](Options& o, const Text& text) { o.data.input_key = text; },
       .value = [](const Settled& s) -> Setting::second_type { return s.options.data.input_key; },
       .of_inspect = true},
      {.name = "target-key",
       .group = "Data",
       .help = "Name of the array of targets: class labels [N], one-hot rows [N, K] or values [N, K]; without targets, "
               "the model's own outputs serve as targets",
       .takes = AnyText{},
       .type = "NAME",
       .initial = "y",
       .affects = Affects::scores,
       .set =
           [](Options& o, const Text& text) {
             o.data.target_key = text;
             o.data.target_required = true;
           },
       .value = [](const Settled& s) -> Setting::second_type { return s.options.data.target_key; },
       .of_inspect = true},
      {.name = "input-scale",
       .group = "Data",
       .help = "Factor for inputs that are passed as float32; auto: 1/255 for uint8, 1 for other types",
       .takes = AnyText{},
       .type = "NUMBER|auto",
       .initial = "auto",
       .affects = Affects::scores,
       .set = [](Options& o, const Text& text) { o.data.input_scale = parse_scale(text); },
       .value = [](const Settled& s) -> Setting::second_type { return s.input_scale.value_or(nan); },
       .unset = "auto",
       .of_inspect = true},
      {.name = "input-shape",
       .group = "Data",
       .help = "Shape of one sample, such as 1,28,28, for a model with one input; default: as in the archive",
       .takes = Sizes{},
       .type = "SIZES",
       .affects = Affects::scores,
       .set =
           [](Options& o, const Text& text) {
             o.data.input_shape.clear();
             for (const Text& part : parts_of(text))
               o.data.input_shape.push_back(whole("--input-shape", part));
           },
       .value = [](const Settled& s) -> Setting::second_type { return s.options.data.input_shape; },
       .of_inspect = true},
      {.name = "input-layout",
       .group = "Data",
       .help = "Order of image axes in the archive; nhwc: channels last, passed to the model as [N, C, H, W]",
       .takes = names<InputLayout>(),
       .initial = "as-stored",
       .affects = Affects::scores,
       .set = [](Options& o, const Text& text) { o.data.input_layout = value_named<InputLayout>(text); },
       .value = [](const Settled& s) -> Setting::second_type { return name_of(s.options.data.input_layout); },
       .of_inspect = true},
      {.name = "output",
       .group = "Data",
       .help = "Tensor to use if the model returns a tuple, list or dict, such as logits, 0 or 0.logits; default: the "
               "only one of shape [N, K]",
       .takes = AnyText{},
       .type = "NAME|INDEX",
       .affects = Affects::scores,
       .set = [](Options& o, const Text& text) { o.output = text; },
       .value = [](const Settled& s) -> Setting::second_type { return s.options.output; },
       .of_inspect = true},
      {.name = "test",
       .group = "Data",
       .help = "Samples and targets to evaluate on; default: a held-out part of --data",
       .takes = AnyText{},
       .type = "FILE.npz",
       .affects = Affects::scores,  // by held-out, which is 0 then
       .set =
           [](Options& o, const Text& text) {
             if (!o.test) o.test = o.data;  // all but the file is as for --data
             o.test->file = text;
           }},
      {.name = "test-input-key",
       .group = "Data",
       .help = "Names of the arrays of samples in --test; default: as in --input-key",
       .takes = AnyText{},
       .type = "NAMES",
       .affects = Affects::nothing,
       .set =
           [](Options& o, const Text& text) {
             if (o.test) o.test->input_key = text;
           }},
      {.name = "test-target-key",
       .group = "Data",
       .help = "Name of the array of targets in --test; default: as in --target-key",
       .takes = AnyText{},
       .type = "NAME",
       .affects = Affects::nothing,
       .set =
           [](Options& o, const Text& text) {
             if (o.test) o.test->target_key = text;
           }},
      {.name = "metric",
       .group = "Research",
       .help =
           "Measure of a mutant's effect; auto: probability for classification, absolute for regression; random and "
           "magnitude (of weights) are baselines that run no mutants",
       .takes = names<Metric>({"auto"}),
       .initial = "auto",
       .affects = Affects::scores,
       .set = [](Options& o, const Text& text) { o.metric = value_named_or_auto<Metric>(text); },
       .value = [](const Settled& s) -> Setting::second_type { return name_of(*s.options.metric); }},
      {.name = "scoring",
       .group = "Method",
       .help =
           "How the effects of mutants are found; mutation: each runs; gradient: they are estimated, by one backward "
           "pass for each output; auto: mutants run unless they take over 5 times the multiply-adds",
       .takes = names<Scoring>({"auto"}),
       .initial = "auto",
       .affects = Affects::scores,
       .set = [](Options& o, const Text& text) { o.scoring = value_named_or_auto<Scoring>(text); },
       .value = [](const Settled& s) -> Setting::second_type {
         return s.options.scoring ? name_of(*s.options.scoring) : "auto";
       }},
      {.name = "factors",
       .group = "Research",
       .help = "Factors by which mutants multiply weights and biases; 0 removes the units",
       .takes = Numbers{range(-1e6, 1e6, true, "numbers from -1e6 to 1e6")},
       .type = "NUMBERS",
       .initial = "0",
       .affects = Affects::scores,
       .set =
           [](Options& o, const Text& text) {
             o.factors.clear();
             for (const Text& part : parts_of(text))
               o.factors.push_back(number(part));
           },
       .value = [](const Settled& s) -> Setting::second_type { return s.options.factors; }},
      {.name = "clustering",
       .group = "Research",
       .help = "How units are grouped into clusters, which are mutated as one",
       .takes = names<ClusteringMethod>(),
       .initial = "kmeans",
       .affects = Affects::scores,
       .set = [](Options& o, const Text& text) { o.clustering = value_named<ClusteringMethod>(text); },
       .value = [](const Settled& s) -> Setting::second_type { return name_of(s.options.clustering); }},
      {.name = "cluster-size",
       .group = "Research",
       .help = "Mean number of units in a cluster, 1 or more; auto: 1/64 of the group, from 1 to 10",
       .takes = AnyText{},
       .type = "UNITS|auto",
       .initial = "auto",
       .affects = Affects::scores,
       .set = [](Options& o, const Text& text) { o.cluster_size = count("--cluster-size", text, "auto"); },
       .value = [](const Settled& s) -> Setting::second_type { return s.options.cluster_size; }},
      {.name = "keep",
       .group = "Size",
       .help = "Share of each group's clusters that a module keeps, above 0 and up to 1 (the paper: 0.6)",
       .takes = range(0, 1, false, "a share above 0 and up to 1"),
       .type = "SHARE",
       .affects = Affects::run,
       .set = [](Options& o, const Text& text) { o.size = Keep{number(text)}; },
       .value = [](const Settled& s) -> Setting::second_type { return size_of<Keep>(s, &Keep::share); }},
      {.name = "target-compression",
       .group = "Size",
       .help = "How many times smaller than the model each module becomes, by parameters; default: " +
               fmt::format("{:g}", default_compression),
       .takes = range(1, 1e9, true, "a number of 1 or more"),
       .type = "NUMBER",
       .affects = Affects::run,
       .set = [](Options& o, const Text& text) { o.size = Compression{number(text)}; },
       .value = [](const Settled& s) -> Setting::second_type { return size_of<Compression>(s, &Compression::times); }},
      {.name = "max-loss",
       .group = "Size",
       .help = "Find the smallest modules that lose at most this much on validation samples: points of combined "
               "accuracy (for a single module, of balanced accuracy), or per cent of mean absolute error",
       .takes = range(0, 1e9, true, "0 or more"),
       .type = "POINTS",
       .affects = Affects::run,
       .set = [](Options& o, const Text& text) { o.size = MaxLoss{number(text)}; },
       .value = [](const Settled& s) -> Setting::second_type { return size_of<MaxLoss>(s, &MaxLoss::most); }},
      {.name = "allocation",
       .group = "Size",
       .help = "How a module's size is divided among the groups; global: all clusters compete by contribution per "
               "parameter; uniform: the same share of each group's clusters",
       .takes = names<Allocation>(),
       .initial = "global",
       .affects = Affects::modules,
       .set = [](Options& o, const Text& text) { o.allocation = value_named<Allocation>(text); },
       .value = [](const Settled& s) -> Setting::second_type { return name_of(s.options.allocation); }},
      {.name = "samples",
       .group = "Method",
       .help = "Number of samples to score, or all; auto: until more would not change what modules keep. Where not all "
               "are scored, most are samples on which the model is uncertain",
       .takes = AnyText{},
       .type = "auto|all|COUNT",
       .initial = "auto",
       .affects = Affects::run,
       .set =
           [](Options& o, const Text& text) {
             if (text == "auto") return;
             o.agreement.reset();
             o.samples = count("--samples", text, "all");
           },
       .value = [](const Settled& s) -> Setting::second_type { return s.options.samples; }},
      {.name = "agreement",
       .group = "Research",
       .help = "For --samples auto: required agreement of what a group keeps with what it would keep after all samples",
       .takes = range(0, 1, false, "a share above 0 and up to 1"),
       .type = "SHARE",
       .initial = "0.99",
       .affects = Affects::run,
       .set = [](Options& o, const Text& text) { o.agreement = number(text); },
       .value = [](const Settled& s) -> Setting::second_type { return s.options.agreement.value_or(nan); },
       .unset = "none"},
      {.name = "scores",
       .group = "Method",
       .help =
           "Use scores.npz of an earlier run on the same model and data (see --keep-scores) instead of scoring again",
       .takes = AnyText{},
       .type = "FILE.npz",
       .affects = Affects::nothing,
       .set = [](Options& o, const Text& text) { o.scores = text; }},
      {.name = "repair",
       .group = "Research",
       .help =
           "How the weights that stay are refitted to the original's pre-activations; mean: only biases. With --head "
           "original, the default is none",
       .takes = names<RepairMethod>(),
       .initial = "least-squares",
       .affects = Affects::modules,
       .set = [](Options& o, const Text& text) { o.repair = value_named<RepairMethod>(text); },
       .value = [](const Settled& s) -> Setting::second_type { return name_of(s.options.repair); }},
      {.name = "head",
       .group = "Method",
       .help =
           "How a module's output layer is made; lbfgs, adam: a new one is fitted; original: the model's own, with all "
           "outputs and the inputs that stay",
       .takes = names<HeadMethod>(),
       .initial = "lbfgs",
       .affects = Affects::modules,
       .set = [](Options& o, const Text& text) { o.head = value_named<HeadMethod>(text); },
       .value = [](const Settled& s) -> Setting::second_type { return name_of(s.options.head); }},
      {.name = "epochs",
       .group = "Research",
       .help = "Maximum number of epochs for --head adam, 1 or more",
       .takes = range(1, 1e9, true, "1 or more epochs"),
       .type = "COUNT",
       .initial = "128",
       .affects = Affects::modules,
       .set = [](Options& o, const Text& text) { o.epochs = whole("--epochs", text); },
       .value = [](const Settled& s) -> Setting::second_type { return s.options.epochs; }},
      {.name = "calibration",
       .group = "Research",
       .help = "How modules are made comparable; layers: all heads are refitted together, then the last hidden layers "
               "with them; heads: only the heads; scales: only a scale and an offset for each module",
       .takes = names<CalibrationMethod>(),
       .initial = "layers",
       .affects = Affects::modules,
       .set = [](Options& o, const Text& text) { o.calibration = value_named<CalibrationMethod>(text); },
       .value = [](const Settled& s) -> Setting::second_type { return name_of(s.options.calibration); }},
      {.name = "finetune",
       .group = "Method",
       .help = "Train the modules for up to this many epochs, on the targets and, for classification, the original's "
               "probabilities; the best epoch is kept",
       .takes = range(0, 1e6, true, "0 or more epochs"),
       .type = "EPOCHS",
       .initial = "0",
       .affects = Affects::modules,
       .set = [](Options& o, const Text& text) { o.finetune = whole("--finetune", text); },
       .value = [](const Settled& s) -> Setting::second_type { return s.options.finetune; }},
      {.name = "outputs",
       .group = "Data",
       .help = "Outputs to make modules for, such as 0,3-7; present: the classes of which the data has samples",
       .takes = AnyText{},
       .type = "LIST|all|present",
       .initial = "all",
       .affects = Affects::modules,
       .set = set_outputs,
       .value = [](const Settled& s) -> Setting::second_type { return s.options.outputs; },
       .of_inspect = true},
      {.name = "modules",
       .group = "Data",
       .help = "What modules to make; each: one for each output; all: one for all outputs, the pruned network; or sets "
               "of outputs with names, such as digits=0-9 letters=10-35, or a file with one on each line",
       .takes = Words{},
       .type = "each|all|NAME=LIST ...|FILE",
       .initial = "each",
       .affects = Affects::modules,
       .set = [](Options& o, const Text& text) { o.modules = parse_sets(text); },
       .value = [](const Settled& s) -> Setting::second_type { return sets_text(s.options.modules); },
       .of_inspect = true},
      {.name = "names",
       .group = "Data",
       .help =
           "Names of all outputs, such as cat,dog, or a file with one on each line; default: the text array names of "
           "--data, if there is one",
       .takes = AnyText{},
       .type = "NAMES|FILE",
       .affects = Affects::nothing,  // but the files' names
       .set = [](Options& o, const Text& text) { o.names = parse_names(text); },
       .value = [](const Settled& s) -> Setting::second_type {
         return fmt::format("{}", fmt::join(s.options.names, ","));
       },
       .of_inspect = true},
      {.name = "held-out",
       .group = "Data",
       .help = "Share of --data to evaluate on if there is no --test, above 0 and below 1",
       .takes = range(0, 0.999999, false, "a share above 0 and below 1"),
       .type = "SHARE",
       .initial = "0.2",
       .affects = Affects::scores,
       .set = [](Options& o, const Text& text) { o.held_out = number(text); },
       .value = [](const Settled& s) -> Setting::second_type { return s.options.test ? 0.0 : s.options.held_out; }},
      {.name = "seed",
       .group = "Method",
       .help = "Seed for all random choices, 0 to 2^53",
       .takes = range(0, 0x1p53, true, "a whole number from 0 to 2^53"),  // what JSON holds exactly
       .type = "NUMBER",
       .initial = "0",
       .affects = Affects::scores,
       .set = [](Options& o, const Text& text) { o.seed = static_cast<uint64_t>(whole("--seed", text)); },
       .value = [](const Settled& s) -> Setting::second_type { return static_cast<int64_t>(s.options.seed); }},
      {.name = "device",
       .group = "Machine",
       .help = "Device to run on: cpu, cuda or cuda:INDEX",
       .takes = AnyText{},
       .type = "DEVICE",
       .initial = "cpu",
       .affects = Affects::run,
       .set = [](Options& o, const Text& text) { o.device = text; },
       .value = [](const Settled& s) -> Setting::second_type { return s.options.device; },
       .of_inspect = true},
      {.name = "tf32",
       .group = "Research",
       .help = "Let a GPU multiply in TF32 while scoring: factors are rounded to 10 bits, and convolutions are faster",
       .takes = Flag{},
       .affects = Affects::run,
       .set = [](Options& o, const Text& /*text*/) { o.tf32 = true; },
       .value = [](const Settled& s) -> Setting::second_type { return s.options.tf32; }},
      {.name = "memory",
       .group = "Machine",
       .help = "Memory for activations, such as 2GB; default: half of the free memory, on a CPU at most 4 GiB",
       .takes = Bytes{},
       .type = "BYTES",
       .affects = Affects::run,
       .set =
           [](Options& o, const Text& text) {
             const std::optional<uint64_t> bytes = number_in<uint64_t>(text);
             // CLI11 turns -1B into 2^64 - 1.
             if (!bytes || *bytes == 0 || *bytes > INT64_MAX)
               fail(ExitCode::usage, "--memory {}: expected a size above 0, such as 2GB", text);
             o.memory = static_cast<int64_t>(*bytes);
           },
       .value = [](const Settled& s) -> Setting::second_type { return s.options.memory; },
       .unset = "auto"},
      {.name = "out",
       .group = "Output",
       .help = "Folder for the modules and decomposition.json",
       .takes = AnyText{},
       .type = "FOLDER",
       .affects = Affects::nothing,
       .set = [](Options& o, const Text& text) { o.out = text; }},
      {.name = "format",
       .group = "Output",
       .help = "What the modules are written as; torchscript: files for torch.jit.load; pt2: exported programs, for "
               "torch.export.load",
       .takes = names<FileFormat>(),
       .initial = "torchscript",
       .affects = Affects::nothing,
       .set = [](Options& o, const Text& text) { o.format = value_named<FileFormat>(text); },
       .value = [](const Settled& s) -> Setting::second_type { return name_of(s.options.format); }},
      {.name = "force",
       .group = "Output",
       .help = "Replace the decomposition in the folder, if there is one",
       .takes = Flag{},
       .affects = Affects::nothing,
       .set = [](Options& o, const Text& /*text*/) { o.force = true; }},
      {.name = "resume",
       .group = "Output",
       .help = "Continue a run with the same options that was stopped",
       .takes = Flag{},
       .affects = Affects::nothing,
       .set = [](Options& o, const Text& /*text*/) { o.resume = true; }},
      {.name = "keep-scores",
       .group = "Output",
       .help = "Also save the scores, in scores.npz, for the --scores of later runs",
       .takes = Flag{},
       .affects = Affects::nothing,
       .set = [](Options& o, const Text& /*text*/) { o.keep_scores = true; }},
      {.name = "preset",
       .group = "Research",
       .help = "paper: the published method (flips, agglomerative clusters of 10, keep 0.6, no repair, head by Adam); "
               "options given with it take precedence",
       .takes = OneOf{{"paper"}},
       .affects = Affects::nothing,  // the options that it stands for do
       .set = [](Options& o, const Text& /*text*/) { o.classification_metric = Metric::flips; }},
  };
}

/// What --preset paper stands for. Its --keep gives way to any other size.
const std::map<std::string, std::string> paper = {
    {"factors", "1.1,0.9,0"}, {"clustering", "agglomerative"},
    {"cluster-size", "10"},   {"calibration", "none"},
    {"repair", "none"},       {"head", "adam"},
    {"keep", "0.6"},          {"scoring", "mutation"},
};
const std::vector<std::string> sizes = {"keep", "target-compression", "max-loss"};

/// A value as text, for keys.
std::string key_text(const Setting::second_type& value, const std::string& unset) {
  struct Write {
    const std::string& unset;
    std::string operator()(bool yes) const { return yes ? "yes" : "no"; }
    std::string operator()(int64_t number) const {
      return number == 0 && !unset.empty() ? unset : fmt::format("{}", number);
    }
    std::string operator()(double number) const { return std::isnan(number) ? unset : fmt::format("{}", number); }
    std::string operator()(const std::string& text) const { return text; }
    std::string operator()(const std::vector<int64_t>& list) const { return fmt::format("{}", fmt::join(list, ",")); }
    std::string operator()(const std::vector<double>& list) const { return fmt::format("{}", fmt::join(list, ",")); }
  };
  return std::visit(Write{unset}, value);
}

}  // namespace

const std::vector<Option>& decompose_options() {
  static const std::vector<Option> options = all_options();
  return options;
}

DecomposeOptions read_options(const std::map<std::string, std::string>& given) {
  const auto is_given = [&](const std::string& name) { return given.contains(name); };
  const auto sizes_given = std::count_if(sizes.begin(), sizes.end(), is_given);
  if (sizes_given > 1)
    fail(ExitCode::usage, "--keep, --target-compression and --max-loss exclude each other; expected one of them");
  std::map<std::string, std::string> texts = given;
  if (is_given("preset")) {
    texts.insert(paper.begin(), paper.end());
    if (sizes_given > 0 && !is_given("keep")) texts.erase("keep");
  }
  DecomposeOptions options;
  if (const auto text = texts.find("samples"); text != texts.end() && text->second != "auto" && is_given("agreement"))
    fail(ExitCode::usage, "--agreement is for --samples auto; not for --samples {}", text->second);
  for (const Option& option : decompose_options()) {
    if (const auto text = texts.find(option.name); text != texts.end()) option.set(options, text->second);
  }
  if (std::holds_alternative<Keep>(options.size) && is_given("allocation") &&
      options.allocation == Allocation::global) {
    fail(ExitCode::usage,
         "--allocation global does not work with --keep, a share of each group; pass --target-compression");
  }
  if (options.head == HeadMethod::original) {
    options.calibration = CalibrationMethod::none;
    if (!is_given("repair")) options.repair = RepairMethod::none;
  }
  return options;
}

std::optional<double> parse_scale(const std::string& text) {
  if (text == "auto") return std::nullopt;
  if (const auto value = number_in<double>(text); value && *value != 0) return value;
  fail(ExitCode::usage, "--input-scale {}: expected auto or a number other than 0", text);
}

std::vector<Setting> settings_of(const Settled& settled) {
  std::vector<Setting> settings;
  for (const Option& option : decompose_options()) {
    if (option.value == nullptr) continue;
    std::string name = option.name;
    std::replace(name.begin(), name.end(), '-', '_');
    settings.emplace_back(std::move(name), option.value(settled));
    // The number of threads belongs to every verb, so it has no row.
    if (option.name == "tf32") settings.emplace_back("threads", static_cast<int64_t>(settled.threads));
  }
  return settings;
}

ScoresKey key_of(const Settled& settled, Affects what) {
  ScoresKey key;
  for (const Option& option : decompose_options()) {
    // Scoring depends only on the share of clusters that a size is likely to keep; it is added below.
    const bool is_size = std::find(sizes.begin(), sizes.end(), option.name) != sizes.end();
    if (option.affects == what && option.value != nullptr && !is_size)
      key.emplace_back(option.name, key_text(option.value(settled), option.unset));
  }
  if (what != Affects::run) return key;
  key.emplace_back("keep", fmt::format("{}", settled.likely_share));
  key.emplace_back("threads", fmt::format("{}", settled.threads));
  return key;
}

void append(ScoresKey& key, const ScoresKey& more) {
  key.insert(key.end(), more.begin(), more.end());
}

}  // namespace incite
