#include <torch/version.h>

#include <cmath>
#include <numeric>

#include "evaluation/measures.hpp"
#include "incite/version.hpp"
#include "report/json.hpp"
#include "report/json_parts.hpp"
#include "store/document.hpp"

namespace incite {
namespace {

void add_interval(Json& json, const std::string& name, const std::optional<Interval>& interval) {
  if (interval) json[name + "_interval"] = {interval->low, interval->high};
}

/// Adds a share of `samples`, with its confidence interval if they are few.
void add_share(Json& json, const std::string& name, double share, int64_t samples) {
  json[name] = number(share);
  add_interval(json, name, interval_of_few(share, samples));
}

void add(Json& json, const ClassMeasures& measures, bool iou = false) {
  if (iou) json["iou"] = number(measures.iou());
  if (!std::isnan(measures.average_precision)) json["average_precision"] = measures.average_precision;
  json["balanced_accuracy"] = number(measures.balanced_accuracy);
  add_interval(json, "balanced_accuracy", balanced_interval(measures));
  add_share(json, "precision", measures.precision, measures.claims);
  add_share(json, "recall", measures.recall, measures.support);
  json["f1"] = number(measures.f1);
  json["auc"] = number(measures.auc);
}

void add_with_accuracy(Json& json, const ClassMeasures& measures, bool iou) {
  add_share(json, "accuracy", measures.accuracy, measures.samples);
  add(json, measures, iou);
}

void add(Json& json, const ErrorMeasures& measures) {
  json["mae"] = number(measures.mae);
  json["rmse"] = number(measures.rmse);
  json["r2"] = number(measures.r2);
}

Json latency_json(const Latency& latency) {
  return {{"batch_" + std::to_string(small_batch), number(latency.small)},
          {"batch_" + std::to_string(large_batch), number(latency.large)}};
}

template <typename T>
Json rows_json(const at::Tensor& matrix) {
  const at::Tensor values = matrix.contiguous();
  Json rows = Json::array();
  for (int64_t i = 0; i < values.size(0); ++i) {
    const T* row = values.data_ptr<T>() + i * values.size(1);
    rows.push_back(std::vector<T>(row, row + values.size(1)));
  }
  return rows;
}

/// The measures of each class: an entry for each of `outputs`, in their order. `iou`: theirs too.
Json classes_json(const std::vector<ClassMeasures>& classes, const std::vector<int64_t>& outputs, bool iou) {
  Json json = Json::array();
  for (size_t i = 0; i < classes.size(); ++i) {
    Json entry = {{"output", outputs.at(i)}, {"samples", classes[i].support}};
    add(entry, classes[i], iou);
    json.push_back(std::move(entry));
  }
  return json;
}

void add_classification(Json& json, const Evaluation& evaluation, const std::vector<int64_t>& outputs) {
  const ModelMeasures& original = evaluation.original;
  const ModelMeasures& combined = evaluation.combined;
  if (evaluation.positions > 0) {
    json["original_mean_iou"] = number(mean_iou(original));
    json["combined_mean_iou"] = number(mean_iou(combined));
    json["mean_iou_loss"] = number(mean_iou(original) - mean_iou(combined));
  }
  json["accuracy_loss"] = number(original.score - combined.score);
  add_share(json, "agreement_with_original", evaluation.agreement, evaluation.samples);
  json["original_ece"] = number(original.ece);
  json["combined_ece"] = number(combined.ece);
  json["original_classes"] = outputs_json(original, outputs, evaluation.positions > 0);
  json["combined_classes"] = outputs_json(combined, outputs, evaluation.positions > 0);
  add_matrix(json, "original_confusion", original.confusion);
  add_matrix(json, "combined_confusion", combined.confusion);
}

void add_multilabel(Json& json, const Evaluation& evaluation, const std::vector<int64_t>& outputs) {
  const ModelMeasures& original = evaluation.original;
  const ModelMeasures& combined = evaluation.combined;
  json["mean_average_precision_loss"] = number(original.score - combined.score);
  json["agreement_with_original"] = number(evaluation.agreement);
  for (const auto& [name, measures] : {std::pair("original", &original), std::pair("combined", &combined)}) {
    const std::string start = name;
    const SetMeasures mean = mean_of_labels(measures->classes);
    json[start + "_mean_f1"] = number(mean.f1);
    json[start + "_mean_auc"] = number(mean.auc);
    json[start + "_labels"] = outputs_json(*measures, outputs);
  }
}

}  // namespace

Json source(const SourceFile& file) {
  return {{"file", file.file}, {"sha256", file.sha256}};
}

Json versions() {
  return {{"incite", version}, {"torch", TORCH_VERSION}};
}

Json cost_json(const Cost& cost) {
  return {{"parameters", cost.parameters}, {"bytes", cost.bytes}, {"multiply_adds", cost.multiply_adds}};
}

const char* score_name(Task task) {
  if (task == Task::multilabel) return "mean_average_precision";
  return task == Task::classification ? "accuracy" : "mae";
}

Json set_json(const OutputSet& set) {
  Json json;
  if (set.name.empty()) {
    json["output"] = set.outputs.front();
    if (!set.names.empty()) json["name"] = set.names.front();
    return json;
  }
  json["name"] = set.name;
  json["outputs"] = set.outputs;
  if (!set.names.empty()) json["output_names"] = set.names;
  return json;
}

void add_measures(Json& json, const Evaluation& evaluation, size_t module, const OutputSet& set) {
  Json original = Json::object();
  if (evaluation.task == Task::regression) {
    add(json, evaluation.module_errors.at(module));
    add(original, evaluation.original_errors.at(module));
  } else {
    const bool iou = evaluation.task == Task::classification && evaluation.positions > 0;
    add_with_accuracy(json, evaluation.modules.at(module), iou && set.size() == 1);
    add_with_accuracy(original, evaluation.originals.at(module), iou && set.size() == 1);
    if (set.size() > 1) {
      json["classes"] = classes_json(evaluation.modules.at(module).classes, set.outputs, iou);
      original["classes"] = classes_json(evaluation.originals.at(module).classes, set.outputs, iou);
    }
  }
  json["original"] = std::move(original);
}

void add_matrix(Json& json, const std::string& name, const at::Tensor& matrix) {
  if (!matrix.defined() || matrix.size(0) > most_in_matrix) return;
  json[name] = matrix.scalar_type() == at::kLong ? rows_json<int64_t>(matrix) : rows_json<double>(matrix);
}

Json evaluation_json(const Evaluation& evaluation, const std::vector<int64_t>& outputs) {
  const std::string name = score_name(evaluation.task);
  Json json = {{"samples", evaluation.samples}, {"test_samples", evaluation.test_samples}};
  if (evaluation.positions > 0) json["positions"] = evaluation.positions;
  // A mean error is not a share, and has no interval.
  const int64_t shares = evaluation.task == Task::classification ? evaluation.samples : 0;
  add_share(json, "original_" + name, evaluation.original.score, shares);
  add_share(json, "combined_" + name, evaluation.combined.score, shares);
  if (evaluation.task == Task::classification) {
    add_classification(json, evaluation, outputs);
  } else if (evaluation.task == Task::multilabel) {
    add_multilabel(json, evaluation, outputs);
  } else {
    json["mae_gain"] = number(evaluation.combined.score / evaluation.original.score - 1);
    json["original_outputs"] = outputs_json(evaluation.original, outputs);
  }
  return json;
}

Json outputs_json(const ModelMeasures& measures, const std::vector<int64_t>& outputs, bool iou) {
  Json json = classes_json(measures.classes, outputs, iou);
  for (size_t i = 0; i < measures.errors.size(); ++i) {
    Json entry = {{"output", outputs.at(i)}};
    add(entry, measures.errors[i]);
    json.push_back(std::move(entry));
  }
  return json;
}

std::vector<int64_t> outputs_of(const Decomposition& decomposition) {
  std::vector<int64_t> outputs;
  for (const ModuleResult& module : decomposition.modules)
    outputs.insert(outputs.end(), module.set.outputs.begin(), module.set.outputs.end());
  return outputs;
}

std::string to_json(const ModulesEvaluation& e) {
  const Decomposition& d = e.decomposition;
  Json json;
  json["schema"] = schema;
  json["model"] = source(d.model);
  json["data"] = source(e.data);
  json["modules"] = Json::array();
  for (size_t i = 0; i < d.modules.size(); ++i) {
    const ModuleResult& module = d.modules[i];
    Json entry = set_json(module.set);
    entry["file"] = module.file;
    entry["parameters"] = module.parameters;
    entry["bytes"] = module.bytes;
    entry["compression"] = module.compression;
    entry["multiply_adds"] = module.multiply_adds;
    add_measures(entry, e.evaluation, i, module.set);
    if (e.latency) entry["latency_ms"] = latency_json(e.latency->modules[i]);
    json["modules"].push_back(std::move(entry));
  }
  json["evaluation"] = evaluation_json(e.evaluation, outputs_of(d));
  json["costs"] = {{"original", cost_json(d.cost())}, {"modules", cost_json(d.cost_of_modules())}};
  if (e.latency) {
    json["costs"]["original"]["latency_ms"] = latency_json(e.latency->original);
    json["costs"]["modules"]["latency_ms"] = latency_json(e.latency->together);
  }
  json["warnings"] = e.warnings;
  json["versions"] = versions();
  return text(json);
}

std::string to_json(const ModelEvaluation& e) {
  std::vector<int64_t> outputs = e.labels;
  if (outputs.empty()) {
    outputs.resize(static_cast<size_t>(e.outputs));
    std::iota(outputs.begin(), outputs.end(), 0);
  }
  Json json;
  json["schema"] = schema;
  json["model"] = source(e.model);
  json["model"].update({{"outputs", e.outputs}, {"output_kind", to_string(e.kind)}, {"task", to_string(e.task)}});
  if (!e.names.empty()) json["model"]["names"] = e.names;
  if (!e.labels.empty()) json["model"]["labels"] = e.labels;
  json["data"] = source(e.data);
  Json measured = {{"samples", e.samples}};
  add_share(measured, score_name(e.task), e.measures.score, e.task == Task::classification ? e.samples : 0);
  if (!e.labels.empty()) measured["all_samples"] = e.all_samples;
  if (e.positions > 0) measured["positions"] = e.positions;
  const bool iou = e.task == Task::classification && e.positions > 0;
  if (iou) measured["mean_iou"] = number(mean_iou(e.measures));
  if (e.task == Task::classification) measured["ece"] = number(e.measures.ece);
  const char* const name = e.task == Task::classification ? "classes"
                           : e.task == Task::multilabel   ? "labels"
                                                          : "outputs";
  measured[name] = outputs_json(e.measures, outputs, iou);
  if (!e.alone.empty()) measured["alone"] = Json::array();
  for (size_t i = 0; i < e.alone.size(); ++i) {
    Json entry = {
        {"output", outputs.at(i)}, {"samples", e.alone[i].support}, {"accuracy", number(e.alone[i].accuracy)}};
    add(entry, e.alone[i], iou);
    measured["alone"].push_back(std::move(entry));
  }
  add_matrix(measured, "confusion", e.measures.confusion);
  json["evaluation"] = std::move(measured);
  json["costs"] = {{"model", cost_json(e.cost)}};
  if (e.latency) json["costs"]["model"]["latency_ms"] = latency_json(*e.latency);
  json["warnings"] = e.warnings;
  json["versions"] = versions();
  return text(json);
}

}  // namespace incite
