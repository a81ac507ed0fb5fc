#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "base/random.hpp"
#include "program/recurrent.hpp"
#include "slicing/refit.hpp"
#include "slicing/repair.hpp"

namespace incite {

/// What a recurrent layer reads and makes of some samples.
struct RecurrentRun {
  at::Tensor input;    ///< [steps, samples, features], or samples first
  at::Tensor first;    ///< the state that it starts from, [directions, samples, units]
  at::Tensor outputs;  ///< [steps, samples, directions * units], or samples first
};

/// Refits a recurrent layer of a module to the original's gate pre-activations: those of the units that stay, from what
/// the module reads of its input and of its own state at each step. The gates of an LSTM and of a plain layer, and a
/// GRU's reset and update, are each one product of both; a GRU's new state has a product for each.
///
/// A first pass over the samples takes the original's states, near which the module's own will be once it is refitted.
/// Later passes take the module's own, with the errors that its weights are to make good.
class RecurrentRepair {
 public:
  /// `module` has the cut weights. `units`: those that stay of a direction, int64, ascending. `samples`: how many a
  /// pass is going to add.
  RecurrentRepair(const Program& program, const RecurrentLayer& layer, at::Tensor units, int64_t samples,
                  const RepairParams& params, Program& module);

  /// Adds samples to fit to, with the original's states or the module's own.
  void add(const RecurrentRun& original, const RecurrentRun& module, bool own_states, bool validates);

  /// Adds samples to the error of the module's weights.
  void measure(const RecurrentRun& original, const RecurrentRun& module);

  /// Fits the module's weights to what was added, and starts anew.
  void fit();

  /// Gives the module those weights, cut or fitted, whose error is the least.
  void choose();

 private:
  /// Gates that are one product.
  struct Part {
    size_t direction;
    int64_t first, gates;
    bool reads_input, reads_state;
    at::Tensor start;  ///< the cut weights, [features, rows] float64, the biases last
    Fit fit;
  };
  /// Rows of what one direction reads.
  struct Rows {
    at::Tensor input, state;
  };

  Rows rows_of(const RecurrentRun& run, size_t direction) const;
  at::Tensor product(const Part& part, const Rows& rows) const;
  void keep_if_best();
  void put(const Part& part, const at::Tensor& weights);
  at::Tensor parameter(ValueId id) const;
  at::Tensor weights_of(const Part& part) const;
  at::Tensor chosen_rows(int64_t rows, int64_t samples);
  int64_t wanted_rows() const;

  const Program& program_;
  const RecurrentLayer layer_;
  const at::Tensor units_;
  const int64_t samples_;
  const RepairParams& params_;
  Program& module_;
  std::vector<Part> parts_;
  std::vector<std::pair<ValueId, c10::IValue>> best_;
  double error_ = 0, least_ = 0;
  Random random_;
};

}  // namespace incite
