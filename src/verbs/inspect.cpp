#include "incite/inspect.hpp"

#include <algorithm>
#include <limits>

#include "selection/select.hpp"
#include "slicing/head.hpp"
#include "slicing/slice.hpp"
#include "subject/checks.hpp"
#include "subject/subject.hpp"
#include "subject/warnings.hpp"

namespace incite {
namespace {

std::optional<Task> task_of(const ModelOptions& options, const Dataset& data, const AnalysedModel& model) {
  try {
    return choose_task(options.task, data, model.kind, model.outputs);
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// Rows of a module's head by default; 0 if no head can be fitted, so that the model's own stays.
int64_t rows_of_own_head(const AnalysedModel& model, std::optional<Task> task, const Subject* subject) {
  if (!task) return 0;
  try {
    fittable_head(model.program, model.map, *task);
    if (subject == nullptr) return *task == Task::classification ? 2 : 1;
    int64_t least = std::numeric_limits<int64_t>::max();
    for (const OutputSet& set : subject->modules)
      least = std::min(least, head_rows(HeadMethod::lbfgs, set));
    return least;
  } catch (const Error&) {
    return 0;
  }
}

/// Prepares a decomposition with the defaults; nullopt, with the reason in `inspection`, if decompose would refuse.
std::optional<Subject> prepared(const LoadedModel& loaded, const DecomposeOptions& options, Inspection& inspection) {
  try {
    Subject subject = prepare(loaded, options);
    inspection.warnings = warnings_before_scoring(subject);
    return subject;
  } catch (const Error& error) {
    inspection.refusal = error;
    return std::nullopt;
  }
}

}  // namespace

Inspection inspect(const ModelOptions& options) {
  DecomposeOptions defaults;
  static_cast<ModelOptions&>(defaults) = options;
  Stopwatch watch;
  const LoadedModel loaded = load(defaults, watch);
  const AnalysedModel& model = loaded.model;
  Inspection inspection;
  inspection.model = std::make_shared<AnalysedModel>(model);
  inspection.kind = model.kind;
  inspection.outputs = model.outputs;
  inspection.parameters = model.program.parameter_count();
  inspection.removable_parameters =
      inspection.parameters - slice(model.program, model.map, smallest_selection(model.map)).parameter_count();
  inspection.task = task_of(options, *loaded.data, model);
  const std::optional<Subject> subject = prepared(loaded, defaults, inspection);
  inspection.one_column = subject && subject->one_column;
  const AnalysedModel& decomposed = subject ? subject->model : model;
  const int64_t rows = rows_of_own_head(decomposed, inspection.task, subject ? &*subject : nullptr);
  inspection.own_head = rows > 0;
  inspection.smallest_module =
      ParameterCount(decomposed.program, decomposed.map, rows)(smallest_selection(decomposed.map));
  return inspection;
}

}  // namespace incite
