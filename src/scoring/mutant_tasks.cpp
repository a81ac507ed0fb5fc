#include "scoring/mutant_tasks.hpp"

#include <algorithm>

#include "base/batch.hpp"

namespace incite {
namespace {

std::vector<MutantBatch> batches_of(const Suffix& suffix, const std::vector<Mutant>& mutants, int64_t most,
                                    at::Device device) {
  const auto all = static_cast<int64_t>(mutants.size());
  std::vector<MutantBatch> batches;
  in_batches(all, even_part(all, most), [&](int64_t first, int64_t count) {
    batches.push_back(suffix.batch({mutants.begin() + first, mutants.begin() + first + count}, device));
  });
  return batches;
}

}  // namespace

int64_t even_part(int64_t count, int64_t most) {
  const int64_t parts = (count + most - 1) / most;
  return (count + parts - 1) / parts;
}

void share_out(MutantGroup& group, int64_t most, at::Device device) {
  const auto all = static_cast<int64_t>(group.mutants.size());
  const int64_t factors = std::count_if(group.mutants.begin(), group.mutants.end(), [&](const Mutant& mutant) {
    return mutant.cluster == group.mutants.front().cluster;
  });
  const int64_t clusters = all / factors;
  const int64_t at_once = even_part(clusters, std::max<int64_t>(most / factors, 1));
  group.tasks.clear();
  in_batches(clusters, at_once, [&](int64_t first, int64_t count) {
    const auto begin = group.mutants.begin() + first * factors;
    MutantTask task{{begin, begin + count * factors}, {}};
    task.batches = batches_of(group.suffix, task.mutants, most, device);
    group.tasks.push_back(std::move(task));
  });
}

void halve(const Suffix& suffix, MutantTask& task, size_t batch, at::Device device) {
  int64_t first = 0;
  for (size_t before = 0; before < batch; ++before)
    first += task.batches[before].mutants;
  const auto begin = task.mutants.begin() + first;
  const int64_t count = task.batches[batch].mutants;
  std::vector<MutantBatch> halves = batches_of(suffix, {begin, begin + count}, (count + 1) / 2, device);
  const auto place = task.batches.erase(task.batches.begin() + static_cast<std::ptrdiff_t>(batch));
  task.batches.insert(place, halves.begin(), halves.end());
}

}  // namespace incite
