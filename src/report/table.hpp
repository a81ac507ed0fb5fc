#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/human.hpp"
#include "evaluation/measures.hpp"
#include "incite/decomposition.hpp"

namespace incite {

/// Text in columns, aligned right except for those in `left`, by default the first.
class Table {
 public:
  explicit Table(std::vector<std::string> header, std::vector<size_t> left = {0});
  void add(std::vector<std::string> row);
  size_t columns() const { return header_.size(); }
  /// The table with a rule below its header; each line ends in a newline. If it is wider than `width` columns (0: no
  /// limit), "..." replaces the middle of the longest cells in the columns `elastic`.
  std::string text(size_t width = 0, const std::vector<size_t>& elastic = {}) const;

 private:
  std::vector<size_t> widths() const;

  std::vector<std::string> header_;
  std::vector<size_t> left_;
  std::vector<std::vector<std::string>> rows_;
};

/// The table that decompose prints, at most 80 columns wide except for the sentences around it. For the other verbs see
/// composition.hpp, evaluation_table.hpp and inspection_table.hpp.
std::string to_table(const Decomposition& decomposition);

/// The confidence interval of a share, in per cent: "(34-100)"; empty if there are enough samples. See interval_of_few.
std::string human_interval(double share, int64_t samples);
std::string human_interval(const std::optional<Interval>& interval);
/// The outputs of a model: "10 outputs (logits)", "1 output (values)"; with `one_column` "1 output for 2 classes
/// (sigmoid)".
std::string human_outputs(int64_t outputs, OutputKind kind, std::optional<Task> task, bool one_column = false);
/// Shortens a text to at most `width` columns: "..." replaces its middle.
std::string shortened(const std::string& text, size_t width);

}  // namespace incite
