#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <tuple>

#include "base/fail.hpp"
#include "base/human.hpp"
#include "evaluation/latency.hpp"
#include "evaluation/result_warnings.hpp"
#include "incite/decompose.hpp"
#include "incite/evaluate.hpp"
#include "program/attributes.hpp"
#include "program/cost.hpp"
#include "program/device.hpp"
#include "store/files.hpp"
#include "store/identify.hpp"
#include "subject/checks.hpp"
#include "subject/samples.hpp"
#include "subject/warnings.hpp"

namespace incite {
namespace {

/// What is known about a file, from itself or from the document beside it.
struct Described {
  FileAttributes attributes;
  std::optional<ModuleIdentity> identity;  ///< of a module or a composition; unset for a model

  bool is_composition() const { return !attributes.names.empty(); }
  bool is_module() const { return identity && identity->is_module(); }
};

Described describe(const std::filesystem::path& file) {
  Described described{read_attributes(file), {}};
  if (described.is_composition()) {
    described.identity = parse_identity(described.attributes.identity);
    return described;
  }
  try {
    if (const auto known = Identifier().identify(file, described.attributes)) described.identity = known->identity;
  } catch (const Error&) {  // a damaged document beside the file says nothing about it
  }
  return described;
}

/// The output of the original that each column of a composition is for. Empty if two columns have the same number, from
/// different originals: labels are then the columns' own numbers.
std::vector<int64_t> labels_of(const FileAttributes& attributes, int64_t columns) {
  const std::vector<int64_t>& outputs = attributes.outputs;
  const std::set<int64_t> different(outputs.begin(), outputs.end());
  if (static_cast<int64_t>(outputs.size()) != columns || different.size() != outputs.size()) return {};
  return outputs;
}

/// The class of every sample, numbered as by the original. `outputs`: how many it has; 0: unknown.
at::Tensor original_classes(const Dataset& data, int64_t outputs) {
  if (outputs > 0) return classes_of(data, outputs);
  const bool rows = data.target.dim() == 2 && data.target.size(1) > 1;
  const double largest = rows ? 0 : data.target.max().item<double>();
  return classes_of(data, rows ? data.target.size(1) : std::max<int64_t>(static_cast<int64_t>(largest) + 1, 1));
}

class Evaluator {
 public:
  Evaluator(const EvaluateModelOptions& options, const Progress& progress)
      : options_(options),
        progress_(progress),
        described_(describe(options.model)),
        data_(read_to_evaluate(options, reading_of(described_.identity.value_or(ModuleIdentity{})))),
        program_(load_model(options.model, data_, options.output, parse_device(options.device))),
        batch_(first_samples(data_, program_.device)) {
    test_.data = &data_;
    test_.samples = at::arange(data_.size(), at::kLong);
  }

  ModelEvaluation run() {
    settle_positions(data_, program_, most_measured_outputs, /*seed=*/0);
    result_.outputs = output_count(program_, batch_);
    result_.positions = data_.positions.defined() ? data_.points_each() : 0;
    result_.samples = result_.all_samples = data_.size() * data_.points_each();
    result_.cost = {program_.parameter_count(), static_cast<int64_t>(std::filesystem::file_size(options_.model)),
                    multiply_adds(program_, batch_)};
    if (described_.is_module()) {
      module();
    } else if (described_.is_composition()) {
      composition();
    } else {
      model();
    }
    if (options_.latency) result_.latency = measure_latency(program_, data_);
    result_.model = {options_.model.string(), sha256_of_file(options_.model)};
    result_.data = {options_.data.string(), sha256_of_file(options_.data)};
    return std::move(result_);
  }

 private:
  void model() {
    AnalysedModel model = analysed(program_, data_);
    result_.task = choose_task(options_.task, data_, model.kind, model.outputs);
    result_.one_column = is_one_column(result_.task, model.outputs);
    if (result_.one_column) model = as_two_columns(options_.model, model.program, data_);
    result_.outputs = model.outputs;
    result_.kind = kind_for(result_.task, model.kind == OutputKind::other ? OutputKind::logits : model.kind);
    const at::Tensor samples = test_.samples;
    test_ = truth(model.program, data_, result_.task, result_.kind, result_.outputs);
    test_.samples = samples;
    const at::Tensor outputs = outputs_for(model.program, data_, samples, progress_);
    if (auto warning = guessing_warning(outputs, result_.kind, result_.task, test_))
      result_.warnings.push_back(*warning);
    result_.measures = measure(outputs, result_.kind, result_.task, test_);
  }

  /// The task of the file. Throws Error (usage) if --task asks for another.
  Task known_task(Task known) const {
    if (options_.task && *options_.task != known) {
      fail(ExitCode::usage, "--task {}: {} is for {}; leave out --task", to_string(*options_.task),
           options_.model.string(), to_string(known));
    }
    return known;
  }

  /// A composition: columns are log-odds, or values.
  void composition() {
    const std::optional<ModuleIdentity>& identity = described_.identity;
    result_.kind = OutputKind::logits;
    result_.task =
        identity ? known_task(identity->task) : choose_task(options_.task, data_, result_.kind, result_.outputs);
    result_.names = described_.attributes.names;
    result_.labels = labels_of(described_.attributes, result_.outputs);
    const int64_t originals = result_.labels.empty() ? result_.outputs : identity ? identity->outputs : 0;
    if (result_.labels.empty()) {
      result_.labels.resize(static_cast<size_t>(result_.outputs));
      std::iota(result_.labels.begin(), result_.labels.end(), 0);
    }
    at::Tensor columns = outputs_for(program_, data_, test_.samples, progress_);
    result_.kind = kind_for(result_.task, result_.kind);
    if (result_.task != Task::classification) return columns_alone(columns, originals);
    const at::Tensor classes = labelled_classes(columns, originals);
    if (result_.outputs == 1) return yes_or_no(columns.select(1, 0).to(at::kDouble), classes);
    for (int64_t column = 0; column < columns.size(1); ++column) {
      const int64_t label = result_.labels[static_cast<size_t>(column)];
      result_.alone.push_back(class_measures(columns.select(1, column), classes == label));
    }
    together(columns, classes);
  }

  /// The classes of all points that are labelled; takes the others' rows out of `columns`.
  at::Tensor labelled_classes(at::Tensor& columns, int64_t originals) {
    at::Tensor classes;
    std::tie(columns, classes) = labelled(columns, original_classes(data_, originals));
    result_.all_samples = classes.size(0);
    return classes;
  }

  /// Measures log-odds [samples, labels] on the samples whose class has a label. `classes`: of all samples.
  void together(const at::Tensor& columns, const at::Tensor& classes) {
    const at::Tensor places = places_of(classes, result_.labels);
    const at::Tensor covered = (places >= 0).nonzero().squeeze(1);
    result_.samples = covered.size(0);
    check_covered(result_.samples);
    result_.measures =
        measure_classifier(columns.index_select(0, covered), OutputKind::logits, places.index_select(0, covered));
  }

  /// Measures the columns of a regression or of labels on the targets that they are for.
  void columns_alone(const at::Tensor& columns, int64_t originals) {
    const int64_t targets = data_.target.dim() == 2 ? data_.target.size(1) : 1;
    // Perhaps only those of the columns.
    const bool own = targets != originals && (targets == columns.size(1) || originals == 0);
    const bool labels = result_.task == Task::multilabel;
    const int64_t count = own ? columns.size(1) : originals;
    at::Tensor wanted = labels ? labels_of(data_, count) : values_of(data_, count);
    if (!own) wanted = wanted.index_select(1, at::tensor(result_.labels, at::kLong));
    result_.measures = labels ? measure_labels(columns.to(at::kDouble), wanted) : measure_regression(columns, wanted);
  }

  void module() {
    const ModuleIdentity& identity = *described_.identity;
    result_.task = known_task(identity.task);
    result_.kind = identity.kind;
    result_.labels = identity.set.outputs;
    result_.names = identity.set.names;
    result_.is_module = true;
    if (result_.outputs != identity.rows()) {
      fail(ExitCode::model_file, "{}: has {} outputs; expected {}, since it is a module for {} of {}",
           options_.model.string(), result_.outputs, identity.rows(),
           human_list(identity.set.outputs, "output", "outputs"), identity.outputs);
    }
    at::Tensor columns =
        module_scores({identity.set, &program_, identity.own_head}, identity.kind, identity.task, test_, progress_);
    if (identity.task != Task::classification) return columns_alone(columns, identity.outputs);
    const at::Tensor classes = labelled_classes(columns, identity.outputs);
    if (identity.set.size() == 1) return yes_or_no(columns.select(1, 0), classes);
    result_.alone = measure_set(columns, identity.set, classes).classes;
    together(columns, classes);
  }

  /// Measures log-odds [samples] as answers to the question whether a sample is of the label's class.
  void yes_or_no(const at::Tensor& scores, const at::Tensor& classes) {
    result_.is_module = true;
    const at::Tensor own = classes == result_.labels[0];
    check_covered(own.sum().item<int64_t>());
    result_.samples = classes.size(0);
    result_.measures =
        measure_classifier(at::stack({at::zeros_like(scores), scores}, 1), OutputKind::logits, own.to(at::kLong));
    result_.alone = {class_measures(scores, own)};
    result_.measures.score = result_.alone[0].accuracy;
    result_.measures.classes = result_.alone;
  }

  void check_covered(int64_t samples) const {
    if (samples > 0) return;
    const bool one = result_.labels.size() == 1;
    fail(ExitCode::data_mismatch,
         "{}: no sample has the label {}, the {} of {}; expected the labels of the original model", data_.file,
         fmt::join(result_.labels, " or "), one ? "class" : "classes", options_.model.string());
  }

  const EvaluateModelOptions& options_;
  const Progress& progress_;
  const Described described_;
  Dataset data_;
  const Program program_;
  const Batch batch_;
  TestSet test_;
  ModelEvaluation result_;
};

}  // namespace

ModelEvaluation evaluate_model(const EvaluateModelOptions& options, const Progress& progress) {
  return Evaluator(options, progress).run();
}

}  // namespace incite
