#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "evaluation/evaluate.hpp"

namespace incite::test {

/// A ModuleToTest that has its set.
struct TestedModule {
  OutputSet set;
  const Program* program = nullptr;
  bool own_head = true;
};

/// Both steps of evaluation: runs the programs, and measures what they say.
inline Evaluation evaluate_programs(const Program& original, const std::vector<TestedModule>& modules, OutputKind kind,
                                    Task task, const TestSet& test) {
  std::vector<at::Tensor> scores;
  std::vector<OutputSet> sets;
  for (const TestedModule& module : modules) {
    scores.push_back(module_scores({module.set, module.program, module.own_head}, kind, task, test));
    sets.push_back(module.set);
  }
  return evaluate(outputs_for(original, *test.data, test.samples), at::cat(scores, 1), sets, kind, task, test);
}

}  // namespace incite::test
