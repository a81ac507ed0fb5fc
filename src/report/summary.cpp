#include "summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace incite {
namespace {

constexpr size_t most_rows = 30;
constexpr size_t shown_at_each_end = 5;

/// Best first; what is undefined stands behind the best that are shown, so that it is not among the worst.
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
  return task == Task::classification ? Ranking{"accuracy", true} : Ranking{"mean absolute error", false};
}

std::string add_rows(Table& table, const std::vector<double>& scores, const Ranking& ranking,
                     const std::function<std::vector<std::string>(size_t)>& row) {
  if (scores.size() <= most_rows) {
    for (size_t i = 0; i < scores.size(); ++i)
      table.add(row(i));
    return "";
  }
  const std::vector<size_t> order = ranked(scores, ranking.largest_is_best);
  for (size_t i = 0; i < shown_at_each_end; ++i)
    table.add(row(order[i]));
  table.add(std::vector<std::string>(row(order[0]).size(), "..."));
  for (size_t i = order.size() - shown_at_each_end; i < order.size(); ++i)
    table.add(row(order[i]));
  return fmt::format("The best {0} and the worst {0} of {1} by {2}; --json has all.\n", shown_at_each_end,
                     human_count(static_cast<int64_t>(scores.size())), ranking.measure);
}

std::string outputs_text(int64_t outputs, bool one_column) {
  return one_column ? fmt::format("1 output for {} classes", outputs) : fmt::format("{} outputs", human_count(outputs));
}

std::string score_text(double value, Task task) {
  return task == Task::classification ? human_percent(value) : fmt::format("{:.6f}", value);
}

std::string score_header(Task task) {
  return task == Task::classification ? "accuracy (own vs others)" : "mean absolute error";
}

std::string verdict(const Evaluation& evaluation) {
  const double original = evaluation.original.score;
  const double combined = evaluation.combined.score;
  if (evaluation.task == Task::regression) {
    return fmt::format("Mean absolute error on {} samples: original {:.6f}, modules together {:.6f} ({:+.2f} %)\n",
                       human_count(evaluation.samples), original, combined, 100 * (combined / original - 1));
  }
  if (!std::isfinite(combined)) return "";
  return fmt::format("Accuracy on {} samples: original {}, modules together {} ({:+.2f} points)\n",
                     human_count(evaluation.samples), human_percent(original), human_percent(combined),
                     100 * (combined - original));
}

}  // namespace incite
