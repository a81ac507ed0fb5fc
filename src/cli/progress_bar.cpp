#include "cli/progress_bar.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdio>

namespace incite::cli {
namespace {

std::atomic<bool> stop_requested = false;

void on_signal(int signal) {
  if (stop_requested.exchange(true)) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

std::string rate_text(double rate) {
  if (rate >= 1e6) return fmt::format("{:.2f} M", rate / 1e6);
  if (rate >= 1e4) return fmt::format("{:.0f} k", rate / 1e3);
  if (rate >= 10) return fmt::format("{:.0f}", rate);
  return fmt::format("{:.1f}", rate);
}

std::string clock_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::ceil(seconds));
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

int terminal_width(int descriptor) {
  winsize size{};
  return ioctl(descriptor, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

void watch_signals() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

bool interrupted() {
  return stop_requested;
}

std::string progress_line(const ProgressEvent& event, double seconds, int width) {
  const double share =
      event.total > 0 ? std::min(static_cast<double>(event.done) / static_cast<double>(event.total), 1.0) : 1;
  const double rate = seconds > 0 ? static_cast<double>(event.done) / seconds : 0;
  const double left = rate > 0 ? std::max(static_cast<double>(event.total - event.done), 0.0) / rate : 0;
  const std::string end = fmt::format(" {:3.0f} %  {} {}/s  {} left", std::floor(100 * share), rate_text(rate),
                                      event.unit, clock_text(left));
  const std::string start = event.stage + " ";
  const auto room = static_cast<int64_t>(width) - static_cast<int64_t>(start.size() + end.size()) - 3;
  const auto cells = std::clamp<int64_t>(room, 0, 40);
  const auto full = static_cast<int64_t>(share * static_cast<double>(cells));
  const std::string bar = cells < 5 ? "" : fmt::format("[{:#<{}}{:-<{}}]", "", full, "", cells - full);
  return (start + bar + end).substr(0, static_cast<size_t>(std::max(width - 1, 1)));
}

ProgressBar::ProgressBar(bool wanted) : visible_(wanted && isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() {
  clear();
}

void ProgressBar::clear() {
  if (drawn_) std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
}

void ProgressBar::show(const ProgressEvent& event) {
  if (!visible_) return;
  const auto now = std::chrono::steady_clock::now();
  if (event.stage != stage_) {
    stage_ = event.stage;
    began_ = last_ = now;
    return;
  }
  const bool due = now - last_ >= std::chrono::milliseconds(100);
  if (event.done >= event.total) return clear();
  if (!due) return;
  last_ = now;
  const double seconds = std::chrono::duration<double>(now - began_).count();
  const int width = terminal_width(STDERR_FILENO);
  std::fputs(("\r" + progress_line(event, seconds, width > 0 ? width : 80) + "\033[K").c_str(), stderr);
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace incite::cli
