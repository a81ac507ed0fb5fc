#pragma once

#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>

#include <optional>

#include "base/json.hpp"

namespace incite {

/// The type in an optional one; any other as it is.
c10::TypePtr without_optional(const c10::TypePtr& type);

/// A constant as an argument of a node in a .pt2 archive, for a parameter of its operator: {"as_int": 3}. Whole numbers
/// are types, layouts and memory formats where the parameter takes these. Nothing for what an archive can't hold, and
/// for tensors.
std::optional<Json> pt2_constant(const c10::IValue& content, const c10::Argument& parameter);

}  // namespace incite
