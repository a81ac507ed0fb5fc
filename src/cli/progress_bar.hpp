#pragma once

#include <chrono>
#include <string>

#include "incite/progress.hpp"

namespace incite::cli {

/// A line on stderr, where it is a terminal, that shows how far a stage has come, its rate and the time it still takes.
class ProgressBar {
 public:
  explicit ProgressBar(bool wanted);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(const ProgressEvent& event);
  /// Takes the line away; the next event draws it again.
  void clear();

 private:
  bool visible_;
  bool drawn_ = false;
  std::string stage_;
  std::chrono::steady_clock::time_point began_, last_;
};

/// The line itself, at most `width` columns: "scoring [####----]  52 %  211 k mutant-samples/s  0:21 left".
std::string progress_line(const ProgressEvent& event, double seconds, int width);

/// Columns of the terminal that a file descriptor is; 0: it is none, or does not say.
int terminal_width(int descriptor);

/// Notes SIGINT and SIGTERM from now on, for `interrupted`; a second one ends the program at once.
void watch_signals();
bool interrupted();

}  // namespace incite::cli
