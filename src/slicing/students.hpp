#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "data/dataset.hpp"
#include "program/executor.hpp"
#include "slicing/adam.hpp"
#include "slicing/stacked_modules.hpp"
#include "slicing/tail.hpp"
#include "units/output_kind.hpp"

namespace incite {

/// Modules to put side by side at most. More take no less time for each, and leave nothing for other workers to do.
inline constexpr int64_t most_side_by_side = 5;

/// How a module's outputs are read as its columns.
struct ColumnKind {
  OutputKind kind;
  Task task;
};

/// A module while it learns.
class Student {
 public:
  /// `tail`: what alone learns; null: all of the module.
  Student(Program& module, const OutputSet& set, const Tail* tail);

  /// The columns [points, set] float64 that its outputs [points, rows] are.
  at::Tensor columns_of(const at::Tensor& outputs, ColumnKind kind) const;

  /// A step along the gradients that its weights hold.
  void step(double learning_rate) { optimiser_->step(learning_rate); }

  const Program& program() const { return module_; }

  /// Keeps the weights as they are now.
  void note();
  /// Goes back to the weights that were kept, and forgets what gradients there were.
  void go_back();
  /// Puts what was kept into the module.
  void finish();

 private:
  Program& module_;
  const OutputSet& set_;
  std::vector<size_t> places_;  // values of the module that learn
  std::vector<at::Tensor> weights_, best_;
  std::unique_ptr<Adam> optimiser_;
};

/// Modules that learn in one task: side by side as one network, or one module where that can't be.
class Students {
 public:
  /// All modules, in order. `tails`: by module, what alone learns, and the samples' inputs to that, which are taken;
  /// empty: all of each module learns. `most`: modules in a group.
  static std::vector<Students> groups_of(std::vector<Program>& modules, const std::vector<OutputSet>& sets,
                                         std::vector<TailData> tails, const Dataset& data, ColumnKind kind,
                                         int64_t most);

  /// By module, its columns for a batch of samples, or for `rows` of the inputs of the tails: [points, set] float64,
  /// with gradients or without, as the caller has it.
  std::vector<at::Tensor> columns(const Dataset& data, const Batch& batch, const at::Tensor& samples,
                                  const at::Tensor& rows) const;

  /// A step against gradients of the columns.
  void step(const std::vector<at::Tensor>& columns, const std::vector<at::Tensor>& gradients, double learning_rate);

  int64_t first() const { return first_; }
  int64_t count() const { return static_cast<int64_t>(students_.size()); }
  const std::vector<std::unique_ptr<Student>>& all() const { return students_; }

 private:
  Students(int64_t first, ColumnKind kind) : first_(first), kind_(kind) {}

  int64_t first_;  // module
  ColumnKind kind_;
  std::vector<std::unique_ptr<Student>> students_;
  std::vector<TailData> tails_;              // of the students; if they are stacked, without inputs
  std::unique_ptr<StackedModules> stacked_;  // null: there is one student
  std::vector<StackedValue> inputs_;         // of the tails, side by side
  std::unique_ptr<Executor> alone_;          // of the one student
};

}  // namespace incite
