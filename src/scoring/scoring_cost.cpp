#include "scoring/scoring_cost.hpp"

#include <algorithm>

#include "program/cost.hpp"
#include "scoring/gradient_passes.hpp"
#include "scoring/suffix_plan.hpp"

namespace incite {

ScoringCost scoring_cost(const Program& program, const UnitMap& map, const ClusterParams& params,
                         const std::vector<double>& factors, const std::vector<int64_t>& wanted, const Dataset& data) {
  const Batch two = two_samples(data, program.device);
  const Sample sample = sample_values(program, two);
  const std::vector<Cluster> clusters = even_clusters(map, params);
  const std::vector<int64_t> of_units = unit_clusters(map, clusters);
  const double forward = multiply_adds(program, two);
  ScoringCost cost;
  cost.mutation = forward;
  for (size_t g = 0; g < map.groups.size(); ++g) {
    const auto group = static_cast<int32_t>(g);
    const auto count =
        std::count_if(clusters.begin(), clusters.end(), [&](const Cluster& c) { return c.group == group; });
    if (count == 0) continue;
    const double mutants = static_cast<double>(count) * static_cast<double>(factors.size());
    cost.mutation += mutants * plan_suffix(program, map, group, sample, of_units).multiply_adds;
  }
  const std::vector<int64_t>& shape = sample.shape(program.output);
  const int64_t positions = shape.size() > 2 ? c10::multiply_integers(at::IntArrayRef(shape).slice(2)) : 0;
  cost.gradient = forward * static_cast<double>(GradientPasses(wanted, shape[1], positions).count() + 1);
  return cost;
}

}  // namespace incite
