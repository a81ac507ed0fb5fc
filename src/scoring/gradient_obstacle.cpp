#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include "base/first_line.hpp"
#include "incite/error.hpp"
#include "scoring/gradient.hpp"
#include "scoring/gradient_target.hpp"
#include "scoring/recording.hpp"

namespace incite {
namespace {

std::vector<bool> removable_units(const UnitMap& map) {
  std::vector<bool> removable;
  for (const Unit& unit : map.units)
    removable.push_back(!unit.pinned);
  return removable;
}

/// Runs two samples forwards and backwards, to see whether a gradient reaches every place.
std::string trial(const Program& program, const Frontier& frontier, const std::vector<bool>& mutated, ValueId last,
                  const Batch& batch) {
  const Executor executor(program);
  const Recording recording = Recorder(executor, frontier, mutated, {0.0}, last).run(batch);
  std::vector<at::Tensor> inputs;
  std::vector<NodeId> makers;
  for (size_t p = 0; p < recording.places.size(); ++p) {
    if (!recording.places[p].defined()) continue;
    inputs.push_back(recording.places[p]);
    makers.push_back(program.maker(frontier.places[p].value));
  }
  if (inputs.empty()) return "";
  if (!recording.outputs.requires_grad()) return "the outputs have no gradient";
  const at::AutoGradMode with_gradients(true);
  const auto gradients = torch::autograd::grad({recording.outputs.sum()}, inputs, {}, {}, false, true);
  for (size_t p = 0; p < gradients.size(); ++p) {
    if (gradients[p].defined()) continue;
    const Node& maker = program.node(makers[p]);
    return fmt::format("no gradient reaches what {} at {} makes", maker.op, maker.source);
  }
  return "";
}

}  // namespace

std::string obstacle_to_gradients(const Program& program, const UnitMap& map, OutputKind kind, const Dataset& data,
                                  Metric metric) {
  const Batch two = two_samples(data, program.device);
  const std::vector<bool> mutated = removable_units(map);
  const Frontier frontier = find_frontier(program, map, sample_values(program, two), mutated);
  if (!frontier.obstacle.empty()) return frontier.obstacle;
  try {
    return trial(program, frontier, mutated, GradientTarget(program, metric, kind).value(), two);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    return first_line(error);
  }
}

}  // namespace incite
