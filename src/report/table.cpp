#include "report/table.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/fail.hpp"
#include "report/summary.hpp"

namespace incite {
namespace {

std::string seconds_line(const std::vector<std::pair<std::string, double>>& seconds) {
  std::vector<std::string> parts;
  for (const auto& [stage, value] : seconds)
    parts.push_back(fmt::format("{} {:.1f}", stage, value));
  return fmt::format("Seconds: {}\n", fmt::join(parts, ", "));
}

/// The result of the search for --max-loss.
std::string search_line(const Decomposition& d) {
  const auto by_size = [](const SearchStep& a, const SearchStep& b) { return a.compression < b.compression; };
  const auto at_most = [&](const SearchStep& step) {
    return fmt::format("at {} modules lose at most {:.2f} {} on validation samples, with 95 % confidence\n",
                       human_ratio(step.compression), step.bound(), d.task == Task::regression ? "%" : "points");
  };
  std::vector<SearchStep> good;
  std::copy_if(d.steps.begin(), d.steps.end(), std::back_inserter(good),
               [&](const SearchStep& step) { return step.bound() <= *d.max_loss; });
  if (good.empty()) {
    const SearchStep& largest = *std::min_element(d.steps.begin(), d.steps.end(), by_size);
    return fmt::format("Search: none of {} sizes keeps to {:g}, so modules are as large as possible; {}",
                       d.steps.size(), *d.max_loss, at_most(largest));
  }
  const SearchStep& smallest = *std::max_element(good.begin(), good.end(), by_size);
  return fmt::format("Search: {} sizes tried; {}", d.steps.size(), at_most(smallest));
}

/// Blanks between two columns.
constexpr size_t gap = 2;
/// Elastic columns stay at least this wide.
constexpr size_t least_width = 8;

/// Narrows the widest elastic column until the table fits, or no column can get narrower.
void fit(std::vector<size_t>& widths, size_t width, const std::vector<std::string>& header,
         const std::vector<size_t>& elastic) {
  const auto spare = [&](size_t column) {
    const size_t least = std::max(least_width, header[column].size());
    return widths[column] > least ? widths[column] : 0;
  };
  size_t total = gap * (widths.size() - 1);
  for (const size_t column : widths)
    total += column;
  for (; total > width; --total) {
    const auto widest =
        std::max_element(elastic.begin(), elastic.end(), [&](size_t a, size_t b) { return spare(a) < spare(b); });
    if (widest == elastic.end() || spare(*widest) == 0) return;
    --widths[*widest];
  }
}

bool inside_character(char c) {
  return (static_cast<unsigned char>(c) & 0xc0U) == 0x80;  // UTF-8
}

}  // namespace

Table::Table(std::vector<std::string> header, std::vector<size_t> left)
    : header_(std::move(header)), left_(std::move(left)) {}

void Table::add(std::vector<std::string> row) {
  INCITE_ASSERT(row.size() == header_.size());
  rows_.push_back(std::move(row));
}

std::vector<size_t> Table::widths() const {
  std::vector<size_t> widest;
  for (const std::string& cell : header_)
    widest.push_back(cell.size());
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i)
      widest[i] = std::max(widest[i], row[i].size());
  }
  return widest;
}

std::string Table::text(size_t width, const std::vector<size_t>& elastic) const {
  std::vector<size_t> widths = this->widths();
  if (width > 0) fit(widths, width, header_, elastic);
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string row;
    for (size_t i = 0; i < cells.size(); ++i) {
      const bool left = std::find(left_.begin(), left_.end(), i) != left_.end();
      const std::string cell = shortened(cells[i], widths[i]);
      row += left ? fmt::format("{:<{}}", cell, widths[i]) : fmt::format("{:>{}}", cell, widths[i]);
      if (i + 1 < cells.size()) row.append(gap, ' ');
    }
    return row.substr(0, row.find_last_not_of(' ') + 1) + "\n";
  };
  std::string table = line(header_);
  std::vector<std::string> rules;
  for (const size_t column : widths)
    rules.emplace_back(column, '-');
  table += line(rules);
  for (const auto& row : rows_)
    table += line(row);
  return table;
}

std::string shortened(const std::string& text, size_t width) {
  constexpr size_t dots = 3;
  if (text.size() <= width) return text;
  if (width <= dots) return std::string(width, '.');
  size_t front = (width - dots) / 2;
  size_t back = text.size() - (width - dots - front);
  while (front > 0 && inside_character(text[front]))
    --front;
  while (back < text.size() && inside_character(text[back]))
    ++back;
  return text.substr(0, front) + "..." + text.substr(back);
}

std::string human_interval(double share, int64_t samples) {
  return human_interval(interval_of_few(share, samples));
}

std::string human_interval(const std::optional<Interval>& interval) {
  return interval ? fmt::format("({:.0f}-{:.0f})", 100 * interval->low, 100 * interval->high) : "";
}

std::string human_outputs(int64_t outputs, OutputKind kind, std::optional<Task> task, bool one_column) {
  if (one_column) return fmt::format("1 output for {} classes ({})", outputs, to_string(kind));
  return fmt::format("{} output{} ({})", human_count(outputs), outputs == 1 ? "" : "s",
                     task == Task::regression ? "values" : to_string(kind));
}

std::string to_table(const Decomposition& d) {
  Table table({"module", "parameters", "size", "compression", headline_header(d.task), "original"});
  std::vector<double> scores;
  for (size_t i = 0; i < d.modules.size(); ++i)
    scores.push_back(d.evaluation.headline(i));
  const std::string note = add_rows(table, scores, ranking_of(d.task), [&](size_t i) {
    const ModuleResult& module = d.modules[i];
    table.add({module.file, human_count(module.parameters), human_bytes(module.bytes), human_ratio(module.compression),
               headline_text(scores[i], d.task), headline_text(d.evaluation.original_headline(i), d.task)});
    if (d.task != Task::classification) return;
    const std::string own = human_interval(balanced_interval(d.evaluation.modules[i]));
    const std::string originals = human_interval(balanced_interval(d.evaluation.originals[i]));
    if (!own.empty() || !originals.empty()) table.add({"", "", "", "", own, originals});
  });
  std::string text =
      fmt::format("{}: {} parameters, {}, scored on {} samples\n\n", d.model.file, human_count(d.parameters),
                  human_outputs(d.outputs, d.kind, d.task, d.one_column), human_count(d.scored_samples));
  text += table.text() + note + "\n";
  const bool one = d.modules.size() == 1;
  // A single classifier has no measures together with others, so its own are shown in full.
  if (one && d.task != Task::regression) text += comparison_table(d.evaluation, d.modules) + "\n";
  text += verdict(d.evaluation);
  if (d.own_targets) text += "No target was given: the model's own outputs serve as targets.\n";
  text += one ? fmt::format("Compression {}\n", human_ratio(d.mean_compression))
              : fmt::format("Mean compression {}, mean overlap of modules {}\n", human_ratio(d.mean_compression),
                            human_percent(d.mean_overlap));
  if (!d.steps.empty()) text += search_line(d);
  if (d.scoring.method == Scoring::gradient)
    text += fmt::format("Scores are estimates from gradients: {}\n", d.scoring.reason);
  if (d.scores_bytes) text += fmt::format("Scores kept in scores.npz: {}\n", human_bytes(*d.scores_bytes));
  return text + seconds_line(d.seconds);
}

}  // namespace incite
