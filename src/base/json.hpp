#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace incite {

/// Documents keep the order in which members are added.
using Json = nlohmann::ordered_json;

/// A number; null where it is not finite.
Json number(double value);

/// A document as text, indented, with a newline at its end. File names need not be UTF-8.
std::string text(const Json& json);

}  // namespace incite
