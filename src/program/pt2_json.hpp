#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace incite {

/// Parses JSON that came from outside. `where` starts messages: "model.pt2: models/model.json". Throws Error
/// (model_file) for text that is no JSON, or is nested more deeply than any model's.
nlohmann::json parse_json(const std::string& text, const std::string& where);

/// Text from outside, fit for a message of one line: cut short, without control characters.
std::string printable(const std::string& text, size_t longest = 80);

/// A value in a JSON document, with its place for messages. Every accessor throws Error (model_file), which names the
/// place, if the value is of another type. The document must outlive it.
class JsonView {
 public:
  JsonView(const nlohmann::json& json, std::string where) : json_(&json), where_(std::move(where)) {}

  /// A member of an object.
  JsonView at(const std::string& key) const;
  /// The same; nothing where it is missing or null.
  std::optional<JsonView> find(const std::string& key) const;
  /// The elements of a list.
  std::vector<JsonView> items() const;
  /// The members of an object, by key.
  std::vector<std::pair<std::string, JsonView>> members() const;
  /// The only member of an object: a tagged union, such as {"as_int": 3}.
  std::pair<std::string, JsonView> only() const;

  const std::string& text() const;
  int64_t integer() const;
  double real() const;  ///< a number, or "Infinity", "-Infinity" or "NaN"
  bool boolean() const;
  bool is_null() const { return json_->is_null(); }
  bool is_string() const { return json_->is_string(); }
  bool is_list() const { return json_->is_array(); }

  const std::string& where() const { return where_; }
  /// Throws Error (model_file): what is wrong here.
  [[noreturn]] void refuse(const std::string& what) const;

 private:
  [[noreturn]] void refuse_type(const char* expected) const;

  const nlohmann::json* json_;
  std::string where_;
};

}  // namespace incite
