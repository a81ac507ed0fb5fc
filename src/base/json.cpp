#include "base/json.hpp"

#include <cmath>

namespace incite {

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

std::string text(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace incite
