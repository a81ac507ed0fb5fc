#pragma once

#include <functional>
#include <string>
#include <vector>

#include "incite/evaluation/evaluate.hpp"
#include "incite/report/table.hpp"

namespace incite {

// What the tables of several verbs have in common.

/// By what a table's rows are ranked.
struct Ranking {
  std::string measure;  ///< "accuracy"
  bool largest_is_best = true;
};
Ranking ranking_of(Task task);

/// Adds the rows 0 to scores.size() - 1, which `row` makes. Of more than 30 only the best five and the worst five are
/// added, best first, with a row of dots between; what is undefined is neither. Returns a line that says so, or
/// nothing.
std::string add_rows(Table& table, const std::vector<double>& scores, const Ranking& ranking,
                     const std::function<std::vector<std::string>(size_t)>& row);

/// "10 outputs"; "1 output for 2 classes" where it is taken as two.
std::string outputs_text(int64_t outputs, bool one_column);

/// A module's score in a table, and the column's header.
std::string score_text(double value, Task task);
std::string score_header(Task task);

/// One line that compares the modules together with the original; nothing for a single classifier.
std::string verdict(const Evaluation& evaluation);

}  // namespace incite
