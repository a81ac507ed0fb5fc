#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "evaluation/evaluate.hpp"

namespace incite::test {

/// Both steps of evaluation: runs the programs, and measures what they say.
inline Evaluation evaluate_programs(const Program& original, const std::vector<ModuleToTest>& modules, OutputKind kind,
                                    Task task, const TestSet& test) {
  std::vector<at::Tensor> scores;
  std::vector<int64_t> outputs;
  for (const ModuleToTest& module : modules) {
    scores.push_back(module_scores(module, kind, task, test));
    outputs.push_back(module.output);
  }
  return evaluate(outputs_for(original, *test.data, test.samples), at::stack(scores, 1), outputs, kind, task, test);
}

}  // namespace incite::test
