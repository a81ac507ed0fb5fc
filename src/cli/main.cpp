#include <c10/util/Exception.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include "base/fail.hpp"
#include "base/first_line.hpp"
#include "cli/command.hpp"
#include "cli/help.hpp"
#include "cli/progress_bar.hpp"
#include "cli/text.hpp"
#include "incite/version.hpp"

namespace {

int report(incite::ExitCode code, std::string message) {
  // An error is one line, whatever the message contains.
  for (char& c : message) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  message = incite::cli::wrapped("error: " + message, incite::cli::columns_of(STDERR_FILENO));
  std::fprintf(stderr, "%s\n", message.c_str());
  return static_cast<int>(code);
}

/// Prints help, the version, or a mistake on the command line. Returns the exit code.
int report_usage(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return app.exit(error);
  if (app.get_subcommands().empty() && app.remaining_size() > 0) {
    return report(incite::ExitCode::usage,
                  fmt::format("{}: expected inspect, decompose, compose or evaluate. See '{} --help'",
                              app.remaining().front(), app.get_name()));
  }
  std::string verb = app.get_name();
  for (const CLI::App* chosen : app.get_subcommands())
    verb += " " + chosen->get_name();
  return report(incite::ExitCode::usage, fmt::format("{}. See '{} --help'", error.what(), verb));
}

int run(CLI::App& app, int argc, char** argv) {
  using incite::ExitCode;
  try {
    app.parse(argc, argv);
    return static_cast<int>(ExitCode::ok);
  } catch (const CLI::ParseError& error) {
    return report_usage(app, error);
  } catch (const incite::Error& error) {
    return report(error.code(), error.what());
  } catch (const c10::OutOfMemoryError& error) {
    return report(ExitCode::device, "out of memory on the device; lower --memory. " + incite::first_line(error));
  } catch (const std::bad_alloc&) {
    return report(ExitCode::device, "out of memory; lower --memory");
  } catch (const c10::Error& error) {
    return report(ExitCode::internal, "a defect of incite, please report it: " + incite::first_line(error));
  } catch (const std::exception& error) {
    return report(ExitCode::internal, std::string("a defect of incite, please report it: ") + error.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Takes a trained neural network apart into one small module for each of its outputs.", "incite");
  app.set_version_flag("--version", std::string("incite ") + incite::version);
  app.require_subcommand(1);
  app.formatter(std::make_shared<incite::cli::HelpFormatter>());
  incite::cli::CommonOptions common;
  incite::cli::add_inspect(app, common);
  incite::cli::add_decompose(app, common);
  incite::cli::add_compose(app, common);
  incite::cli::add_evaluate(app, common);
  incite::cli::watch_signals();
  return run(app, argc, argv);
}
