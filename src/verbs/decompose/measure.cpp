#include "verbs/decompose/measure.hpp"

#include <ATen/ATen.h>

#include "evaluation/overlap.hpp"

namespace incite {

Measures measure(const Subject& subject, const Choice& choice, const Modules& modules, const Progress& progress) {
  const AnalysedModel& model = subject.model;
  const TestSet& held_out = subject.held_out;
  const at::Tensor original = outputs_for(model.program, *held_out.data, held_out.samples, progress);
  Measures measures;
  measures.evaluation =
      evaluate(original, at::cat(modules.columns, 1), subject.modules, model.kind, subject.task, held_out);
  double compression = 0;
  for (const ModuleResult& module : modules.results)
    compression += module.compression;
  measures.mean_compression = compression / static_cast<double>(modules.results.size());
  measures.overlap = overlap_matrix(model.map, choice.selections);
  measures.mean_overlap = mean_overlap(measures.overlap);
  return measures;
}

}  // namespace incite
