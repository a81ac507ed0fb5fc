#pragma once

#include <ATen/core/function_schema.h>
#include <c10/core/Device.h>
#include <torch/csrc/jit/ir/ir.h>

#include <string>
#include <unordered_map>

#include "program/pt2_json.hpp"

namespace incite {

/// The values of a graph of a .pt2 archive that were made so far, by name.
using Pt2Values = std::unordered_map<std::string, torch::jit::Value*>;

/// The value of a name. Throws Error (model_file) if nothing has made it yet.
torch::jit::Value* value_of(const Pt2Values& values, const JsonView& name);

/// The operand that an argument of a node in an archive means, for a parameter of an operator: a value made before, or
/// a constant or list inserted into the graph. Devices become `device`. Throws Error: model_file for names of values
/// that are not there; unsupported for graphs, custom objects and what else incite does not know.
torch::jit::Value* operand_of(const JsonView& argument, const c10::Argument& parameter, torch::jit::Graph& graph,
                              const Pt2Values& values, c10::Device device);

/// A number, truth value or text, or None. Throws Error (unsupported) for any other argument.
c10::IValue plain_constant(const JsonView& argument);

}  // namespace incite
