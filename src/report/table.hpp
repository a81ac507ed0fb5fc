#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/human.hpp"
#include "evaluation/measures.hpp"
#include "incite/decomposition.hpp"

namespace incite {

/// Text in columns: the first is aligned left, the others right unless `left` names them.
class Table {
 public:
  explicit Table(std::vector<std::string> header, std::vector<size_t> left = {0});
  void add(std::vector<std::string> row);
  size_t columns() const { return header_.size(); }
  /// The table with a line under its header; each line ends in a newline. If it is wider than `width` columns (0: any
  /// width is fine), the middles of the longest cells in the columns `elastic` give way to "...".
  std::string text(size_t width = 0, const std::vector<size_t>& elastic = {}) const;

 private:
  std::vector<size_t> widths() const;

  std::vector<std::string> header_;
  std::vector<size_t> left_;
  std::vector<std::vector<std::string>> rows_;
};

/// What a person reads after decompose: at most 80 columns wide, but for the sentences around the table. For the other
/// verbs see evaluation_table.hpp and inspection_table.hpp.
std::string to_table(const Decomposition& decomposition);

/// The interval of a share of too few samples, in per cent: "(34-100)"; empty where there are enough. See
/// interval_of_few.
std::string human_interval(double share, int64_t samples);
std::string human_interval(const std::optional<Interval>& interval);
/// A model's outputs: "10 outputs (logits)", "1 output (values)"; "1 output for 2 classes (sigmoid)" where
/// `one_column`.
std::string human_outputs(int64_t outputs, OutputKind kind, std::optional<Task> task, bool one_column = false);
/// A text of at most `width` columns: the middle of a longer one gives way to "...".
std::string shortened(const std::string& text, size_t width);

}  // namespace incite
