#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/batch.hpp"
#include "base/fail.hpp"
#include "program/arguments.hpp"
#include "program/outputs.hpp"
#include "program/program.hpp"
#include "program/source.hpp"

namespace incite {

namespace jit = torch::jit;

/// What is known of a TorchScript value while both runs are interpreted side by side.
struct Known {
  std::array<c10::IValue, 2> at;  // its value in each run; unset for containers
  c10::TypePtr type;
  std::shared_ptr<std::vector<Known>> elements;  // of a list, tuple or dict built in the code; shared, since lists are
  std::shared_ptr<std::vector<c10::IValue>> keys;  // of a dict, beside its elements
  std::string module_path;                         // of a submodule: "features.0", "" is the root
  ValueId emitted = -1;                            // in the program; -1 for a constant
  bool content = false;                            // depends on the content of the input, not just on its shape
  bool parameter = false;                          // a tensor that depends on a parameter
  std::string stale;                               // set when an in-place write to a view of it went by: where

  bool is_tensor() const { return !elements && at[0].isTensor(); }
};

/// Whether two values are alike: tensors of one type, shape and content; lists and tuples element by element.
bool same(const c10::IValue& a, const c10::IValue& b);

/// Whether an operator writes to one of its arguments in place.
bool writes(const c10::FunctionSchema& schema);

/// Whether any node of a block writes to a tensor in place.
bool any_writes(const jit::Block* block);

/// Interprets a frozen module's `forward` on two batches side by side and writes what it does as a program (see
/// specialise). Its parts: blocks, branches and loops (specialise.cpp), lists, tuples and dicts (containers.cpp),
/// operators (operators.cpp), weights that are constants (frozen.cpp), views and in-place writes (writes.cpp).
class Specialiser {
 public:
  Specialiser(const jit::Module& original, const jit::Module& frozen, const std::array<Batch, 2>& batches,
              const std::vector<Argument>& arguments, const std::string& file);
  Program run(const ItemPath& path);

 private:
  Known argument(const Argument& argument, const std::array<Batch, 2>& batches);
  /// One item of what forward returns.
  Known item(Known& whole, const std::string& name);
  [[noreturn]] void refuse(const jit::Node* node, const std::string& why) const;
  Known& use(const jit::Value* value, const jit::Node* reader);

  // ---- Emitting

  /// The program's value for something known; a constant is copied now, since it may be written to later.
  ValueId operand(Known& known);
  /// Whether a container holds nothing but constants.
  static bool constant(const Known& known);
  ValueId emit_container(Known& known);
  /// The value of something known in run `s`.
  c10::IValue materialise(const Known& known, int s) const;

  // ---- Blocks, branches, loops

  void run_block(const jit::Block* block);
  using LastUses = std::unordered_map<const jit::Node*, std::vector<const jit::Value*>>;
  /// The values of a block that no node after a node reads: activations are freed as they are in any other run.
  const LastUses& last_uses(const jit::Block* block);
  void run_node(const jit::Node* node);
  void set(const jit::Value* value, Known known);
  void run_constant(const jit::Node* node);
  void run_get_attribute(const jit::Node* node);
  using PlaceInMemory = std::tuple<void*, std::vector<int64_t>, std::vector<int64_t>>;
  static PlaceInMemory place_in_memory(const at::Tensor& tensor);
  /// A list of tensors that freezing took for a constant, as nn.LSTM keeps its weights: those that are parameters of
  /// the model are parameters again.
  void name_parameters(Known& list);
  /// A parameter's value in the program; one that shares its memory with an earlier one is that one.
  ValueId parameter(const std::string& path, const at::Tensor& tensor);
  bool condition(const jit::Value* value, const jit::Node* node, const char* what);
  void run_if(const jit::Node* node);
  void run_loop(const jit::Node* node);

  // ---- Lists, tuples and dicts

  static Known container(c10::TypePtr type, std::vector<Known> elements);
  /// The elements of a container, also of one that came as a constant; nothing if `known` is no list, tuple or dict.
  static std::shared_ptr<std::vector<Known>> elements_of(Known& known);
  static std::optional<int64_t> fixed_int(const Known& known);
  bool run_container(const jit::Node* node);
  c10::IValue constant_key(const jit::Value* value, const jit::Node* node);
  static void put(const Known& dict, const c10::IValue& key, Known element);
  void run_dict_construct(const jit::Node* node);
  static Known known_constant(const c10::IValue& content);
  /// An operator on a dict; false for one that is not known here.
  bool run_dict(const jit::Node* node, const std::string& op, const Known& dict);
  static Known list_of_dict(const std::string& op, const Known& dict, const c10::TypePtr& type);
  void run_list_slice(const jit::Node* node, const std::vector<Known>& elements);
  /// x.size(): a list whose elements are constants where the batch sizes agree, and `x.size(d)` where they do not.
  void run_sizes(const jit::Node* node);

  // ---- Operators

  void run_operator(const jit::Node* node);
  /// Whether an operation that can drop out does not: its share is 0, or it is not being trained.
  bool is_still(const jit::Node* node, const std::string& op);
  static bool depends(const Known& known, bool Known::*flag);
  static Operation operation_of(const jit::Node* node);
  /// The outputs of a node in both runs.
  std::array<std::vector<c10::IValue>, 2> execute(const jit::Node* node, const Operation& operation);
  bool gives_back(const jit::Node* node, const std::array<std::vector<c10::IValue>, 2>& outputs);
  /// Notes a node's outputs, and puts the node into the program unless it is a constant.
  void emit(const jit::Node* node, const std::string& op, const std::string& overload, const Operation& operation,
            const std::array<std::vector<c10::IValue>, 2>& outputs, bool content, bool parameter);
  /// Tensors without the shapes that a trace notes: they would be the sample's.
  static c10::TypePtr plain_type(const Known& known);
  /// A list of tensors that a node gave, as its elements.
  Known unpack(const jit::Node* node, const Known& list);

  /// squeeze: without dimensions, those of size 1 that hold no samples; the samples' own is refused. True where that
  /// is all there is to do.
  bool run_squeeze(const jit::Node* node);

  // ---- Weights that are constants

  /// Freezing makes one constant of equal ones, such as the zeros that many biases start as: each layer that reads one
  /// that is the same everywhere gets its own again, or layers that have nothing in common would be tied.
  void separate_equal_constants();
  /// The constants that an operator takes for weights are parameters, named after it: "conv2d_1.weight".
  void name_weights(const jit::Node* node, const std::string& op);
  /// A constant as a parameter; what is none stays as it is.
  void name_weight(Known& known, const std::string& layer, const std::string& slot);
  /// "conv2d_3": a name for the layer that an operator is.
  std::string next_layer(const std::string& op);
  /// x · W and x · W + b with constant W and b, which optimize_for_inference makes of linear layers: linear layers
  /// again. False for anything else.
  bool run_product(const jit::Node* node, const std::string& op);
  bool run_bias(const jit::Node* node);
  /// The tensor that a constant is a copy of, so that one that is read in two places is one parameter.
  at::Tensor stored(const Known& constant) const;

  // ---- Views and in-place writes

  /// How a tensor came to share the memory of another.
  struct View {
    Known base;
    std::string op, overload;
    std::vector<Known> arguments;  // after the base
  };
  static const void* identity(const Known& known) { return known.at[0].toTensor().unsafeGetTensorImpl(); }
  /// Notes that an output shares its first operand's memory.
  void note_view(const jit::Node* node, const std::string& op, const std::string& overload, const Known& made);
  void remember(const Known& made, View view);
  void supersede(const Known& before, const Known& after);
  /// Runs an operation on what is known in both runs, and puts it into the program unless its result is a constant.
  Known apply(const jit::Node* node, const std::string& op, const std::string& overload, std::vector<Known> inputs);
  static Known integer(int64_t value);
  /// The base of a view once the view has been written to: `written` in the view's place.
  Known write_back(const jit::Node* node, const View& view, const Known& written);
  /// After a write: every name of the tensor `before` means `after`, the tensors of which it is a view are made anew,
  /// and other views of the same memory are stale.
  void replace(const jit::Node* node, const Known& before, Known& after);
  /// What a tensor is after the writes so far: a stale view is taken anew of its base.
  Known current(Known known, const jit::Node* reader);
  bool is_outdated(const Known& known) const;
  /// A write in place: done for real in both runs where it concerns constants alone; else an operation in the
  /// program, whose output is what every name of the tensor means from now.
  void run_in_place(const jit::Node* node, const std::string& op, const c10::FunctionSchema& schema);
  /// Neither a parameter nor a view of one may be written to.
  void check_not_parameter(const jit::Node* node, const std::string& op, const Known& target) const;
  /// Makes every name of the tensor `written` mean `result`; a value that shares its memory in another shape is stale.
  /// True if there is one.
  static bool rebind(Known& known, const at::Tensor& written, const Known& result, const std::string& source,
                     std::set<const void*>& done);

  std::unordered_map<const jit::Block*, LastUses> last_uses_;
  bool writes_ = false;                  // whether forward writes in place anywhere: only then views matter
  std::vector<Known> alive_;             // whose tensors the next two have for keys
  std::map<const void*, View> views_;    // by the tensor that is a view
  std::map<const void*, Known> newest_;  // by a tensor that was written to: what it is now
  const std::array<int64_t, 2> batch_sizes_;
  const std::string& file_;
  std::shared_ptr<jit::Graph> graph_;
  Program program_;
  std::unordered_map<const jit::Value*, Known> known_;
  std::map<PlaceInMemory, ValueId> parameters_;
  std::map<PlaceInMemory, std::string> names_;  // of all parameters of the model
  std::set<std::string> trained_;
  std::set<std::string> keys_;           // of the model's parameters and buffers
  bool frozen_ = false;                  // the model has no parameters: its weights are constants
  std::map<std::string, int> weighted_;  // by kind of operator: how many have named weights
  std::map<const jit::Value*, std::pair<Known, Known>> products_;  // x and W of x · W, of a frozen model
  std::map<const void*, at::Tensor> stored_;                       // by a constant's copy: the constant
};

}  // namespace incite
