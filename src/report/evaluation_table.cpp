#include "incite/report/evaluation_table.hpp"

#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "incite/report/table.hpp"
#include "summary.hpp"

namespace incite {
namespace {

using Cells = std::vector<std::string>;

void append(Cells& cells, const Cells& more) {
  cells.insert(cells.end(), more.begin(), more.end());
}

/// A line for each that has costs.
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
  const std::string interval = human_interval(evaluation.agreement, evaluation.samples);
  lines += fmt::format("Agreement with the original: {}{} of the samples\n", human_percent(evaluation.agreement),
                       interval.empty() ? "" : " " + interval);
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
    table.add(cells);
    if (!classes) return;
    const Cells intervals = class_intervals(e.measures.classes[i]);
    if (intervals[0].empty() && intervals[1].empty()) return;
    cells = {"", ""};
    append(cells, intervals);
    table.add(cells);
  });
  return table.text() + note;
}

std::string model_line(const ModelEvaluation& e) {
  if (e.task == Task::regression) {
    return fmt::format("Mean absolute error on {} samples: {:.6f}\n", human_count(e.samples), e.measures.score);
  }
  const std::string interval = human_interval(e.measures.score, e.samples);
  return fmt::format("Accuracy on {} samples: {}{}, expected calibration error {}\n", human_count(e.samples),
                     human_percent(e.measures.score), interval.empty() ? "" : " " + interval,
                     human_percent(e.measures.ece));
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
  return fmt::format("{}: {}\n\n", e.model.file, human_outputs(e.outputs, e.kind, e.task)) + outputs_table(e) + "\n" +
         cost_table({CostLine{"model", e.cost, e.latency}}) + "\n" + model_line(e);
}

}  // namespace incite
