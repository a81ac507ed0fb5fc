#include "program/pt2_enums.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace incite {
namespace {

template <typename Enum, size_t count>
using Numbers = std::array<std::pair<int64_t, Enum>, count>;

constexpr Numbers<c10::ScalarType, 13> types = {{
    {1, c10::ScalarType::Byte},
    {2, c10::ScalarType::Char},
    {3, c10::ScalarType::Short},
    {4, c10::ScalarType::Int},
    {5, c10::ScalarType::Long},
    {6, c10::ScalarType::Half},
    {7, c10::ScalarType::Float},
    {8, c10::ScalarType::Double},
    {12, c10::ScalarType::Bool},
    {13, c10::ScalarType::BFloat16},
    {28, c10::ScalarType::UInt16},
    {34, c10::ScalarType::UInt32},
    {35, c10::ScalarType::UInt64},
}};

constexpr Numbers<c10::MemoryFormat, 4> formats = {{
    {1, c10::MemoryFormat::Contiguous},
    {2, c10::MemoryFormat::ChannelsLast},
    {3, c10::MemoryFormat::ChannelsLast3d},
    {4, c10::MemoryFormat::Preserve},
}};

template <typename Enum, size_t count>
std::optional<Enum> value_of(const Numbers<Enum, count>& rows, int64_t number) {
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const auto& one) { return one.first == number; });
  return row == rows.end() ? std::nullopt : std::optional(row->second);
}

template <typename Enum, size_t count>
std::optional<int64_t> number_of(const Numbers<Enum, count>& rows, Enum value) {
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const auto& one) { return one.second == value; });
  return row == rows.end() ? std::nullopt : std::optional(row->first);
}

}  // namespace

std::optional<c10::ScalarType> type_of_pt2(int64_t number) {
  return value_of(types, number);
}

std::optional<int64_t> pt2_number(c10::ScalarType type) {
  return number_of(types, type);
}

std::optional<c10::MemoryFormat> memory_format_of_pt2(int64_t number) {
  return value_of(formats, number);
}

std::optional<int64_t> pt2_number(c10::MemoryFormat format) {
  return number_of(formats, format);
}

std::optional<c10::Layout> layout_of_pt2(int64_t number) {
  return number == pt2_strided ? std::optional(c10::kStrided) : std::nullopt;
}

}  // namespace incite
