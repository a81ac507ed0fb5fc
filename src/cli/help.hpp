#pragma once

#include <CLI/CLI.hpp>

namespace incite::cli {

/// Formats help as wide as the terminal, from 50 to 100 columns, or 80 if stdout is no terminal.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter();

  std::string make_description(const CLI::App* app) const override;
  std::string make_usage(const CLI::App* app, std::string name) const override;
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_subcommand(const CLI::App* verb) const override;

 private:
  std::string entry(const std::string& name, const std::string& description) const;

  size_t width_ = 80;
};

}  // namespace incite::cli
