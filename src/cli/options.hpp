#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "verbs/decompose/options.hpp"

namespace incite::cli {

/// Texts that were given on the command line, by option.
class GivenOptions {
 public:
  /// Adds those of decompose's options to a verb that `wanted` says, in groups.
  void add(CLI::App& verb, const std::function<bool(const Option&)>& wanted);

  /// By name, after the command line was parsed. Flags have no text.
  std::map<std::string, std::string> texts() const;

 private:
  struct Place {
    CLI::Option* option = nullptr;
    std::vector<std::string> parts;
  };
  std::map<std::string, Place> places_;  // CLI11 refers to them, and a map does not move them
};

/// A check that a text is one of some names; its message lists them.
CLI::Validator one_of(const std::vector<std::string>& names);
/// A check that a number lies in a range; its message says what was expected.
CLI::Validator in_range(const Number& range);
/// "a|b|c"
std::string list_of(const std::vector<std::string>& names);

}  // namespace incite::cli
