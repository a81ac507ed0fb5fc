#include "base/fail.hpp"

namespace incite {

void assertion_failed(const char* expression, const char* file, int line) {
  throw std::logic_error(fmt::format("{}:{}: '{}' does not hold", file, line, expression));
}

}  // namespace incite
