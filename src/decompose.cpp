#include "incite/decompose.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "checks.hpp"
#include "incite/base/error.hpp"
#include "incite/base/files.hpp"
#include "incite/base/random.hpp"
#include "incite/evaluation/overlap.hpp"
#include "incite/program/device.hpp"
#include "incite/program/load.hpp"
#include "incite/program/save.hpp"
#include "incite/report/json.hpp"
#include "incite/selection/select.hpp"
#include "incite/slicing/slice.hpp"
#include "result_folder.hpp"
#include "samples.hpp"
#include "scores_file.hpp"
#include "stopwatch.hpp"

namespace incite {
namespace {

constexpr int64_t most_repair_samples = 8192;

Metric choose_metric(const DecomposeOptions& options, Task task) {
  if (!options.metric) return task == Task::classification ? options.classification_metric : Metric::absolute;
  if (*options.metric == Metric::random) return Metric::random;
  if ((task == Task::regression) != (*options.metric == Metric::absolute)) {
    fail(ExitCode::usage, "--metric {} is not for {}; expected {}", to_string(*options.metric), to_string(task),
         task == Task::regression ? "absolute or random" : "probability, flips or random");
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
    const ResultFolder folder(options_.out, options_.model, outputs_);
    folder.check_targets(options_.force);
    split();
    if (task_ == Task::classification) check_classes(fit_, outputs_, result_.outputs);
    score_clusters(files);
    watch_.start("modules");
    for (size_t i = 0; i < outputs_.size(); ++i) {
      make_module(outputs_[i], files);
      report("making modules", static_cast<int64_t>(i) + 1, static_cast<int64_t>(outputs_.size()), "modules");
    }
    watch_.start("evaluation");
    measure();
    result_.seconds = watch_.seconds();
    const double total = std::accumulate(result_.seconds.begin(), result_.seconds.end(), 0.0,
                                         [](double sum, const auto& entry) { return sum + entry.second; });
    result_.seconds.emplace_back("total", total);
    files.write(document_name, to_json(result_));
    files.write(scores_name, serialise(scores_to_save(contributions_.state, true)));
    files.commit();
    folder.remove_checkpoint();
    folder.remove_stale();
    return std::move(result_);
  }

 private:
  void report(const std::string& stage, int64_t done, int64_t total, const std::string& unit) const {
    if (progress_) progress_({stage, done, total, unit});
  }

  void check_options() const {
    if (!(options_.keep > 0 && options_.keep <= 1)) {
      fail(ExitCode::usage, "--keep {}: expected a share above 0 and up to 1", options_.keep);
    }
    if (options_.factors.empty()) fail(ExitCode::usage, "--factors: expected at least one factor");
    if (options_.agreement && !(*options_.agreement > 0 && *options_.agreement <= 1)) {
      fail(ExitCode::usage, "--agreement {}: expected a share above 0 and up to 1", *options_.agreement);
    }
    if (has_checkpoint(options_.out) && !options_.force && !options_.resume) {
      fail(ExitCode::output,
           "{}: holds the scores of a run that was stopped; pass --resume to go on from them, or --force to start anew",
           options_.out.string());
    }
    std::error_code error;  // a name that is too long is reported when the folder is made
    if (std::filesystem::exists(options_.out / document_name, error) && !options_.force) {
      fail(ExitCode::output, "{}: already holds a decomposition; pass --force to replace it, or another --out",
           options_.out.string());
    }
  }

  void load() {
    watch_.start("load");
    device_ = parse_device(options_.device);
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
    map_ = analyse(program_, sample_values(program_, samples_of_size(2)));
    kind_ = output_kind(program_, map_);
    result_.outputs = output_count(program_, first_samples(data_, device_));
    result_.parameters = program_.parameter_count();
    result_.kind = kind_;
    task_ = result_.task = choose_task(options_.task, data_, kind_);
    metric_ = choose_metric(options_, task_);
    check_model(options_.model, map_, task_, result_.outputs);
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
    result_.own_heads = options_.head != HeadMethod::original;
    result_.own_targets = !data_.target.defined();
    result_.samples = data_.size();
    result_.fit_samples = fit_.samples.size(0);
    result_.test_samples = held_out_.samples.size(0);
    result_.input_key = options_.data.input_key;
    result_.target_key = options_.data.target_key;
    result_.input_scale = data_.input_scale;
    result_.input_shape = options_.data.input_shape;
    result_.output = options_.output;
  }

  /// Reads what an earlier run has left, if it has. Whether that is of use is known only when the model is.
  void resume() {
    if (!has_checkpoint(options_.out)) return;
    checkpoint_ = read_scores(options_.out / checkpoint_name);
    if (options_.memory == 0) memory_ = checkpoint_->memory;  // so that batches are the same
  }

  void score_clusters(StagedFiles& files) {
    if (!options_.scores.empty()) return use_scores();
    if (checkpoint_) {
      check_same(options_.out / checkpoint_name, checkpoint_->made_from, made_from());
      check_same(options_.out / checkpoint_name, checkpoint_->run_with, run_with());
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
    if (options_.agreement) {
      scoring.stop =
          StopRule{[&](const at::Tensor& scores) { return best_clusters(scores, options_.keep); }, *options_.agreement};
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
    const SavedScores saved = read_scores(options_.scores);
    check_same(options_.scores, saved.made_from, made_from());
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
            memory(),    finished};
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
        {"keep", fmt::format("{}", options_.keep)},
        {"memory", options_.memory > 0 ? fmt::format("{}", options_.memory) : "auto"},
        {"device", device_.str()},
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

  void make_module(int64_t output, StagedFiles& files) {
    const Selection keep = select(map_, clusters_, contributions_.scores, output, options_.keep);
    Program body = slice(program_, map_, keep);
    ModuleResult noted;
    noted.output = output;
    noted.file = module_file(output);
    noted.slice_difference = checked_difference(output, keep, body);
    if (options_.repair == RepairMethod::least_squares) repair_body(body, keep, output);
    Program module = options_.head == HeadMethod::original ? body : with_new_head(body, keep, output);
    const std::string bytes = serialise(module);
    files.write(noted.file, bytes);
    check_file(files.path(noted.file), module);
    noted.bytes = static_cast<int64_t>(bytes.size());
    noted.parameters = module.parameter_count();
    noted.compression = static_cast<double>(result_.parameters) / static_cast<double>(noted.parameters);
    noted.kept = kept_channels(keep, output);
    result_.modules.push_back(std::move(noted));
    selections_.push_back(keep);
    programs_.push_back(std::move(module));
  }

  /// Repairs on samples of the module's class and as many of others, or on any for regression.
  void repair_body(Program& body, const Selection& keep, int64_t output) const {
    at::Tensor samples = fit_.samples;
    if (task_ == Task::classification) {
      const at::Tensor own = fit_.classes.index_select(0, samples) == output;
      const at::Tensor positives = samples.masked_select(own);
      const at::Tensor others = samples.masked_select(own.logical_not());
      const int64_t count = std::min({positives.size(0), others.size(0), most_repair_samples / 2});
      samples = at::cat({positives.narrow(0, 0, count), others.narrow(0, 0, count)});
    } else {
      samples = samples.narrow(0, 0, std::min(samples.size(0), most_repair_samples));
    }
    RepairParams params;
    params.head = options_.head == HeadMethod::original;
    params.seed = derive_seed(options_.seed, fmt::format("repair {}", output));
    repair(program_, map_, keep, data_, samples, params, body);
  }

  /// A slice that differs from the masked original is never written.
  double checked_difference(int64_t output, const Selection& keep, const Program& body) const {
    const SliceCheck check = check_slice(program_, map_, keep, body, first_samples(data_, device_));
    if (check.difference <= slice_tolerance) return check.difference;
    fail(ExitCode::internal,
         "module {}: the slice differs from the masked original by {:.2g} (at most {:.2g} is allowed), so it is not "
         "written; please report "
         "this model",
         output, check.difference, slice_tolerance);
  }

  /// What was written is read back and compared: it must be loadable, and the same function.
  void check_file(const std::filesystem::path& file, const Program& module) const {
    const at::NoGradGuard no_grad;
    const Batch batch = first_samples(data_, device_);
    const Program read = load_program(file, batch);
    const at::Tensor expected = Executor(module)(batch);
    const at::Tensor found = Executor(read)(batch);
    const double scale = std::max(expected.abs().max().item<double>(), 1e-30);
    if ((found - expected).abs().max().item<double>() <= 1e-5 * scale) return;
    fail(ExitCode::internal,
         "{}: read back, it gives other outputs than the module in memory; please report this model", file.string());
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

  Program with_new_head(const Program& body, const Selection& keep, int64_t output) {
    const FittableHead place = fittable_head(program_, map_, task_);
    const Layer& head = place.layer;
    const at::Tensor samples = head_samples(body);
    HeadData data;
    data.features = head_features(body, place, samples);
    data.has_bias = head.bias >= 0;
    data.kind = kind_;
    Head original;
    original.weight = body.value(head.weight).content.toTensor().flatten(1);
    if (data.has_bias) original.bias = body.value(head.bias).content.toTensor();
    HeadParams params;
    params.method = options_.head;
    params.epochs = options_.epochs;
    params.seed = derive_seed(options_.seed, fmt::format("head {}", output));
    Head fitted;
    if (task_ == Task::classification) {
      data.positive = (fit_.classes.index_select(0, samples) == output).to(device_);
      fitted = fit_classification_head(data, original, output, params);
    } else {
      data.rectified = !place.relus.empty();
      data.values = fit_.values.index_select(0, samples).select(1, output).contiguous().to(device_);
      fitted = fit_regression_head(data, original, output, params);
    }
    // The slice keeps as many of the head's channels as the new one has rows; then their weights are replaced.
    Selection rows = keep;
    for (const int32_t unit : head.units)
      rows[static_cast<size_t>(unit)] = false;
    rows[static_cast<size_t>(head.units[static_cast<size_t>(output)])] = true;
    if (fitted.weight.size(0) == 2) {
      rows[static_cast<size_t>(head.units[output == 0 ? 1 : 0])] = true;
    }
    Program module = slice(program_, map_, rows);
    for (size_t i = 0; i < module.values.size(); ++i) {  // the rest is the body's, which may be repaired
      if (module.values[i].kind == Value::Kind::parameter) module.values[i].content = body.values[i].content;
    }
    put_head(place, fitted, task_, module);
    return module;
  }

  /// Samples to fit heads on: all, or as many as the memory holds in double precision.
  at::Tensor head_samples(const Program& body) {
    const Layer& head = map_.layers[static_cast<size_t>(map_.head)];
    const int64_t row = body.value(head.weight).content.toTensor().size(1) * 4 * static_cast<int64_t>(sizeof(double));
    const int64_t most = std::max<int64_t>(memory() / row, 1000);
    return fit_.samples.narrow(0, 0, std::min(most, fit_.samples.size(0)));
  }

  /// What the body gives its head: [samples, features]. The body is run once.
  at::Tensor head_features(const Program& body, const FittableHead& head, const at::Tensor& samples) const {
    const at::NoGradGuard no_grad;
    const int64_t batch = batch_size(body, first_samples(data_, device_), 1024);
    const Executor executor(body);
    std::vector<bool> keep(body.values.size(), false);
    const NodeId node = body.maker(head.layer.output);
    const ValueId read = body.node(node).inputs[0];
    keep[static_cast<size_t>(read)] = true;
    std::vector<at::Tensor> features;
    for (int64_t first = 0; first < samples.size(0); first += batch) {
      Environment environment =
          executor.start(data_.batch(samples.narrow(0, first, std::min(batch, samples.size(0) - first)), device_));
      executor.run(environment, 0, node, keep);
      features.push_back(head.features(environment[static_cast<size_t>(read)].toTensor()));
    }
    return at::cat(features);
  }

  void measure() {
    std::vector<at::Tensor> scores;
    double compression = 0;
    for (size_t i = 0; i < programs_.size(); ++i) {
      scores.push_back(module_scores({outputs_[i], &programs_[i], result_.own_heads}, kind_, task_, held_out_));
      result_.modules[i].multiply_adds = multiply_adds(programs_[i], samples_of_size(2));
      compression += result_.modules[i].compression;
      report("evaluating", static_cast<int64_t>(i) + 1, static_cast<int64_t>(programs_.size()), "modules");
    }
    const at::Tensor own = outputs_for(program_, *held_out_.data, held_out_.samples);
    result_.evaluation = evaluate(own, at::stack(scores, 1), outputs_, kind_, task_, held_out_);
    result_.bytes = static_cast<int64_t>(std::filesystem::file_size(options_.model));
    result_.multiply_adds = multiply_adds(program_, samples_of_size(2));
    result_.mean_compression = compression / static_cast<double>(result_.modules.size());
    result_.overlap = overlap_matrix(map_, selections_);
    result_.mean_overlap = mean_overlap(result_.overlap);
    result_.device = device_.str();
    result_.threads = at::get_num_threads();
    note_settings();
  }

  void note_settings() {
    const auto name = [](auto value) { return std::string(to_string(value)); };
    result_.settings = {
        {"task", name(task_)},
        {"input_key", options_.data.input_key},
        {"target_key", options_.data.target_key},
        {"input_scale", data_.input_scale.value_or(std::numeric_limits<double>::quiet_NaN())},
        {"input_shape", options_.data.input_shape},
        {"output", options_.output},
        {"metric", name(metric_)},
        {"factors", options_.factors},
        {"clustering", name(options_.clustering)},
        {"cluster_size", options_.cluster_size},
        {"keep", options_.keep},
        {"samples", options_.samples},
        {"agreement", options_.agreement.value_or(std::numeric_limits<double>::quiet_NaN())},
        {"repair", name(options_.repair)},
        {"head", name(options_.head)},
        {"epochs", options_.epochs},
        {"outputs", outputs_},
        {"held_out", options_.test ? 0.0 : options_.held_out},
        {"seed", static_cast<int64_t>(options_.seed)},
        {"device", device_.str()},
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
  int64_t memory_ = 0;  // 0: not asked for yet
  std::vector<Selection> selections_;
  std::vector<Program> programs_;
};

}  // namespace

bool has_checkpoint(const std::filesystem::path& out) {
  std::error_code error;
  return std::filesystem::exists(out / checkpoint_name, error);
}

Decomposition decompose(const DecomposeOptions& options, const Progress& progress) {
  return Decomposer(options, progress).run();
}

}  // namespace incite
