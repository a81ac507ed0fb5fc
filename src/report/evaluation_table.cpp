#include "report/evaluation_table.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "report/summary.hpp"
#include "report/table.hpp"

namespace incite {
namespace {

using Cells = std::vector<std::string>;

void append(Cells& cells, const Cells& more) {
  cells.insert(cells.end(), more.begin(), more.end());
}

/// A row of the cost table.
struct CostLine {
  std::string name;
  Cost cost;
  std::optional<Latency> latency;
};

std::string milliseconds(double value) {
  return value < 1000 ? decimals(value, 3) : human_count(std::llround(value));
}

std::string cost_table(const std::vector<CostLine>& lines) {
  Cells header = {"cost", "parameters", "size", "multiply-adds"};
  const bool timed = lines[0].latency.has_value();
  if (timed) append(header, {fmt::format("ms for {}", small_batch), fmt::format("ms for {}", large_batch)});
  Table table(header);
  for (const CostLine& line : lines) {
    Cells cells = {line.name, human_count(line.cost.parameters), human_bytes(line.cost.bytes),
                   human_count(std::llround(line.cost.multiply_adds))};
    if (timed) append(cells, {milliseconds(line.latency->small), milliseconds(line.latency->large)});
    table.add(cells);
  }
  return table.text();
}

std::string together_lines(const Evaluation& evaluation) {
  std::string lines = verdict(evaluation);
  if (evaluation.task == Task::regression || !std::isfinite(evaluation.combined.score)) return lines;
  if (evaluation.task == Task::multilabel) {
    const auto mean = [](const ModelMeasures& of) { return mean_of_labels(of.classes); };
    const SetMeasures original = mean(evaluation.original), combined = mean(evaluation.combined);
    return lines + fmt::format(
                       "Mean F1 (labels with log-odds above 0): original {}, modules together {}\n"
                       "Mean AUC: original {}, modules together {}\n"
                       "Agreement with the original: {} of the labels\n",
                       human_percent(original.f1), human_percent(combined.f1), decimals(original.auc, 4),
                       decimals(combined.auc, 4), human_percent(evaluation.agreement));
  }
  const std::string interval = human_interval(evaluation.agreement, evaluation.samples);
  lines += fmt::format("Agreement with the original: {}{} of the samples\n", human_percent(evaluation.agreement),
                       interval.empty() ? "" : " " + interval);
  return lines + fmt::format("Expected calibration error: original {}, modules together {}\n",
                             human_percent(evaluation.original.ece), human_percent(evaluation.combined.ece));
}

/// Whether the file answers one question: a module for one class, or a composition of one.
bool is_single(const ModelEvaluation& e) {
  return e.task == Task::classification && e.is_module && e.labels.size() == 1;
}

/// Whether some samples are of classes that have no column.
bool has_others(const ModelEvaluation& e) {
  return e.task == Task::classification && e.samples < e.all_samples;
}

/// The class of a column, with its name if that differs.
std::string label_text(const ModelEvaluation& e, size_t i) {
  const std::string label = std::to_string(e.labels.empty() ? static_cast<int64_t>(i) : e.labels[i]);
  return e.names.empty() || e.names[i] == label ? label : fmt::format("{} ({})", label, e.names[i]);
}

/// A row for each output. For a module, or if some samples are of classes without a column, each output answers by
/// itself; else the largest output decides.
std::string outputs_table(const ModelEvaluation& e) {
  const bool labels = e.task == Task::multilabel;
  const bool classes = e.task == Task::classification;
  const bool alone = is_single(e) || has_others(e);
  const std::vector<ClassMeasures>& measured = alone ? e.alone : e.measures.classes;
  Cells header = {classes ? "class" : labels ? "label" : "output"};
  append(header, classes || labels ? Cells{"samples"} : Cells{});
  append(header, alone ? Cells{"accuracy"} : Cells{});
  const bool positions = classes && e.positions > 0;
  append(header, positions ? position_header() : classes ? class_header() : labels ? label_header() : error_header());
  Table table(header);
  std::vector<double> scores;
  scores.reserve(measured.size() + e.measures.errors.size());
  for (const ClassMeasures& measures : measured)
    scores.push_back(labels ? measures.average_precision : measures.f1);
  for (const ErrorMeasures& measures : e.measures.errors)
    scores.push_back(measures.mae);
  const Ranking ranking = classes ? Ranking{"F1", true} : ranking_of(e.task);
  const std::string note = add_rows(table, scores, ranking, [&](size_t i) {
    Cells cells = {label_text(e, i)};
    if (classes || labels) cells.push_back(human_count(measured[i].support));
    if (alone) cells.push_back(human_percent(measured[i].accuracy));
    append(cells, positions ? position_cells(measured[i])
                  : classes ? class_cells(measured[i])
                  : labels  ? label_cells(measured[i])
                            : error_cells(e.measures.errors[i]));
    table.add(cells);
    if (!classes || positions) return;
    cells = {"", ""};
    if (alone) cells.push_back(human_interval(measured[i].accuracy, measured[i].samples));
    append(cells, class_intervals(measured[i]));
    const bool some = std::any_of(cells.begin(), cells.end(), [](const std::string& cell) { return !cell.empty(); });
    if (some) table.add(cells);
  });
  std::string others;
  if (has_others(e)) {
    const std::string samples = human_count(e.all_samples);
    others = e.is_module
                 ? fmt::format("Each class against all else, on all {} samples.\n", samples)
                 : fmt::format("Each column by itself on all {} samples: it says yes where it is above 0.\n", samples);
  }
  return table.text() + note + others;
}

/// "class 3", "classes 3 and 7", "classes 0, 1 and 2"; only their number if there are many.
std::string classes_text(std::vector<int64_t> labels) {
  constexpr size_t most = 10;
  if (labels.size() > most) return fmt::format("the {} classes that have a column", labels.size());
  std::sort(labels.begin(), labels.end());
  return human_list(labels, "class", "classes");
}

std::string model_line(const ModelEvaluation& e) {
  if (e.task == Task::regression) {
    return fmt::format("Mean absolute error on {} samples: {:.6f}\n", human_count(e.samples), e.measures.score);
  }
  if (e.task == Task::multilabel) {
    const SetMeasures mean = mean_of_labels(e.measures.classes);
    if (mean.classes.size() == 1)
      return fmt::format("Average precision on {} samples: {}\n", human_count(e.samples),
                         human_percent(e.measures.score));
    return fmt::format("Mean average precision on {} samples: {}, mean F1 {}, mean AUC {}\n", human_count(e.samples),
                       human_percent(e.measures.score), human_percent(mean.f1), decimals(mean.auc, 4));
  }
  const char* const unit = e.positions > 0 ? "positions" : "samples";
  std::string samples = fmt::format("{} {}", human_count(e.samples), unit);
  if (is_single(e)) {
    const int64_t own = e.alone[0].support;
    samples +=
        fmt::format(", {} of class {} and {} of others", human_count(own), e.labels[0], human_count(e.samples - own));
  } else if (has_others(e)) {
    samples = fmt::format("{} of {} {}, those of {}", human_count(e.samples), human_count(e.all_samples), unit,
                          classes_text(e.labels));
  }
  const std::string iou = e.positions > 0 && !is_single(e)
                              ? fmt::format("Mean intersection over union: {}\n", human_percent(mean_iou(e.measures)))
                              : "";
  const std::string interval = human_interval(e.measures.score, e.samples);
  return iou + fmt::format("Accuracy on {}: {}{}, expected calibration error {}\n", samples,
                           human_percent(e.measures.score), interval.empty() ? "" : " " + interval,
                           human_percent(e.measures.ece));
}

std::string title(const ModelEvaluation& e) {
  if (!e.is_module) {
    return fmt::format("{}: {}", e.model.file, human_outputs(e.outputs, e.kind, e.task, e.one_column));
  }
  const bool classes = e.task == Task::classification;
  const char* const one = classes ? "class" : e.task == Task::multilabel ? "label" : "output";
  const std::string what = human_list(e.labels, one, classes ? "classes" : std::string(one) + "s");
  if (!classes) return fmt::format("{}: a module for {}", e.model.file, what);
  const bool others = is_single(e) || e.outputs != static_cast<int64_t>(e.labels.size());
  return fmt::format("{}: a module for {}{} ({})", e.model.file, what, others ? " against all others" : "",
                     to_string(e.kind));
}

}  // namespace

std::string to_table(const ModulesEvaluation& e) {
  const auto of = [&](const Latency LatencyResult::*latency) {
    return e.latency ? std::optional((*e.latency).*latency) : std::nullopt;
  };
  const std::vector<CostLine> costs = {
      {"original", e.decomposition.cost(), of(&LatencyResult::original)},
      {"all modules", e.decomposition.cost_of_modules(), of(&LatencyResult::together)}};
  return comparison_table(e.evaluation, e.decomposition.modules) + "\n" + cost_table(costs) + "\n" +
         together_lines(e.evaluation);
}

std::string to_table(const ModelEvaluation& e) {
  return title(e) + "\n\n" + outputs_table(e) + "\n" + cost_table({CostLine{"model", e.cost, e.latency}}) + "\n" +
         model_line(e);
}

}  // namespace incite
