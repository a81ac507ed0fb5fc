#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "incite/options.hpp"
#include "program/executor.hpp"
#include "program/program.hpp"

namespace incite {

/// The unit that an element belongs to when it belongs to none: it can't be removed.
inline constexpr int32_t no_unit = -1;

/// Which unit each position along one axis of a value belongs to.
struct Labels {
  int64_t axis = -1;           ///< -1: the value has no labels
  int64_t rank = 0;            ///< dimensions of the value
  std::vector<int32_t> units;  ///< by position along `axis`: index into UnitMap::units, or no_unit

  bool empty() const { return axis < 0; }
};

/// A node with a trained weight that makes channels.
struct Layer {
  NodeId node = -1;
  std::string name;            ///< as in the state_dict, without ".weight"
  std::vector<int32_t> units;  ///< by output channel
  ValueId weight = -1;
  int64_t weight_axis = 0;  ///< dimension of the weight that counts output channels
  ValueId bias = -1;        ///< -1: none
  ValueId output = -1;
  int64_t output_axis = 1;      ///< axis of the output that counts channels
  int64_t gates = 1;            ///< rows of the weight that make one channel: 4 in an LSTM, 3 in a GRU
  std::vector<ValueId> states;  ///< a recurrent layer's last states, which hold its units too
};

/// One output channel of a layer, or several, of one or more layers, that must live or die together.
struct Unit {
  struct Member {
    int32_t layer;
    int32_t channel;
  };
  std::vector<Member> members;
  int32_t group = -1;
  bool pinned = false;
};

/// Units that share their layers.
struct Group {
  std::vector<int32_t> layers;
  std::vector<int32_t> units;  ///< ascending
  bool pinned = false;         ///< all its units are
};

/// Why units can't be removed, or weights are kept whole. report/pin_reasons.cpp has the word and the clause of each;
/// in the words' order.
enum class PinReason : uint8_t {
  attention,
  axes,
  axis,
  broadcast,
  computed,
  contracted,
  directions,
  gate,
  grouped,
  layers,
  layout,
  none,
  output,
  projected,
  reduced,
  shared,
  single,
  size,
  unbatched,
  unknown,
};
constexpr NameTable<PinReason, 20> names_of(PinReason) {
  return {{{PinReason::attention, "attention"},
           {PinReason::axes, "axes"},
           {PinReason::axis, "axis"},
           {PinReason::broadcast, "broadcast"},
           {PinReason::computed, "computed"},
           {PinReason::contracted, "contracted"},
           {PinReason::directions, "directions"},
           {PinReason::gate, "gate"},
           {PinReason::grouped, "grouped"},
           {PinReason::layers, "layers"},
           {PinReason::layout, "layout"},
           {PinReason::none, "none"},
           {PinReason::output, "output"},
           {PinReason::projected, "projected"},
           {PinReason::reduced, "reduced"},
           {PinReason::shared, "shared"},
           {PinReason::single, "single"},
           {PinReason::size, "size"},
           {PinReason::unbatched, "unbatched"},
           {PinReason::unknown, "unknown"}}};
}

/// Units that can't be removed, and why.
struct Pin {
  NodeId node = -1;    ///< -1: the model's output
  std::string op;      ///< "aten::layer_norm"
  std::string source;  ///< "net.py:31"
  PinReason reason = PinReason::unknown;
  std::vector<int32_t> units;
};

/// A layer, or another trained weight, that every module keeps as it is.
struct WholeLayer {
  std::string name;    ///< as in the state_dict: "encoder.norm"; a weight that no part of the model holds: its key
  NodeId node = -1;    ///< the first operation on the input that it goes into
  std::string op;      ///< "aten::lstm_cell"
  std::string source;  ///< "net.py:31"
  PinReason reason = PinReason::unknown;  ///< that of the pin at the operation, or unknown, computed, none
  int64_t places = 0;                     ///< operations that it goes into
  std::vector<ValueId> parameters;
};

/// A place where a node reads units that can be removed: a masked original has zeros there.
struct Reader {
  NodeId node = -1;
  size_t input = 0;
};

/// An integer that counts positions along the labelled axis of `value`: a size in a view, the groups of a convolution.
/// It shrinks in proportion.
struct SizeArgument {
  NodeId node = -1;
  size_t input = 0;
  int64_t element = -1;  ///< of a list; -1: the input is the integer itself
  ValueId value = -1;
};

/// A constant that names a position along the labelled axis of `value`: the index of a select. It counts the positions
/// before it that stay.
struct IndexArgument {
  NodeId node = -1;
  size_t input = 0;
  ValueId value = -1;
};

/// A tensor made from parameters alone that meets units where a node reads it: it is made whole, and those of its
/// positions whose units stay are selected for the node.
struct Crop {
  NodeId node = -1;
  size_t input = 0;
  int64_t dimension = 0;
  std::vector<int32_t> units;  ///< by position along `dimension`
};

/// A value that is a selection of positions of another along one axis, made by operations that a cut would break: a
/// channel shuffle, a chunk, a slice. When it is cut, it is selected anew.
struct Rearrangement {
  ValueId value = -1;
  ValueId source = -1;
  int64_t axis = 0;                ///< of both
  std::vector<int64_t> positions;  ///< by position of the value: its position in the source
};

/// A recurrent weight: it reads the units of its own layer, along its dimension 1. A masked original has zeros there.
struct Feedback {
  ValueId weight = -1;
  std::vector<int32_t> units;
};

/// How a node treats the positions along the labelled axis of what it reads: for all but `mixing`, a position of its
/// outputs depends on the same position of its inputs alone, so the node can be run on some of the positions.
enum class Locality : uint8_t {
  mixing,       ///< not known to be any of the others
  elementwise,  ///< element by element, its operands broadcast to each other
  per_channel,  ///< its tensors after the first have an element for each position
  one_input,    ///< works along other axes, or moves them; its first input alone has such positions
};

/// What of a program can be removed, and what goes with it. Made by analyse.
struct UnitMap {
  std::vector<Layer> layers;
  std::vector<Unit> units;
  std::vector<Group> groups;
  std::vector<Labels> activations;  ///< by value
  std::vector<std::vector<std::vector<int32_t>>>
      parameters;  ///< by value, by dimension: the unit of each position; empty: not cut
  std::vector<Reader> readers;
  std::vector<SizeArgument> sizes;
  std::vector<IndexArgument> indices;
  std::vector<Crop> crops;
  std::vector<Rearrangement> rearrangements;
  std::vector<Feedback> feedbacks;
  std::vector<Pin> pins;
  std::vector<WholeLayer> whole_layers;
  std::vector<Locality> localities;  ///< by node
  /// Sets of units (ascending) of which one must stay: those of a layer, or of a value or a parameter's dimension. None
  /// has a pinned unit.
  std::vector<std::vector<int32_t>> spans;
  int32_t head = -1;  ///< the layer whose channels are the model's outputs, in order; -1: there is none

  const Layer& layer(int32_t id) const { return layers[at_index(id)]; }
  Layer& layer(int32_t id) { return layers[at_index(id)]; }
  const Unit& unit(int32_t id) const { return units[at_index(id)]; }
  Unit& unit(int32_t id) { return units[at_index(id)]; }
  const Group& group(int32_t id) const { return groups[at_index(id)]; }
  Group& group(int32_t id) { return groups[at_index(id)]; }
  const Labels& labels(ValueId value) const { return activations[at_index(value)]; }

  /// Units that can be removed.
  int64_t removable_units() const;
  /// Units of a group that can't be removed.
  int64_t pinned_units(const Group& group) const;
};

/// Which units stay: one entry for each of UnitMap::units.
using Selection = std::vector<bool>;

/// Indices of the spans of which `keep` leaves no unit: a program can't be cut like that.
std::vector<size_t> empty_spans(const UnitMap& map, const Selection& keep);

/// Finds units by labels that flow through the program (design §4, §9): producers make labels, element-wise operations
/// tie their operands' labels, layout operations are run on labels, and what is not known pins the labels that reach
/// it.
///
/// `sample` is what the values are on some input of two samples or more. Throws nothing for a model that it does not
/// understand: it pins.
UnitMap analyse(const Program& program, const Sample& sample);

}  // namespace incite
