#include <charconv>
#include <optional>

#include "base/fail.hpp"
#include "data/npy.hpp"

namespace incite {

namespace {

/// Reads the dict literal token by token: NumPy promises neither the order of the keys nor the spacing.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  NpyHeader parse() {
    expect('{');
    while (!accept('}')) {
      parse_item();
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (at_ < text_.size()) malformed("the end");
    require(descr_.has_value(), "descr");
    require(fortran_order_.has_value(), "fortran_order");
    require(shape_.has_value(), "shape");
    return {std::move(*descr_), *fortran_order_, std::move(*shape_)};
  }

 private:
  void parse_item() {
    const std::string key = parse_string();
    expect(':');
    if (key == "descr") {
      descr_ = parse_descr();
    } else if (key == "fortran_order") {
      fortran_order_ = parse_bool();
    } else if (key == "shape") {
      shape_ = parse_shape();
    } else {
      fail(ExitCode::data_file,
           "{}: the .npy header has the key '{}'; expected only 'descr', 'fortran_order' and "
           "'shape'. Save the file again.",
           name_, key);
    }
  }

  std::string parse_descr() {
    skip_space();
    if (at_ < text_.size() && text_[at_] == '[') {
      fail(ExitCode::data_file,
           "{}: holds structured data; expected booleans, integers or floats. Save each field as an array.", name_);
    }
    return parse_string();
  }

  std::string parse_string() {
    skip_space();
    if (at_ == text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) malformed("a string");
    const std::size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos) malformed("a string that ends");
    std::string value(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return value;
  }

  bool parse_bool() {
    if (accept_word("True")) return true;
    if (accept_word("False")) return false;
    malformed("True or False");
  }

  std::vector<int64_t> parse_shape() {
    std::vector<int64_t> shape;
    expect('(');
    while (!accept(')')) {
      shape.push_back(parse_extent());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }

  int64_t parse_extent() {
    skip_space();
    int64_t value = 0;
    const char* const first = text_.data() + at_;
    const auto [last, error] = std::from_chars(first, text_.data() + text_.size(), value);
    if (error != std::errc() || value < 0) malformed("an extent from 0 to 2^63 - 1");
    at_ += static_cast<std::size_t>(last - first);
    accept('L');  // Python 2 wrote long integers so
    return value;
  }

  bool accept_word(std::string_view word) {
    skip_space();
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  bool accept(char wanted) { return accept_word(std::string_view(&wanted, 1)); }

  void expect(char wanted) {
    if (!accept(wanted)) malformed(fmt::format("'{}'", wanted));
  }

  void skip_space() {
    const std::size_t next = text_.find_first_not_of(" \t\r\n", at_);
    at_ = next == std::string_view::npos ? text_.size() : next;
  }

  void require(bool found, const char* key) const {
    if (!found) fail(ExitCode::data_file, "{}: the .npy header has no '{}'. Save the file again.", name_, key);
  }

  [[noreturn]] void malformed(const std::string& expected) const {
    fail(ExitCode::data_file, "{}: malformed .npy header: expected {} at byte {} of the header. Save the file again.",
         name_, expected, at_);
  }

  std::string_view text_;
  const std::string& name_;
  std::size_t at_ = 0;
  std::optional<std::string> descr_;
  std::optional<bool> fortran_order_;
  std::optional<std::vector<int64_t>> shape_;
};

}  // namespace

NpyHeader parse_npy_header(std::string_view text, const std::string& name) {
  return HeaderParser(text, name).parse();
}

}  // namespace incite
