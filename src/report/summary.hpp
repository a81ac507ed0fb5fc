#pragma once

#include <functional>
#include <string>
#include <vector>

#include "evaluation/evaluate.hpp"
#include "incite/decomposition.hpp"
#include "report/table.hpp"

namespace incite {

// Parts of the tables of several verbs.

/// The measure that ranks the rows of a table.
struct Ranking {
  std::string measure;  ///< "balanced accuracy"
  bool largest_is_best = true;
};
Ranking ranking_of(Task task);

/// Calls `add` for each index of `scores`, to add a row. Of more than 30 rows only the best five and the worst five are
/// added, best first, with a row of dots between; undefined scores count as neither. Returns a line that says so, else
/// an empty text.
std::string add_rows(Table& table, const std::vector<double>& scores, const Ranking& ranking,
                     const std::function<void(size_t)>& add);

/// The first measure of a module (see Evaluation::headline) as text, and the header of its column.
std::string headline_text(double value, Task task);
std::string headline_header(Task task);

/// A number with so many decimals; "-" if it is undefined.
std::string decimals(double value, int digits);

/// Headers and cells of class measures and of errors. class_intervals: a row of confidence intervals for below the
/// cells, each empty if there are enough samples.
std::vector<std::string> class_header();
std::vector<std::string> class_cells(const ClassMeasures& measures);
std::vector<std::string> class_intervals(const ClassMeasures& measures);
/// For classes of positions.
std::vector<std::string> position_header();
std::vector<std::string> position_cells(const ClassMeasures& measures);
/// For labels.
std::vector<std::string> label_header();
std::vector<std::string> label_cells(const ClassMeasures& measures);
std::vector<std::string> error_header();
std::vector<std::string> error_cells(const ErrorMeasures& measures);

/// A table with each module's measures below the original's on the same question, and the line of add_rows.
std::string comparison_table(const Evaluation& evaluation, const std::vector<ModuleResult>& modules);

/// The samples on which the modules together were measured: "2,000 samples".
std::string samples_text(const Evaluation& evaluation);

/// A line that compares the modules together with the original; for a single classifier, only the number of samples.
std::string verdict(const Evaluation& evaluation);

}  // namespace incite
