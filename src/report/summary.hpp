#pragma once

#include <functional>
#include <string>
#include <vector>

#include "evaluation/evaluate.hpp"
#include "incite/decomposition.hpp"
#include "report/table.hpp"

namespace incite {

// What the tables of several verbs have in common.

/// By what a table's rows are ranked.
struct Ranking {
  std::string measure;  ///< "accuracy"
  bool largest_is_best = true;
};
Ranking ranking_of(Task task);

/// Adds what `add` adds for each of 0 to scores.size() - 1. Of more than 30 only the best five and the worst five are
/// added, best first, with a row of dots between; what is undefined is neither. Returns a line that says so, or
/// nothing.
std::string add_rows(Table& table, const std::vector<double>& scores, const Ranking& ranking,
                     const std::function<void(size_t)>& add);

/// What tables show of a module first (see Evaluation::headline), and the column's header.
std::string headline_text(double value, Task task);
std::string headline_header(Task task);

/// A number with so many decimals; "-" if it is not defined.
std::string decimals(double value, int digits);

/// Cells of what class measures, or errors, there are, and those of the columns' headers. `intervals`: a row to stand
/// under the cells of ClassMeasures, of intervals, all empty where there are samples enough.
std::vector<std::string> class_header();
std::vector<std::string> class_cells(const ClassMeasures& measures);
std::vector<std::string> class_intervals(const ClassMeasures& measures);
std::vector<std::string> error_header();
std::vector<std::string> error_cells(const ErrorMeasures& measures);

/// A table of each module's measures under the original's at the same question, and the line of add_rows.
std::string comparison_table(const Evaluation& evaluation, const std::vector<ModuleResult>& modules);

/// What the measures of the modules together are over: "2,000 samples".
std::string samples_text(const Evaluation& evaluation);

/// One line that compares the modules together with the original; for a single classifier, on how many samples it was
/// measured.
std::string verdict(const Evaluation& evaluation);

}  // namespace incite
