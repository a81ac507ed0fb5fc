#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "verbs/decompose/options.hpp"

namespace incite::cli {

/// The texts given on the command line, by option.
class GivenOptions {
 public:
  /// Adds those options of decompose to a verb for which `wanted` is true, group by group.
  void add(CLI::App& verb, const std::function<bool(const Option&)>& wanted);

  /// The texts by option name, once the command line is parsed. A flag's text is empty.
  std::map<std::string, std::string> texts() const;

 private:
  struct Place {
    CLI::Option* option = nullptr;
    std::string text;
    std::vector<std::string> parts;  // of a list
    bool words = false;              // the list is of arguments, not of parts between commas
  };
  std::map<std::string, Place> places_;  // a map, since CLI11 keeps references and a map does not move its elements
};

/// Checks that a text is one of `names`; the message lists them.
CLI::Validator one_of(const std::vector<std::string>& names);
/// Checks that a number lies in a range; the message says which.
CLI::Validator in_range(const Number& range);
/// "a|b|c"
std::string list_of(const std::vector<std::string>& names);

}  // namespace incite::cli
