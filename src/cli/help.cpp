#include "cli/help.hpp"

#include <unistd.h>

#include <algorithm>

#include "cli/text.hpp"

namespace incite::cli {

HelpFormatter::HelpFormatter() {
  constexpr size_t without_terminal = 80, narrowest = 50, widest = 100;
  const size_t found = columns_of(STDOUT_FILENO);
  width_ = found == 0 ? without_terminal : std::clamp(found, narrowest, widest);
  column_width(30);
}

std::string HelpFormatter::make_description(const CLI::App* app) const {
  return wrapped(CLI::Formatter::make_description(app), width_, 0);
}

std::string HelpFormatter::make_usage(const CLI::App* app, std::string name) const {
  return wrapped(CLI::Formatter::make_usage(app, std::move(name)), width_);
}

std::string HelpFormatter::make_option(const CLI::Option* option, bool is_positional) const {
  return entry(make_option_name(option, is_positional) + make_option_opts(option), make_option_desc(option));
}

std::string HelpFormatter::make_subcommand(const CLI::App* verb) const {
  return entry(verb->get_name(), verb->get_description());
}

/// A name with its description beside it, or below it if the name is too long.
std::string HelpFormatter::entry(const std::string& name, const std::string& description) const {
  const size_t column = get_column_width();
  const std::string text = wrapped(std::string(column, ' ') + description, width_, column) + "\n";
  const std::string left = wrapped("  " + name, width_, 6);
  if (left.size() + 2 > column || left.find('\n') != std::string::npos) return left + "\n" + text;
  return left + std::string(column - left.size(), ' ') + text.substr(column);
}

}  // namespace incite::cli
