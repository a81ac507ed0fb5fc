#pragma once

#include <c10/core/Layout.h>
#include <c10/core/MemoryFormat.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <optional>

namespace incite {

// The numbers that a .pt2 archive has for types, layouts and memory formats: they are not c10's. Nothing for those that
// incite does not know, such as quantized types and sparse layouts.

std::optional<c10::ScalarType> type_of_pt2(int64_t number);
std::optional<int64_t> pt2_number(c10::ScalarType type);

std::optional<c10::MemoryFormat> memory_format_of_pt2(int64_t number);
std::optional<int64_t> pt2_number(c10::MemoryFormat format);

std::optional<c10::Layout> layout_of_pt2(int64_t number);
inline constexpr int64_t pt2_strided = 7;

}  // namespace incite
