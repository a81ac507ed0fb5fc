#include "program/pt2_constants.hpp"

#include <ATen/core/jit_type.h>

#include <cmath>

#include "program/pt2_enums.hpp"

namespace incite {
namespace {

/// A number; JSON has none that are not finite.
Json real_json(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
  return number;
}

Json argument_json(const char* kind, Json content) {
  Json argument = Json::object();
  argument[kind] = std::move(content);
  return argument;
}

/// A whole number, or what TorchScript writes as one.
std::optional<Json> whole_json(int64_t number, c10::TypeKind kind) {
  const auto known = [](const char* name, const std::optional<int64_t>& value) {
    return value ? std::optional(argument_json(name, *value)) : std::nullopt;
  };
  switch (kind) {
    case c10::TypeKind::FloatType:
      return argument_json("as_float", static_cast<double>(number));
    case c10::TypeKind::ScalarTypeType:
      return known("as_scalar_type", pt2_number(static_cast<c10::ScalarType>(number)));
    case c10::TypeKind::MemoryFormatType:
      return known("as_memory_format", pt2_number(static_cast<c10::MemoryFormat>(number)));
    case c10::TypeKind::LayoutType:
      return known("as_layout",
                   number == static_cast<int64_t>(c10::kStrided) ? std::optional(pt2_strided) : std::nullopt);
    default:
      return argument_json("as_int", number);
  }
}

bool takes_reals(const c10::Argument& parameter) {
  const auto list = without_optional(parameter.type())->cast<c10::ListType>();
  return list && list->getElementType()->kind() == c10::TypeKind::FloatType;
}

std::optional<Json> list_json(const c10::IValue& content, const c10::Argument& parameter) {
  if (!content.isIntList() && !content.isDoubleList() && !content.isBoolList()) return std::nullopt;
  const bool reals = content.isDoubleList() || takes_reals(parameter);
  Json items = Json::array();
  for (const c10::IValue& item : content.toListRef()) {
    if (item.isBool()) {
      items.push_back(item.toBool());
    } else if (item.isInt()) {
      items.push_back(reals ? Json(static_cast<double>(item.toInt())) : Json(item.toInt()));
    } else {
      items.push_back(real_json(item.toDouble()));
    }
  }
  return argument_json(content.isBoolList() ? "as_bools" : reals ? "as_floats" : "as_ints", std::move(items));
}

}  // namespace

c10::TypePtr without_optional(const c10::TypePtr& type) {
  const auto optional = type->cast<c10::OptionalType>();
  return optional ? optional->getElementType() : type;
}

std::optional<Json> pt2_constant(const c10::IValue& content, const c10::Argument& parameter) {
  if (content.isNone()) return argument_json("as_none", true);
  if (content.isBool()) return argument_json("as_bool", content.toBool());
  if (content.isInt()) return whole_json(content.toInt(), without_optional(parameter.real_type())->kind());
  if (content.isDouble()) return argument_json("as_float", real_json(content.toDouble()));
  if (content.isString()) return argument_json("as_string", content.toStringRef());
  if (content.isDevice()) return argument_json("as_device", {{"type", "cpu"}, {"index", nullptr}});
  return list_json(content, parameter);
}

}  // namespace incite
