#include "slicing/side_by_side.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <memory>

#include "base/workers.hpp"
#include "program/executor.hpp"
#include "program/for_running.hpp"
#include "slicing/shared_start.hpp"

namespace incite {
namespace {

/// By value: whether it is one of these.
std::vector<bool> chosen(const Program& program, const std::vector<ValueId>& ids) {
  std::vector<bool> keep(program.values.size(), false);
  for (const ValueId id : ids)
    keep[at_index(id)] = true;
  return keep;
}

/// A slice, ready to be run from where it differs from the original.
class Slice {
 public:
  Slice(const SideBySide& how, const SliceRun& run)
      : run_(run),
        start_(shared_start(how.program, how.map, *run.keep, *run.module, run.wanted)),
        program_(for_running(*run.module, chosen(*run.module, run.wanted), start_.node)),
        executor_(program_),
        keep_(chosen(program_, run.wanted)) {
    find_nodes();
  }

  const SharedStart& start() const { return start_; }

  std::vector<at::Tensor> run(const Environment& original, const at::Tensor& samples) const {
    Environment environment = begin_from(start_, original, executor_);
    for (const NodeId node : nodes_) {
      executor_.run_node(environment, node);
      executor_.free_after(environment, node, keep_);
    }
    std::vector<at::Tensor> values;
    for (const ValueId id : run_.wanted)
      values.push_back(environment[at_index(id)].toTensor());
    return run_.reading(values, samples);
  }

 private:
  /// The nodes after the shared start on which the wanted values depend.
  void find_nodes() {
    std::vector<bool> needed = keep_;
    for (NodeId n = static_cast<NodeId>(program_.nodes.size()); n-- > start_.node;) {
      const Node& node = program_.node(n);
      if (std::none_of(node.outputs.begin(), node.outputs.end(), [&](ValueId id) { return needed[at_index(id)]; }))
        continue;
      nodes_.push_back(n);
      for (const ValueId id : node.inputs)
        needed[at_index(id)] = true;
    }
    std::reverse(nodes_.begin(), nodes_.end());
  }

  const SliceRun& run_;
  const SharedStart start_;
  const Program program_;
  const Executor executor_;
  std::vector<bool> keep_;  // by value
  std::vector<NodeId> nodes_;
};

}  // namespace

std::vector<std::vector<at::Tensor>> run_side_by_side(const SideBySide& how, const std::vector<SliceRun>& runs,
                                                      const at::Tensor& samples) {
  if (runs.empty()) return {};
  std::vector<std::unique_ptr<Slice>> slices(runs.size());
  run_on_workers(static_cast<int64_t>(runs.size()), how.workers, [&](int64_t m) {
    slices[static_cast<size_t>(m)] = std::make_unique<Slice>(how, runs[static_cast<size_t>(m)]);
  });
  std::vector<ValueId> shared;
  NodeId end = 0;
  for (const auto& slice : slices) {
    end = std::max(end, slice->start().original);
    shared.insert(shared.end(), slice->start().values.begin(), slice->start().values.end());
  }
  const Program program = for_running(how.program, chosen(how.program, shared));
  const std::vector<bool> keep = chosen(program, shared);
  const Executor original(program);
  const int64_t count = samples.size(0);
  const at::Tensor few = samples.narrow(0, 0, std::min<int64_t>(2, count));
  const int64_t size = batch_size(how.program, how.data.batch(few, how.program.device), how.most);
  const int64_t batches = (count + size - 1) / size;
  std::vector<std::vector<std::vector<at::Tensor>>> parts(static_cast<size_t>(batches));
  run_on_workers(
      batches, how.workers,
      [&](int64_t b) {
        const at::NoGradGuard no_grad;
        const at::Tensor part = samples.narrow(0, b * size, std::min(size, count - b * size));
        Environment environment = original.start(how.data.batch(part, how.program.device));
        original.run(environment, 0, end, keep);
        auto& results = parts[static_cast<size_t>(b)];
        for (const auto& slice : slices)
          results.push_back(slice->run(environment, part));
      },
      [&](int64_t done) {
        if (how.progress) how.progress({"running modules", done, batches, "batches"});
      });
  std::vector<std::vector<at::Tensor>> all(runs.size());
  for (size_t m = 0; m < runs.size(); ++m) {
    for (size_t i = 0; !parts.empty() && i < parts.front()[m].size(); ++i) {
      std::vector<at::Tensor> pieces;
      for (auto& results : parts)
        pieces.push_back(std::move(results[m][i]));
      all[m].push_back(at::cat(pieces, runs[m].axes.empty() ? 0 : runs[m].axes[i]));
    }
  }
  return all;
}

}  // namespace incite
