#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "program/program.hpp"

namespace incite {

/// A recurrent node of one layer (lower.cpp takes several apart), in one direction or two.
///
/// A weight has the rows of one gate after another: input, forget, cell, output in an LSTM; reset, update, new in a
/// GRU.
struct RecurrentLayer {
  enum class Cell : uint8_t { lstm, gru, rnn_tanh, rnn_relu };
  /// The parameters of one direction.
  struct Direction {
    ValueId input_weight = -1, state_weight = -1;
    ValueId input_bias = -1, state_bias = -1;  ///< -1: none
  };

  Cell cell = Cell::lstm;
  int64_t gates = 4;
  bool biased = true;
  bool batch_first = false;
  std::vector<Direction> directions;  ///< forwards, backwards
  ValueId parameters = -1;            ///< the list of them that the node reads

  int64_t time_axis() const { return batch_first ? 1 : 0; }
  int64_t batch_axis() const { return batch_first ? 0 : 1; }  ///< of its input and output; of states it is 1
};

/// The arguments of a recurrent node; nullopt for other nodes, packed sequences, several layers and projections.
std::optional<RecurrentLayer> recurrent_of(const Program& program, const Node& node);

/// The hidden state that a recurrent node starts from, [directions, samples, units], of the value of its input 1.
at::Tensor first_state(const c10::IValue& states);

/// What a recurrent layer makes of a node's inputs, step by step: `shift`, of the shape of its outputs, is added to
/// what each direction reads of its own units before a step, though not to what a GRU passes on.
std::vector<at::Tensor> run_by_steps(const RecurrentLayer& layer, const std::vector<c10::IValue>& inputs,
                                     const at::Tensor& shift);

/// What both directions read of their own units before each step, of the shape of the outputs.
at::Tensor own_inputs(const RecurrentLayer& layer, const at::Tensor& outputs, const at::Tensor& first);

/// What a direction has read of its own units at each step, of its outputs [.., .., units] and the state [samples,
/// units] that it started from.
at::Tensor states_before(const at::Tensor& outputs, const at::Tensor& first, int64_t time_axis, bool backwards);

}  // namespace incite
