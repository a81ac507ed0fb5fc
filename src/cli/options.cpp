#include "cli/options.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace incite::cli {
namespace {

const std::vector<std::string> groups = {"", "Data", "Size", "Method", "Research", "Output", "Machine"};

std::string flags_of(const std::string& name) {
  if (name == "model") return name;  // a positional
  if (name == "data") return "-d,--data";
  if (name == "out") return "-o,--out";
  return "--" + name;
}

/// Turns a text such as 2GB into a number of bytes. CLI11's own message would list all its units.
CLI::Validator size_in_bytes() {
  return CLI::Validator(
      [to_bytes = CLI::AsSizeValue(false)](std::string& text) -> std::string {
        const std::string given = text;
        try {
          if (to_bytes(text).empty()) return {};
        } catch (const CLI::ValidationError&) {  // the message below says what is expected
        }
        return fmt::format("{}: expected a size such as 2GB", given);
      },
      "");
}

constexpr int max_words = 1'000'000;

bool has_commas(const Option& option) {
  return std::holds_alternative<Numbers>(option.takes) || std::holds_alternative<Sizes>(option.takes);
}

bool has_words(const Option& option) {
  return std::holds_alternative<Words>(option.takes);
}

/// Restricts the text that an option takes.
struct Restrict {
  CLI::Option& option;
  void operator()(const AnyText& /*any*/) const {}
  void operator()(const Flag& /*flag*/) const {}
  void operator()(const Bytes& /*bytes*/) const { option.transform(size_in_bytes()); }
  void operator()(const OneOf& choice) const { option.check(one_of(choice.names))->type_name(list_of(choice.names)); }
  void operator()(const Number& range) const { option.check(in_range(range)); }
  void operator()(const Numbers& range) const { option.check(in_range(range)); }
  void operator()(const Sizes& /*sizes*/) const {}
  void operator()(const Words& /*words*/) const { option.expected(1, max_words); }
};

}  // namespace

void GivenOptions::add(CLI::App& verb, const std::function<bool(const Option&)>& wanted) {
  for (const std::string& group : groups) {
    for (const Option& row : decompose_options()) {
      if (row.group != group || !wanted(row)) continue;
      Place& place = places_[row.name];
      const std::string name = flags_of(row.name);
      if (std::holds_alternative<Flag>(row.takes)) {
        place.option = verb.add_flag(name, row.help);
      } else {
        place.words = has_words(row);
        place.option = has_commas(row) ? verb.add_option(name, place.parts, row.help)->delimiter(',')
                       : place.words   ? verb.add_option(name, place.parts, row.help)
                                       : verb.add_option(name, place.text, row.help);
        std::visit(Restrict{*place.option}, row.takes);
        if (!row.type.empty()) place.option->type_name(row.type);
        if (!row.initial.empty()) place.option->default_str(row.initial);
      }
      if (!group.empty()) place.option->group(group);
      if (row.name == "model" || row.name == "data" || row.name == "out") place.option->required();
    }
  }
}

std::map<std::string, std::string> GivenOptions::texts() const {
  std::map<std::string, std::string> texts;
  for (const auto& [name, place] : places_) {
    if (place.option->count() == 0) continue;
    texts[name] = place.parts.empty() ? place.text : fmt::format("{}", fmt::join(place.parts, place.words ? " " : ","));
  }
  return texts;
}

CLI::Validator one_of(const std::vector<std::string>& names) {
  return CLI::Validator(
      [names](std::string& text) -> std::string {
        if (std::find(names.begin(), names.end(), text) != names.end()) return {};
        return fmt::format("{}: expected {}", text, list_of(names));
      },
      "");
}

CLI::Validator in_range(const Number& range) {
  return CLI::Validator(
      [range](std::string& text) -> std::string {
        double value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool number = error == std::errc() && end == text.data() + text.size();
        if (number && value <= range.high && (value > range.low || (range.low_allowed && value == range.low)))
          return {};
        return fmt::format("{}: expected {}", text, range.expected);
      },
      "");
}

std::string list_of(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, "|"));
}

}  // namespace incite::cli
