#include "store/scores_key.hpp"

#include <algorithm>
#include <set>
#include <sstream>

#include "base/fail.hpp"

namespace incite {
namespace {

constexpr size_t digits_shown = 12;  // of a SHA-256

/// --samples and --agreement share two entries: without an agreement to stop at, 0 samples mean all.
std::string samples_option(const ScoresKey& key) {
  if (value_of(key, "agreement") != "none") return "--samples auto";
  const std::string count = value_of(key, "samples");
  return "--samples " + (count == "0" ? "all" : count);
}

/// The option as typed, in mebibytes if they are whole.
std::string memory_option(const std::string& bytes) {
  constexpr long long mebibyte = 1 << 20;
  const long long count = std::stoll(bytes);
  return "--memory " + (count % mebibyte == 0 ? fmt::format("{}MB", count / mebibyte) : bytes);
}

/// With test data, nothing is held out.
bool held_out_is_test(const ScoresKey& key) {
  return value_of(key, "held-out") == "0";
}

std::string as_typed(const std::string& name, const KeyedOptions& options) {
  const std::string value = value_of(options.key, name);
  const std::string option = "--" + name;
  if (name == "keep") return options.size.empty() ? "another size" : options.size;
  if (name == "samples") return samples_option(options.key);
  if (name == "scored-outputs") return "--outputs " + value;
  if (name == "test") return held_out_is_test(options.key) ? option : "no " + option;
  if (name == "cluster-size" && value == "0") return option + " auto";
  if (name == "tf32") return value == "yes" ? option : "no " + option;
  const bool absent = value.empty() || (name == "memory" && value == "auto");
  if (name == "memory" && !absent) return memory_option(value);
  return absent ? "no " + option : option + " " + value;
}

std::set<std::string> parts_of_list(const std::string& list) {
  std::set<std::string> parts;
  std::istringstream text(list);
  for (std::string part; std::getline(text, part, ',');)
    parts.insert(part);
  return parts;
}

/// Whether scores for some outputs hold columns for all that are wanted.
bool covers(const std::string& found, const std::string& wanted) {
  if (found == "all") return true;
  const std::set<std::string> has = parts_of_list(found), wants = parts_of_list(wanted);
  return std::includes(has.begin(), has.end(), wants.begin(), wants.end());
}

/// The option of the first entry of `wanted` that differs in `found`; empty if none differs.
std::string first_difference(ScoresUse use, const KeyedOptions& found, const KeyedOptions& wanted) {
  for (const auto& [name, value] : wanted.key) {
    if (value_of(found.key, name) == value) continue;
    if (name == "scored-outputs" && use == ScoresUse::take && covers(value_of(found.key, name), value)) continue;
    if (name == "held-out" && held_out_is_test(found.key) != held_out_is_test(wanted.key)) return "test";
    if (name == "agreement" && samples_option(found.key) != samples_option(wanted.key)) return "samples";
    return name;
  }
  return "";
}

}  // namespace

std::string value_of(const ScoresKey& key, const std::string& name) {
  const auto entry = std::find_if(key.begin(), key.end(), [&](const auto& e) { return e.first == name; });
  return entry == key.end() ? "" : entry->second;
}

std::string anew(ScoresUse use) {
  return use == ScoresUse::resume ? "pass --force instead of --resume to start over"
                                  : "leave out --scores to score again";
}

void check_same(const ScoresRequest& request, const KeyedOptions& found, const KeyedOptions& wanted) {
  const std::string name = first_difference(request.use, found, wanted);
  if (name.empty()) return;
  const char* const purpose = request.use == ScoresUse::resume ? "continue" : "use it";
  if (name == "model" || name == "data") {
    const std::filesystem::path& own = name == "model" ? request.model : request.data;
    const auto hash = [&](const KeyedOptions& options) { return value_of(options.key, name).substr(0, digits_shown); };
    fail(ExitCode::usage,
         "{}: made with another {} file, or {} has changed since: the SHA-256 was {}…, now it is {}…; pass "
         "the same file to {}, or {}",
         request.file.string(), name, own.string(), hash(found), hash(wanted), purpose, anew(request.use));
  }
  const std::string then = as_typed(name, found);
  fail(ExitCode::usage, "{}: made with {}, but this run has {}; pass {} to {}, or {}", request.file.string(), then,
       as_typed(name, wanted), then, purpose, anew(request.use));
}

}  // namespace incite
