#include "incite/report/evaluation_table.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "incite/report/table.hpp"
#include "summary.hpp"

namespace incite {
namespace {

using Cells = std::vector<std::string>;

std::string decimals(double value, int digits) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "-";
}

void append(Cells& cells, const Cells& more) {
  cells.insert(cells.end(), more.begin(), more.end());
}

Cells class_header() {
  return {"precision", "recall", "F1", "AUC"};
}

Cells class_cells(const ClassMeasures& measures) {
  return {human_percent(measures.precision), human_percent(measures.recall), human_percent(measures.f1),
          decimals(measures.auc, 4)};
}

Cells error_header() {
  return {"MAE", "RMSE", "R2"};
}

Cells error_cells(const ErrorMeasures& measures) {
  return {decimals(measures.mae, 6), decimals(measures.rmse, 6), decimals(measures.r2, 4)};
}

/// A line for each that has costs.
struct CostLine {
  std::string name;
  Cost cost;
  std::optional<Latency> latency;
};

std::string cost_table(const std::vector<CostLine>& lines) {
  Cells header = {"cost", "parameters", "size", "multiply-adds"};
  const bool timed = lines[0].latency.has_value();
  if (timed) append(header, {fmt::format("ms, batch {}", small_batch), fmt::format("ms, batch {}", large_batch)});
  Table table(header);
  for (const CostLine& line : lines) {
    Cells cells = {line.name, human_count(line.cost.parameters), human_bytes(line.cost.bytes),
                   human_count(std::llround(line.cost.multiply_adds))};
    if (timed) append(cells, {decimals(line.latency->small, 3), decimals(line.latency->large, 3)});
    table.add(cells);
  }
  return table.text();
}

std::string modules_table(const ModulesEvaluation& e) {
  const bool classes = e.evaluation.task == Task::classification;
  const std::vector<ModuleResult>& modules = e.decomposition.modules;
  Cells header = {"module", "parameters", "compression"};
  append(header, classes ? Cells{"accuracy"} : Cells{});
  append(header, classes ? class_header() : error_header());
  append(header, classes ? Cells{} : Cells{"original MAE", "original R2"});
  Table table(header);
  std::vector<double> scores;
  for (size_t i = 0; i < modules.size(); ++i)
    scores.push_back(e.evaluation.score(i));
  const std::string note = add_rows(table, scores, ranking_of(e.evaluation.task), [&](size_t i) {
    Cells cells = {modules[i].file, human_count(modules[i].parameters), human_ratio(modules[i].compression)};
    if (classes) {
      cells.push_back(human_percent(e.evaluation.modules[i].accuracy));
      append(cells, class_cells(e.evaluation.modules[i]));
      return cells;
    }
    const ErrorMeasures& original = e.evaluation.original.errors[i];
    append(cells, error_cells(e.evaluation.combined.errors[i]));
    append(cells, {decimals(original.mae, 6), decimals(original.r2, 4)});
    return cells;
  });
  return table.text() + note;
}

std::string together_lines(const Evaluation& evaluation) {
  std::string lines = verdict(evaluation);
  if (evaluation.task == Task::regression || lines.empty()) return lines;
  lines += fmt::format("Agreement with the original: {} of the samples\n", human_percent(evaluation.agreement));
  return lines + fmt::format("Expected calibration error: original {}, modules together {}\n",
                             human_percent(evaluation.original.ece), human_percent(evaluation.combined.ece));
}

/// Whether some samples are of classes that have no column.
bool has_others(const ModelEvaluation& e) {
  return e.task == Task::classification && e.samples < e.all_samples;
}

/// A column's class, with its name where that is another.
std::string label_text(const ModelEvaluation& e, size_t i) {
  const std::string label = std::to_string(e.labels.empty() ? static_cast<int64_t>(i) : e.labels[i]);
  return e.names.empty() || e.names[i] == label ? label : fmt::format("{} ({})", label, e.names[i]);
}

/// A row for each output: of a module, or where there are others, as each answers by itself; else as the largest
/// decides.
std::string outputs_table(const ModelEvaluation& e) {
  const bool classes = e.task == Task::classification;
  const bool alone = classes && (e.is_module || has_others(e));
  const std::vector<ClassMeasures>& measured = alone ? e.alone : e.measures.classes;
  Cells header = {classes ? "class" : "output"};
  append(header, classes ? Cells{"samples"} : Cells{});
  append(header, alone ? Cells{"accuracy"} : Cells{});
  append(header, classes ? class_header() : error_header());
  Table table(header);
  std::vector<double> scores;
  for (const ClassMeasures& measures : measured)
    scores.push_back(measures.f1);
  for (const ErrorMeasures& measures : e.measures.errors)
    scores.push_back(measures.mae);
  const Ranking ranking = classes ? Ranking{"F1", true} : ranking_of(Task::regression);
  const std::string note = add_rows(table, scores, ranking, [&](size_t i) {
    Cells cells = {label_text(e, i)};
    if (classes) cells.push_back(human_count(measured[i].support));
    if (alone) cells.push_back(human_percent(measured[i].accuracy));
    append(cells, classes ? class_cells(measured[i]) : error_cells(e.measures.errors[i]));
    return cells;
  });
  const std::string others =
      has_others(e) ? fmt::format("Each column by itself on all {} samples: it says yes where it is above 0.\n",
                                  human_count(e.all_samples))
                    : "";
  return table.text() + note + others;
}

/// "class 3", "classes 3 and 7", "classes 0, 1 and 2"; of many, how many.
std::string classes_text(const std::vector<int64_t>& labels) {
  constexpr size_t most = 10;
  if (labels.size() > most) return fmt::format("the {} classes that have a column", labels.size());
  std::vector<int64_t> sorted = labels;
  std::sort(sorted.begin(), sorted.end());
  const std::vector<int64_t> front(sorted.begin(), sorted.end() - 1);
  return front.empty() ? fmt::format("class {}", sorted.back())
                       : fmt::format("classes {} and {}", fmt::join(front, ", "), sorted.back());
}

std::string model_line(const ModelEvaluation& e) {
  if (e.task == Task::regression) {
    return fmt::format("Mean absolute error on {} samples: {:.6f}\n", human_count(e.samples), e.measures.score);
  }
  std::string samples = human_count(e.samples) + " samples";
  if (e.is_module) {
    const int64_t own = e.alone[0].support;
    samples +=
        fmt::format(", {} of class {} and {} of others", human_count(own), e.labels[0], human_count(e.samples - own));
  } else if (has_others(e)) {
    samples = fmt::format("{} of {} samples, those of {}", human_count(e.samples), human_count(e.all_samples),
                          classes_text(e.labels));
  }
  return fmt::format("Accuracy on {}: {}, expected calibration error {}\n", samples, human_percent(e.measures.score),
                     human_percent(e.measures.ece));
}

std::string title(const ModelEvaluation& e) {
  if (!e.is_module) {
    return fmt::format("{}: {} ({})", e.model.file, outputs_text(e.outputs, e.one_column), to_string(e.kind));
  }
  if (e.task == Task::regression) return fmt::format("{}: a module for output {}", e.model.file, e.labels[0]);
  return fmt::format("{}: a module for class {} against all others ({})", e.model.file, e.labels[0], to_string(e.kind));
}

}  // namespace

std::string to_table(const ModulesEvaluation& e) {
  const auto of = [&](const Latency LatencyResult::*latency) {
    return e.latency ? std::optional((*e.latency).*latency) : std::nullopt;
  };
  const std::vector<CostLine> costs = {
      {"original", e.decomposition.cost(), of(&LatencyResult::original)},
      {"modules together", e.decomposition.cost_of_modules(), of(&LatencyResult::together)}};
  return modules_table(e) + "\n" + cost_table(costs) + "\n" + together_lines(e.evaluation);
}

std::string to_table(const ModelEvaluation& e) {
  return title(e) + "\n\n" + outputs_table(e) + "\n" + cost_table({CostLine{"model", e.cost, e.latency}}) + "\n" +
         model_line(e);
}

}  // namespace incite
