#include "incite/decompose.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "checkpoint_files.hpp"
#include "checks.hpp"
#include "incite/base/error.hpp"
#include "incite/base/files.hpp"
#include "incite/base/freed_memory.hpp"
#include "incite/base/random.hpp"
#include "incite/evaluation/overlap.hpp"
#include "incite/program/device.hpp"
#include "incite/program/load.hpp"
#include "incite/program/save.hpp"
#include "incite/report/json.hpp"
#include "incite/report/module_identity.hpp"
#include "module_set.hpp"
#include "result_folder.hpp"
#include "samples.hpp"
#include "scores_file.hpp"
#include "stopwatch.hpp"
#include "warnings.hpp"

namespace incite {
namespace {

constexpr double validation_share = 0.2;
constexpr int64_t most_validation_samples = 10'000;
constexpr int64_t most_probabilities = 1 << 26;  // of the original's, kept while modules are made

Metric choose_metric(const DecomposeOptions& options, Task task) {
  if (!options.metric) return task == Task::classification ? options.classification_metric : Metric::absolute;
  if (*options.metric == Metric::random || *options.metric == Metric::magnitude) return *options.metric;
  if ((task == Task::regression) != (*options.metric == Metric::absolute)) {
    fail(ExitCode::usage, "--metric {} is not for {}; expected {}", to_string(*options.metric), to_string(task),
         task == Task::regression ? "absolute, random or magnitude" : "probability, flips, random or magnitude");
  }
  return *options.metric;
}

class Decomposer {
 public:
  Decomposer(const DecomposeOptions& options, const Progress& progress) : options_(options), progress_(progress) {}

  Decomposition run() {
    check_options();
    StagedFiles files(options_.out);
    if (options_.resume) resume();
    load();
    analyse_model();
    const ResultFolder folder(options_.out, {options_.model, options_.scores}, result_files());
    folder.check_targets(options_.force);
    if (!options_.resume) remove_checkpoints(options_.out);  // of a run that --force starts anew
    split();
    if (task_ == Task::classification) check_classes(fit_, outputs_, result_.outputs);
    warn_before_scoring();
    score_clusters(files);
    make_modules(files);
    watch_.start("evaluation");
    measure();
    for (std::string& warning : warnings_after(options_, result_))
      result_.warnings.push_back(std::move(warning));
    result_.seconds = watch_.seconds();
    const double total = std::accumulate(result_.seconds.begin(), result_.seconds.end(), 0.0,
                                         [](double sum, const auto& entry) { return sum + entry.second; });
    result_.seconds.emplace_back("total", total);
    if (options_.keep_scores) {
      const std::string scores = serialise(scores_to_save(contributions_.state, true));
      result_.scores_bytes = static_cast<int64_t>(scores.size());
      files.write(scores_name, scores);
    }
    files.write(document_name, to_json(result_));
    files.commit();
    remove_checkpoints(options_.out);
    folder.remove_stale();
    return std::move(result_);
  }

 private:
  void report(const std::string& stage, int64_t done, int64_t total, const std::string& unit) const {
    if (progress_) progress_({stage, done, total, unit});
  }

  void check_options() const {
    check_wish();
    if (options_.factors.empty()) fail(ExitCode::usage, "--factors: expected at least one factor");
    if (options_.agreement && !(*options_.agreement > 0 && *options_.agreement <= 1)) {
      fail(ExitCode::usage, "--agreement {}: expected a share above 0 and up to 1", *options_.agreement);
    }
    if (has_checkpoint(options_.out) && !options_.force && !options_.resume) {
      fail(ExitCode::output,
           "{}: holds what a run that was stopped has left; pass --resume to go on from it, or --force to start anew",
           options_.out.string());
    }
    std::error_code error;  // a name that is too long is reported when the folder is made
    if (std::filesystem::exists(options_.out / document_name, error) && !options_.force) {
      fail(ExitCode::output, "{}: already holds a decomposition; pass --force to replace it, or another --out",
           options_.out.string());
    }
  }

  /// What the user asks the modules to be.
  void check_wish() const {
    const DecomposeOptions& o = options_;
    if (o.keep && !(*o.keep > 0 && *o.keep <= 1)) {
      fail(ExitCode::usage, "--keep {}: expected a share above 0 and up to 1", *o.keep);
    }
    if (o.target_compression && !(*o.target_compression >= 1)) {
      fail(ExitCode::usage, "--target-compression {}: expected a number of 1 or more", *o.target_compression);
    }
    if (o.max_loss && !(*o.max_loss >= 0)) fail(ExitCode::usage, "--max-loss {}: expected 0 or more", *o.max_loss);
    if (o.keep.has_value() + o.target_compression.has_value() + o.max_loss.has_value() > 1) {
      fail(ExitCode::usage, "--keep, --target-compression and --max-loss exclude each other; expected one of them");
    }
    if (o.finetune > 0 && o.head == HeadMethod::original) {
      fail(ExitCode::usage, "--finetune is for modules with heads of their own; not for --head original");
    }
  }

  void load() {
    watch_.start("load");
    device_ = parse_device(options_.device);
    if (options_.tf32 && device_.is_cpu())
      fail(ExitCode::usage, "--tf32 is for a GPU; not for --device {}", options_.device);
    data_ = read_dataset(options_.data);
    if (options_.test) read_test_data();
    program_ = load_model(options_.model, data_, options_.output, device_);
    if (options_.test) {
      read_like(test_, data_);
      check_integers(program_, test_);
    }
    result_.model = {options_.model.string(), sha256_of_file(options_.model)};
    result_.data = {options_.data.file.string(), sha256_of_file(options_.data.file)};
    if (options_.test) result_.test = SourceFile{options_.test->file.string(), sha256_of_file(options_.test->file)};
  }

  void read_test_data() {
    DatasetOptions options = *options_.test;
    options.target_required = data_.target.defined();
    test_ = read_dataset(options);
    read_like(test_, data_);  // before the model is read; again when the types are settled
  }

  void analyse_model() {
    watch_.start("analysis");
    use(understand(std::move(program_), data_));
    result_.parameters = program_.parameter_count();
    result_.multiply_adds = multiply_adds(program_, samples_of_size(2));
    task_ = result_.task = choose_task(options_.task, data_, kind_, result_.outputs);
    result_.one_column = is_one_column(task_, result_.outputs);
    if (result_.one_column) use(as_two_columns(options_.model, program_, data_));
    metric_ = choose_metric(options_, task_);
    check_model(options_.model, map_);
    outputs_ = options_.outputs;
    if (outputs_.empty()) {
      outputs_.resize(static_cast<size_t>(result_.outputs));
      std::iota(outputs_.begin(), outputs_.end(), 0);
    }
    std::sort(outputs_.begin(), outputs_.end());
    outputs_.erase(std::unique(outputs_.begin(), outputs_.end()), outputs_.end());
    for (const int64_t output : outputs_) {
      if (output < 0 || output >= result_.outputs) {
        fail(ExitCode::usage, "--outputs {}: the model has outputs 0 to {}", output, result_.outputs - 1);
      }
    }
    if (options_.head != HeadMethod::original) fittable_head(program_, map_, task_);
  }

  /// All but the document.
  std::vector<std::string> result_files() const {
    std::vector<std::string> names;
    for (const int64_t output : outputs_)
      names.push_back(module_file(output));
    if (options_.keep_scores) names.emplace_back(scores_name);
    return names;
  }

  void use(Understood model) {
    program_ = std::move(model.program);
    map_ = std::move(model.map);
    kind_ = result_.kind = model.kind;
    result_.outputs = model.outputs;
  }

  Batch samples_of_size(int64_t count) const {
    return data_.batch(at::arange(count, at::kLong).remainder(data_.size()), device_);
  }

  /// What is fitted to and what is measured on: never the same samples.
  void split() {
    fit_ = truth(program_, data_, task_, result_.outputs);
    if (options_.test) {
      fit_.samples = sample_order(fit_, options_.seed);
      held_out_ = truth(program_, test_, task_, result_.outputs);
      held_out_.samples = at::arange(test_.size(), at::kLong);
    } else {
      held_out_ = hold_out(fit_, options_.held_out, options_.seed);
    }
    choose_validation();
    result_.own_heads = options_.head != HeadMethod::original;
    result_.own_targets = !data_.target.defined();
    result_.samples = data_.size();
    result_.fit_samples = fit_.samples.size(0);
    result_.test_samples = held_out_.samples.size(0);
    result_.input_key = options_.data.input_key;
    result_.target_key = options_.data.target_key;
    result_.input_scale = data_.input_scale;
    result_.input_shape = options_.data.input_shape;
    result_.input_layout = options_.data.input_layout;
    result_.output = options_.output;
  }

  /// Of the samples to fit to, those by which choices are made: ridges, penalties, calibrations, epochs, sizes. None
  /// for the paper's way, which makes none.
  void choose_validation() {
    const bool needed = options_.head == HeadMethod::lbfgs || options_.calibration != CalibrationMethod::none ||
                        options_.max_loss || options_.finetune > 0;
    const int64_t samples = fit_.samples.size(0);
    const auto share = static_cast<int64_t>(validation_share * static_cast<double>(samples));
    int64_t count = needed ? std::min(share, most_validation_samples) : 0;
    if (task_ == Task::classification && count > 0) {
      // A class of which all samples were among them could not be learnt.
      const at::Tensor train = fit_.classes.index_select(0, fit_.samples.narrow(0, 0, samples - count));
      for (const int64_t output : outputs_) {
        if ((train == output).sum().item<int64_t>() == 0) count = 0;
      }
    }
    if (count == 0 && (options_.max_loss || options_.finetune > 0)) {
      fail(ExitCode::data_mismatch,
           "{}: {} samples are too few to fit on some and choose by others; give more, or pass "
           "neither --max-loss nor --finetune",
           options_.data.file.string(), samples);
    }
    train_ = fit_.samples.narrow(0, 0, samples - count);
    validation_ = fit_.samples.narrow(0, samples - count, count);
    result_.validation_samples = count;
  }

  /// The user may stop the run, and need not wait for its end to know.
  void warn_before_scoring() {
    result_.warnings = warnings_before_scoring(program_, kind_, task_, fit_, outputs_);
    if (!progress_) return;
    for (const std::string& warning : result_.warnings) {
      ProgressEvent event;
      event.warning = warning;
      progress_(event);
    }
  }

  /// Reads what an earlier run has left, if it has. Whether that is of use is known only when the model is.
  void resume() {
    if (!std::filesystem::exists(options_.out / checkpoint_name)) return;
    checkpoint_ = read_scores(options_.out / checkpoint_name, ScoresUse::resume);
    if (options_.memory == 0) memory_ = checkpoint_->memory;  // so that batches are the same
  }

  void score_clusters(StagedFiles& files) {
    if (!options_.scores.empty()) return use_scores();
    if (checkpoint_) {
      check_same(request(ScoresUse::resume, options_.out / checkpoint_name),
                 {joined(checkpoint_->made_from, checkpoint_->run_with), checkpoint_->size},
                 {joined(made_from(), run_with()), size()});
    }
    watch_.start("clustering");
    ClusterParams cluster_params;
    cluster_params.method = options_.clustering;
    cluster_params.cluster_size = options_.cluster_size;
    cluster_params.seed = options_.seed;
    clusters_ =
        checkpoint_ ? clusters_of(map_, checkpoint_->unit_clusters) : cluster_units(program_, map_, cluster_params);
    note_groups();
    watch_.start("scoring");
    ScoringParams scoring;
    scoring.metric = metric_;
    scoring.factors = options_.factors;
    scoring.memory = memory();
    scoring.seed = derive_seed(options_.seed, "scoring");
    scoring.samples = options_.samples;
    scoring.tf32 = options_.tf32;
    if (options_.agreement) {
      scoring.stop = StopRule{[&](const at::Tensor& scores) { return best_clusters(scores, likely_share()); },
                              *options_.agreement};
    }
    if (checkpoint_) scoring.resume = checkpoint_->state;
    scoring.save = [&](const ScoringState& state) {
      files.put(checkpoint_name, serialise(scores_to_save(state, false)));
    };
    contributions_ = score(program_, map_, clusters_, kind_, data_, fit_.samples, scoring, progress_);
    note_scores();
  }

  /// Takes the scores of another run in place of scoring.
  void use_scores() {
    watch_.start("scoring");
    const SavedScores saved = read_scores(options_.scores, ScoresUse::take);
    check_same(request(ScoresUse::take, options_.scores), {saved.made_from, saved.size}, {made_from(), size()});
    if (!saved.finished) {
      fail(ExitCode::usage, "{}: of a run that was stopped; expected the {} of a finished one",
           options_.scores.string(), scores_name);
    }
    clusters_ = clusters_of(map_, saved.unit_clusters);
    note_groups();
    contributions_ = contributions_of(clusters_, saved.state);
    note_scores();
  }

  SavedScores scores_to_save(const ScoringState& state, bool finished) {
    std::string layers;
    for (const Layer& layer : map_.layers)
      layers += layer.name + "\n";
    std::vector<int64_t> channels;
    for (size_t unit = 0; unit < map_.units.size(); ++unit) {
      for (const Unit::Member& member : map_.units[unit].members)
        channels.insert(channels.end(), {static_cast<int64_t>(unit), member.layer, member.channel});
    }
    return {made_from(), run_with(),
            state,       unit_clusters(map_, clusters_),
            layers,      at::tensor(channels, at::kLong).view({-1, 3}),
            memory(),    finished,
            size()};
  }

  /// What modules are to be, as the user typed it.
  std::string size() const {
    if (options_.keep) return fmt::format("--keep {}", *options_.keep);
    if (options_.max_loss) return fmt::format("--max-loss {}", *options_.max_loss);
    return fmt::format("--target-compression {}", options_.target_compression.value_or(default_compression));
  }

  ScoresRequest request(ScoresUse use, std::filesystem::path file) const {
    return {use, std::move(file), options_.model, options_.data.file};
  }

  static ScoresKey joined(ScoresKey first, const ScoresKey& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
  }

  /// What scores depend on, whatever is done with them.
  ScoresKey made_from() const {
    const DatasetOptions& data = options_.data;
    return {
        {"model", result_.model.sha256},
        {"data", result_.data.sha256},
        {"input-key", data.input_key},
        {"target-key", data.target_key},
        {"input-scale", data_.input_scale ? fmt::format("{}", *data_.input_scale) : "auto"},
        {"input-shape", fmt::format("{}", fmt::join(data.input_shape, ","))},
        {layout_key, to_string(data.input_layout)},
        {"output", options_.output},
        {"task", to_string(task_)},
        {"held-out", options_.test ? "0" : fmt::format("{}", options_.held_out)},
        {"metric", to_string(metric_)},
        {"factors", fmt::format("{}", fmt::join(options_.factors, ","))},
        {"clustering", to_string(options_.clustering)},
        {"cluster-size", fmt::format("{}", options_.cluster_size)},
        {"seed", fmt::format("{}", options_.seed)},
    };
  }

  /// What else a run must have in common with one that goes on from its state.
  ScoresKey run_with() const {
    return {
        {"samples", fmt::format("{}", options_.samples)},
        {"agreement", options_.agreement ? fmt::format("{}", *options_.agreement) : "none"},
        {"keep", fmt::format("{}", likely_share())},
        {"memory", options_.memory > 0 ? fmt::format("{}", options_.memory) : "auto"},
        {"device", device_.str()},
        {"tf32", options_.tf32 ? "yes" : "no"},
        {"threads", fmt::format("{}", at::get_num_threads())},
    };
  }

  /// Bytes that activations may take: what is free is asked once, so that it is the same throughout.
  int64_t memory() {
    if (memory_ == 0) memory_ = options_.memory > 0 ? options_.memory : default_memory(device_);
    return memory_;
  }

  void note_groups() {
    for (const Group& group : map_.groups) {
      GroupResult noted;
      for (const int32_t l : group.layers)
        noted.layers.push_back(map_.layers[static_cast<size_t>(l)].name);
      noted.units = static_cast<int64_t>(group.units.size());
      noted.pinned = map_.pinned_units(group);
      result_.groups.push_back(std::move(noted));
    }
    for (const Cluster& cluster : clusters_)
      ++result_.groups[static_cast<size_t>(cluster.group)].clusters;
  }

  void note_scores() {
    result_.scored_samples = contributions_.samples;
    result_.scoring = {contributions_.mutants, contributions_.multiply_adds, contributions_.chunk,
                       contributions_.batch};
    for (size_t g = 0; g < result_.groups.size(); ++g) {
      result_.groups[g].scored_samples = contributions_.state.samples[static_cast<int64_t>(g)].sum().item<int64_t>();
      result_.groups[g].agreement = contributions_.state.agreement[static_cast<int64_t>(g)].item<double>();
    }
  }

  /// The share of a group's clusters that modules will keep, or nearly: a layer cut along both dimensions to a share k
  /// has k² of its parameters.
  double likely_share() const {
    if (options_.keep) return *options_.keep;
    return 1 / std::sqrt(options_.target_compression.value_or(default_compression));
  }

  /// All that modules depend on but for what they keep, and which output they are for.
  std::string modules_key() const {
    const DecomposeOptions& o = options_;
    std::string key = fmt::format("{}\n{}\n{}\n{}\n{}\n", to_string(o.repair), to_string(o.head), o.epochs,
                                  to_string(o.calibration), validation_.size(0));
    for (const ScoresKey& part : {made_from(), run_with()}) {
      for (const auto& [name, value] : part)
        key += name + "=" + value + "\n";
    }
    return key;
  }

  void make_modules(StagedFiles& files) {
    watch_.start("modules");
    const FreedMemoryStays freed_memory_stays;
    const int64_t workers =
        device_.is_cpu() ? std::min<int64_t>(at::get_num_threads(), static_cast<int64_t>(outputs_.size())) : 1;
    const ModuleSource source{
        program_,          map_, kind_, task_, fit_, train_, validation_, original_probabilities(), memory() / workers,
        result_.parameters};
    ModuleSet set(options_, source, clusters_, contributions_.scores, outputs_, modules_key(), files, progress_);
    set.choose();
    set.make();
    result_.modules.resize(outputs_.size());
    columns_.resize(outputs_.size());
    set.for_each([&](size_t m, const Program& module) { finish_module(m, module, set, files); });
    result_.max_loss = options_.max_loss;
    result_.steps = set.steps();
    result_.head_losses = set.head_losses();
    result_.last_layer_losses = set.last_losses();
    result_.finetuning_losses = set.finetuning().losses;
    selections_ = set.selections();
  }

  /// What the original says of the samples that weights are fitted to, as many of them as a fixed size holds.
  at::Tensor original_probabilities() const {
    if (task_ != Task::classification || (options_.repair == RepairMethod::none && options_.finetune == 0)) return {};
    const int64_t samples = std::min(train_.size(0), most_probabilities / result_.outputs);
    return probabilities(outputs_for(program_, *fit_.data, train_.narrow(0, 0, samples)), kind_);
  }

  /// Writes one module and measures it. Runs on several threads.
  void finish_module(size_t m, const Program& module, const ModuleSet& set, StagedFiles& files) {
    const ModuleMaker& maker = set.maker();
    ModuleResult& noted = result_.modules[m];
    noted.output = outputs_[m];
    noted.file = module_file(outputs_[m]);
    const std::string bytes = serialise(module, to_text(identity(noted)));
    files.write(noted.file, bytes);
    maker.check_file(files.path(noted.file), module);
    noted.slice_difference = set.slice_differences()[m];
    noted.calibration = set.calibrations()[m];
    noted.bytes = static_cast<int64_t>(bytes.size());
    noted.parameters = module.parameter_count();
    noted.compression = static_cast<double>(result_.parameters) / static_cast<double>(noted.parameters);
    noted.multiply_adds = multiply_adds(module, samples_of_size(2));
    noted.kept = kept_channels(set.selections()[m], outputs_[m]);
    columns_[m] = module_scores({outputs_[m], &module, result_.own_heads}, kind_, task_, held_out_);
  }

  /// What a module's file is to say of itself.
  ModuleIdentity identity(const ModuleResult& module) const {
    ModuleIdentity identity = identity_of(result_, module);
    identity.input_scale = options_.data.input_scale;
    identity.shapes.clear();
    for (const at::Tensor& input : data_.input.inputs)
      identity.shapes.push_back(input.sizes().slice(1).vec());
    return identity;
  }

  std::map<std::string, std::vector<int64_t>> kept_channels(const Selection& keep, int64_t output) const {
    std::map<std::string, std::vector<int64_t>> kept;
    for (size_t l = 0; l < map_.layers.size(); ++l) {
      const Layer& layer = map_.layers[l];
      std::vector<int64_t>& channels = kept[layer.name];
      channels.clear();
      const bool new_head = static_cast<int32_t>(l) == map_.head && options_.head != HeadMethod::original;
      for (size_t channel = 0; channel < layer.units.size(); ++channel) {
        const bool stays =
            new_head ? static_cast<int64_t>(channel) == output : keep[static_cast<size_t>(layer.units[channel])];
        if (stays) channels.push_back(static_cast<int64_t>(channel));
      }
    }
    return kept;
  }

  void measure() {
    const at::Tensor original = outputs_for(program_, *held_out_.data, held_out_.samples, progress_);
    result_.evaluation = evaluate(original, at::stack(columns_, 1), outputs_, kind_, task_, held_out_);
    result_.bytes = static_cast<int64_t>(std::filesystem::file_size(options_.model));
    double compression = 0;
    for (const ModuleResult& module : result_.modules)
      compression += module.compression;
    result_.mean_compression = compression / static_cast<double>(result_.modules.size());
    result_.overlap = overlap_matrix(map_, selections_);
    result_.mean_overlap = mean_overlap(result_.overlap);
    result_.device = device_.str();
    result_.threads = at::get_num_threads();
    note_settings();
  }

  void note_settings() {
    const auto name = [](auto value) { return std::string(to_string(value)); };
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    result_.settings = {
        {"task", name(task_)},
        {"input_key", options_.data.input_key},
        {"target_key", options_.data.target_key},
        {"input_scale", data_.input_scale.value_or(std::numeric_limits<double>::quiet_NaN())},
        {"input_shape", options_.data.input_shape},
        {"input_layout", name(options_.data.input_layout)},
        {"output", options_.output},
        {"metric", name(metric_)},
        {"factors", options_.factors},
        {"clustering", name(options_.clustering)},
        {"cluster_size", options_.cluster_size},
        {"keep", options_.keep.value_or(nan)},
        {"target_compression",
         options_.keep || options_.max_loss ? nan : options_.target_compression.value_or(default_compression)},
        {"max_loss", options_.max_loss.value_or(nan)},
        {"allocation", name(options_.keep ? Allocation::uniform : options_.allocation)},
        {"samples", options_.samples},
        {"agreement", options_.agreement.value_or(std::numeric_limits<double>::quiet_NaN())},
        {"repair", name(options_.repair)},
        {"head", name(options_.head)},
        {"epochs", options_.epochs},
        {"calibration", name(options_.calibration)},
        {"finetune", options_.finetune},
        {"outputs", outputs_},
        {"held_out", options_.test ? 0.0 : options_.held_out},
        {"seed", static_cast<int64_t>(options_.seed)},
        {"device", device_.str()},
        {"tf32", options_.tf32},
        {"threads", result_.threads},
        {"memory", options_.memory},
    };
  }

  const DecomposeOptions& options_;
  const Progress& progress_;
  Stopwatch watch_;
  Decomposition result_;
  at::Device device_ = at::kCPU;
  Dataset data_, test_;
  Program program_;
  UnitMap map_;
  OutputKind kind_ = OutputKind::other;
  Task task_ = Task::classification;
  Metric metric_ = Metric::probability;
  std::vector<int64_t> outputs_;
  TestSet fit_, held_out_;
  std::vector<Cluster> clusters_;
  Contributions contributions_;
  std::optional<SavedScores> checkpoint_;
  int64_t memory_ = 0;             // 0: not asked for yet
  at::Tensor train_, validation_;  // of fit_'s samples
  std::vector<Selection> selections_;
  std::vector<at::Tensor> columns_;  // by module: what it says of the held-out samples
};

}  // namespace

bool has_checkpoint(const std::filesystem::path& out) {
  return !checkpoints_in(out).empty();
}

int64_t checkpoint_bytes(const std::filesystem::path& out) {
  std::uintmax_t bytes = 0;
  for (const std::filesystem::path& file : checkpoints_in(out)) {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(file, error);
    if (!error) bytes += size;
  }
  return static_cast<int64_t>(bytes);
}

Decomposition decompose(const DecomposeOptions& options, const Progress& progress) {
  return Decomposer(options, progress).run();
}

}  // namespace incite
