#include "report/summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace incite {
namespace {

constexpr size_t most_rows = 30;
constexpr size_t shown_at_each_end = 5;

/// Indices, best first. Undefined scores follow the best that are shown, so that they are not among the worst.
std::vector<size_t> ranked(const std::vector<double>& scores, bool largest_is_best) {
  std::vector<size_t> order, undefined_ones;
  for (size_t i = 0; i < scores.size(); ++i)
    (std::isfinite(scores[i]) ? order : undefined_ones).push_back(i);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return largest_is_best ? scores[a] > scores[b] : scores[a] < scores[b]; });
  const auto place = static_cast<std::ptrdiff_t>(std::min(order.size(), shown_at_each_end));
  order.insert(order.begin() + place, undefined_ones.begin(), undefined_ones.end());
  return order;
}

}  // namespace

Ranking ranking_of(Task task) {
  return {headline_header(task), task != Task::regression};
}

std::string add_rows(Table& table, const std::vector<double>& scores, const Ranking& ranking,
                     const std::function<void(size_t)>& add) {
  if (scores.size() <= most_rows) {
    for (size_t i = 0; i < scores.size(); ++i)
      add(i);
    return "";
  }
  const std::vector<size_t> order = ranked(scores, ranking.largest_is_best);
  for (size_t i = 0; i < shown_at_each_end; ++i)
    add(order[i]);
  table.add(std::vector<std::string>(table.columns(), "..."));
  for (size_t i = order.size() - shown_at_each_end; i < order.size(); ++i)
    add(order[i]);
  return fmt::format("The best {0} and the worst {0} of {1} by {2}; --json has all.\n", shown_at_each_end,
                     human_count(static_cast<int64_t>(scores.size())), ranking.measure);
}

std::string headline_text(double value, Task task) {
  return task == Task::regression ? fmt::format("{:.6f}", value) : human_percent(value);
}

std::string headline_header(Task task) {
  if (task == Task::multilabel) return "average precision";
  return task == Task::classification ? "balanced accuracy" : "mean absolute error";
}

std::string decimals(double value, int digits) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "-";
}

std::vector<std::string> class_header() {
  return {"precision", "recall", "F1", "AUC"};
}

std::vector<std::string> class_cells(const ClassMeasures& measures) {
  return {human_percent(measures.precision), human_percent(measures.recall), human_percent(measures.f1),
          decimals(measures.auc, 4)};
}

std::vector<std::string> class_intervals(const ClassMeasures& measures) {
  return {human_interval(measures.precision, measures.claims), human_interval(measures.recall, measures.support), "",
          ""};
}

std::vector<std::string> position_header() {
  return {"IoU", "precision", "recall", "F1"};
}

std::vector<std::string> position_cells(const ClassMeasures& measures) {
  return {human_percent(measures.iou()), human_percent(measures.precision), human_percent(measures.recall),
          human_percent(measures.f1)};
}

std::vector<std::string> label_header() {
  std::vector<std::string> header = class_header();
  header.insert(header.begin(), "average precision");
  return header;
}

std::vector<std::string> label_cells(const ClassMeasures& measures) {
  std::vector<std::string> cells = class_cells(measures);
  cells.insert(cells.begin(), human_percent(measures.average_precision));
  return cells;
}

std::vector<std::string> error_header() {
  return {"MAE", "RMSE", "R2"};
}

std::vector<std::string> error_cells(const ErrorMeasures& measures) {
  return {decimals(measures.mae, 6), decimals(measures.rmse, 6), decimals(measures.r2, 4)};
}

std::string comparison_table(const Evaluation& evaluation, const std::vector<ModuleResult>& modules) {
  const bool classes = evaluation.task == Task::classification;
  const bool labels = evaluation.task == Task::multilabel;
  std::vector<std::string> header = {classes ? "class" : labels ? "label" : "output", "model"};
  const auto append = [](std::vector<std::string> cells, const std::vector<std::string>& more) {
    cells.insert(cells.end(), more.begin(), more.end());
    return cells;
  };
  if (classes) header = append(header, {"accuracy", "balanced"});
  const bool positions = classes && evaluation.positions > 0;
  Table table(append(header, positions ? position_header()
                             : classes ? class_header()
                             : labels  ? label_header()
                                       : error_header()),
              {1});
  const auto add_class = [&](const std::string& output, const std::string& model, const ClassMeasures& measures) {
    table.add(append({output, model, human_percent(measures.accuracy), human_percent(measures.balanced_accuracy)},
                     positions ? position_cells(measures) : class_cells(measures)));
    if (positions) return;  // there are enough of them
    const std::vector<std::string> intervals = append(
        {"", "", human_interval(measures.accuracy, measures.samples), human_interval(balanced_interval(measures))},
        class_intervals(measures));
    const bool some = std::any_of(intervals.begin(), intervals.end(), [](const auto& cell) { return !cell.empty(); });
    if (some) table.add(intervals);
  };
  std::vector<double> scores;
  for (size_t i = 0; i < modules.size(); ++i)
    scores.push_back(evaluation.headline(i));
  const std::string note = add_rows(table, scores, ranking_of(evaluation.task), [&](size_t i) {
    const std::string output = modules[i].set.title();
    if (classes) {
      add_class(output, "original", evaluation.originals[i]);
      add_class("", modules[i].file, evaluation.modules[i]);
    } else if (labels) {
      table.add(append({output, "original"}, label_cells(evaluation.originals[i])));
      table.add(append({"", modules[i].file}, label_cells(evaluation.modules[i])));
    } else {
      table.add(append({output, "original"}, error_cells(evaluation.original_errors[i])));
      table.add(append({"", modules[i].file}, error_cells(evaluation.module_errors[i])));
    }
  });
  return table.text() + note;
}

std::string samples_text(const Evaluation& evaluation) {
  const char* const unit = evaluation.positions > 0 ? "positions" : "samples";
  if (evaluation.samples >= evaluation.test_samples) return fmt::format("{} {}", human_count(evaluation.samples), unit);
  return fmt::format("{} of {} {}, those of classes with modules", human_count(evaluation.samples),
                     human_count(evaluation.test_samples), unit);
}

std::string verdict(const Evaluation& evaluation) {
  const double original = evaluation.original.score;
  const double combined = evaluation.combined.score;
  if (evaluation.task == Task::regression) {
    return fmt::format("Mean absolute error on {}: original {:.6f}, modules together {:.6f} ({:+.2f} %)\n",
                       samples_text(evaluation), original, combined, 100 * (combined / original - 1));
  }
  if (evaluation.task == Task::multilabel) {
    const bool one = evaluation.original.classes.size() == 1;
    return fmt::format("{} on {}: original {}, module{} {} ({:+.2f} points)\n",
                       one ? "Average precision" : "Mean average precision", samples_text(evaluation),
                       human_percent(original), one ? "" : "s together", human_percent(combined),
                       100 * (combined - original));
  }
  if (!std::isfinite(combined)) {
    return fmt::format("Measured on {} {}\n", human_count(evaluation.test_samples),
                       evaluation.positions > 0 ? "positions" : "samples");
  }
  const auto percent = [&](double share) {
    const std::string interval = human_interval(share, evaluation.samples);
    return human_percent(share) + (interval.empty() ? "" : " " + interval);
  };
  std::string iou;
  if (evaluation.positions > 0) {
    const double before = mean_iou(evaluation.original), after = mean_iou(evaluation.combined);
    iou = fmt::format("Mean intersection over union: original {}, modules together {} ({:+.2f} points)\n",
                      human_percent(before), human_percent(after), 100 * (after - before));
  }
  return fmt::format("Accuracy on {}: original {}, modules together {} ({:+.2f} points)\n", samples_text(evaluation),
                     percent(original), percent(combined), 100 * (combined - original)) +
         iou;
}

}  // namespace incite
