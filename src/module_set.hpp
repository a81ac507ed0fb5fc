#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "incite/base/files.hpp"
#include "incite/base/progress.hpp"
#include "incite/decomposition.hpp"
#include "incite/scoring/clusters.hpp"
#include "incite/selection/select.hpp"
#include "incite/slicing/finetune.hpp"
#include "module_maker.hpp"

namespace incite {

/// The modules of one decomposition: what each keeps, and all of them made. Modules are made by several workers, each
/// as soon as one is free, and put into the output folder as checkpoints, so that none is made twice and memory does
/// not grow with their number. Where they are fine-tuned, or their last layers fitted together, all are in memory;
/// where heads or last layers are fitted together, what those read is, for as many samples as fit into a fixed size.
class ModuleSet {
 public:
  /// `scores` [clusters, outputs]; `outputs`: which have modules; `key` says everything else that modules depend on.
  ModuleSet(const DecomposeOptions& options, const ModuleSource& source, const std::vector<Cluster>& clusters,
            const at::Tensor& scores, std::vector<int64_t> outputs, std::string key, StagedFiles& files,
            const Progress& progress);

  /// Decides what each module keeps, by the options' share, compression or loss; the last is searched for, and every
  /// step makes modules.
  void choose();

  /// Makes all modules, fine-tunes them if asked to, and calibrates them.
  void make();

  /// Calls `use` for each module, finished, with its number, on the workers.
  void for_each(const std::function<void(size_t, const Program&)>& use);

  const ModuleMaker& maker() const { return maker_; }
  const std::vector<Selection>& selections() const { return selections_; }
  const std::vector<double>& slice_differences() const { return differences_; }
  const std::vector<Calibration>& calibrations() const { return calibrations_; }
  /// See JointHeads::losses; empty where heads were fitted apart.
  const std::vector<double>& head_losses() const { return head_losses_; }
  /// See FinetuneResult::losses; empty where last layers stay as they were.
  const std::vector<double>& last_losses() const { return last_losses_; }
  const std::vector<SearchStep>& steps() const { return steps_; }
  const FinetuneResult& finetuning() const { return finetuning_; }

 private:
  std::vector<Selection> selections_for(double compression) const;
  at::Tensor make_all(const std::vector<Selection>& selections);
  Program made(size_t module, const Selection& keep, bool joins, double& difference) const;
  std::string checkpoint(size_t module, const Selection& keep, bool joins) const;
  at::Tensor joint_samples(const std::vector<Selection>& selections) const;
  at::Tensor join_heads(const std::vector<at::Tensor>& features, std::vector<Head> apart, const at::Tensor& samples);
  at::Tensor last_samples(const std::vector<Selection>& selections, const at::Tensor& joint) const;
  at::Tensor as_many_as_fit(double bytes_a_sample, int64_t bytes) const;
  at::Tensor with_validation(const at::Tensor& samples) const;
  double kept_share(ValueId value, const Selection& keep) const;
  FinetuneData finetune_data(int64_t count) const;
  at::Tensor fit_last_layers(std::vector<Program>& modules, std::vector<std::optional<TailData>> tails,
                             const at::Tensor& samples);
  at::Tensor finetune_all(std::vector<Program>& modules);
  void search();
  bool calibrates() const;
  std::vector<bool> dead(int64_t output) const;

  const DecomposeOptions& options_;
  const ModuleSource& source_;
  const std::vector<Cluster>& clusters_;
  const at::Tensor& scores_;
  const std::vector<int64_t> outputs_;
  const std::string key_;
  StagedFiles& files_;
  const Progress& progress_;
  const ModuleMaker maker_;
  const ParameterCount count_;
  const int64_t workers_;
  std::vector<Selection> selections_;
  std::vector<Head> heads_;  // if fitted together, and not in the modules yet
  std::vector<double> head_losses_;
  std::vector<double> last_losses_;
  std::vector<Program> tuned_;  // if fine-tuned, or their last layers fitted together
  std::vector<double> differences_;
  std::vector<Calibration> calibrations_;
  std::vector<SearchStep> steps_;
  FinetuneResult finetuning_;
};

/// Modules that make the smallest loss are searched for among compressions of these steps: each is 2^(1/8) times the
/// one before it.
inline constexpr int64_t search_steps_per_octave = 8;

}  // namespace incite
