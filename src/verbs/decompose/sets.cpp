#include "verbs/decompose/sets.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>
#include <sstream>

#include "base/fail.hpp"
#include "store/files.hpp"

namespace incite {
namespace {

constexpr const char* expected = "expected each, all, sets such as digits=0-4 rest=5,7-9, or a file of such sets";
constexpr const char* all_name = "all";

std::optional<int64_t> parse_number(const std::string& text) {
  constexpr size_t most_digits = 9;
  if (text.empty() || text.size() > most_digits || text.find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  return std::stoll(text);
}

/// A name that can stand in the name of a file and in a composition.
bool is_name(const std::string& text) {
  const auto is_allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.' || c >= 0x80;
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), is_allowed) && parse_number(text) == std::nullopt;
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;)
    words.push_back(word);
  return words;
}

/// Reads "digits=0-4". `where`: what stands before the messages.
OutputSet parse_set(const std::string& where, const std::string& word) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos) fail(ExitCode::usage, "{} {}: {}", where, word, expected);
  OutputSet set;
  set.name = word.substr(0, equals);
  if (!is_name(set.name)) {
    fail(ExitCode::usage, "{} {}: expected a name of letters, digits, '-', '_' and '.', and not a number, before '='",
         where, word);
  }
  const auto outputs = parse_outputs(word.substr(equals + 1));
  if (!outputs) fail(ExitCode::usage, "{} {}: expected numbers of outputs such as 0,3-7 after '='", where, word);
  set.outputs = *outputs;
  return set;
}

/// The sets of a file: one on each line; '#' starts a comment.
std::vector<OutputSet> read_sets(const std::filesystem::path& file) {
  const std::string text = read_text(file);
  if (text.find('\0') != std::string::npos)
    fail(ExitCode::usage, "--modules {}: not a text file; {}", file.string(), expected);
  std::vector<OutputSet> sets;
  std::istringstream lines(text);
  size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const std::vector<std::string> words = words_of(line.substr(0, line.find('#')));
    const std::string where = fmt::format("--modules {}: line {}:", file.string(), number);
    if (words.size() > 1)
      fail(ExitCode::usage, "{} {} words; expected one set, such as digits=0-4", where, words.size());
    if (words.size() == 1) sets.push_back(parse_set(where, words[0]));
  }
  if (sets.empty())
    fail(ExitCode::usage, "--modules {}: holds no sets; expected lines such as digits=0-4", file.string());
  return sets;
}

}  // namespace

std::optional<std::vector<int64_t>> parse_outputs(const std::string& text) {
  constexpr int64_t most = 1'000'000;
  std::vector<int64_t> outputs;
  for (size_t first = 0;;) {
    const size_t comma = text.find(',', first);
    const std::string part = text.substr(first, comma - first);
    const size_t dash = part.find('-');
    const auto low = parse_number(part.substr(0, dash));
    const auto high = dash == std::string::npos ? low : parse_number(part.substr(dash + 1));
    if (!low || !high || *high < *low || *high - *low > most) return std::nullopt;
    for (int64_t output = *low; output <= *high; ++output)
      outputs.push_back(output);
    if (comma == std::string::npos) break;
    first = comma + 1;
  }
  std::sort(outputs.begin(), outputs.end());
  outputs.erase(std::unique(outputs.begin(), outputs.end()), outputs.end());
  return outputs;
}

std::vector<OutputSet> parse_sets(const std::string& text) {
  if (text == "each") return {};
  if (text == all_name) return {OutputSet{{}, all_name, true}};
  const std::vector<std::string> words = words_of(text);
  std::error_code error;
  if (words.size() == 1 && words[0].find('=') == std::string::npos && std::filesystem::is_regular_file(words[0], error))
    return read_sets(words[0]);
  if (words.empty()) fail(ExitCode::usage, "--modules: no text; {}", expected);
  std::vector<OutputSet> sets;
  for (const std::string& word : words)
    sets.push_back(parse_set("--modules", word));
  return sets;
}

std::vector<std::string> parse_names(const std::string& text) {
  std::error_code error;
  const bool from_file = std::filesystem::is_regular_file(text, error);
  std::istringstream stream(from_file ? read_text(text) : text);
  std::vector<std::string> names;
  for (std::string name; std::getline(stream, name, from_file ? '\n' : ',');) {
    if (from_file && name.ends_with('\r')) name.pop_back();
    names.push_back(name);
  }
  const std::string where = fmt::format("--names {}", text);
  if (names.empty()) fail(ExitCode::usage, "{}: no names; expected one for each output", where);
  std::set<std::string> different;
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty()) fail(ExitCode::usage, "{}: name {} is empty; expected some text", where, i + 1);
    if (!different.insert(names[i]).second)
      fail(ExitCode::usage, "{}: '{}' is given twice; expected different names", where, names[i]);
  }
  return names;
}

std::string sets_text(const std::vector<OutputSet>& sets) {
  if (sets.empty()) return "each";
  std::vector<std::string> words;
  for (const OutputSet& set : sets) {
    if (set.outputs.empty()) return all_name;
    words.push_back(fmt::format("{}={}", set.name, fmt::join(set.outputs, ",")));
  }
  return fmt::format("{}", fmt::join(words, " "));
}

}  // namespace incite
