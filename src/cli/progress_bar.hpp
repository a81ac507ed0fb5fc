#pragma once

#include <chrono>
#include <string>

#include "incite/progress.hpp"

namespace incite::cli {

/// A line on stderr, if that is a terminal: progress of a stage, its rate and the time left.
class ProgressBar {
 public:
  explicit ProgressBar(bool wanted);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(const ProgressEvent& event);
  /// Erases the line; the next event draws it again.
  void clear();

 private:
  bool visible_;
  bool drawn_ = false;
  std::string stage_;
  std::chrono::steady_clock::time_point began_, last_;
};

/// The line itself, at most `width` columns: "scoring [####----]  52 %  211 k mutant-samples/s  0:21 left".
std::string progress_line(const ProgressEvent& event, double seconds, int width);

/// The width in columns of the terminal behind a file descriptor; 0 if it is no terminal or its width is unknown.
int terminal_width(int descriptor);

/// From now on, the first SIGINT or SIGTERM makes `interrupted` true; a second one ends the program at once.
void watch_signals();
bool interrupted();

}  // namespace incite::cli
