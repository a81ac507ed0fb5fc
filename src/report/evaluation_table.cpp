#include "incite/report/evaluation_table.hpp"

#include <fmt/format.h>

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

std::string outputs_table(const ModelEvaluation& e) {
  const bool classes = e.task == Task::classification;
  Cells header = {classes ? "class" : "output"};
  append(header, classes ? Cells{"samples"} : Cells{});
  append(header, classes ? class_header() : error_header());
  Table table(header);
  std::vector<double> scores;
  for (const ClassMeasures& measures : e.measures.classes)
    scores.push_back(measures.f1);
  for (const ErrorMeasures& measures : e.measures.errors)
    scores.push_back(measures.mae);
  const Ranking ranking = classes ? Ranking{"F1", true} : ranking_of(Task::regression);
  const std::string note = add_rows(table, scores, ranking, [&](size_t i) {
    Cells cells = {std::to_string(i)};
    if (classes) cells.push_back(human_count(e.measures.classes[i].support));
    append(cells, classes ? class_cells(e.measures.classes[i]) : error_cells(e.measures.errors[i]));
    return cells;
  });
  return table.text() + note;
}

std::string model_line(const ModelEvaluation& e) {
  if (e.task == Task::regression) {
    return fmt::format("Mean absolute error on {} samples: {:.6f}\n", human_count(e.samples), e.measures.score);
  }
  return fmt::format("Accuracy on {} samples: {}, expected calibration error {}\n", human_count(e.samples),
                     human_percent(e.measures.score), human_percent(e.measures.ece));
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
  return fmt::format("{}: {} outputs ({})\n\n", e.model.file, human_count(e.outputs), to_string(e.kind)) +
         outputs_table(e) + "\n" + cost_table({CostLine{"model", e.cost, e.latency}}) + "\n" + model_line(e);
}

}  // namespace incite
