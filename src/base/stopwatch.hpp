#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace incite {

/// Seconds by stage.
class Stopwatch {
 public:
  void start(const std::string& stage) {
    stop();
    stage_ = stage;
    began_ = std::chrono::steady_clock::now();
  }
  void stop() {
    if (stage_.empty()) return;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
    const auto same =
        std::find_if(seconds_.begin(), seconds_.end(), [&](const auto& entry) { return entry.first == stage_; });
    if (same == seconds_.end()) {
      seconds_.emplace_back(stage_, seconds);
    } else {
      same->second += seconds;
    }
    stage_.clear();
  }
  std::vector<std::pair<std::string, double>> seconds() {
    stop();
    return seconds_;
  }

 private:
  std::string stage_;
  std::chrono::steady_clock::time_point began_;
  std::vector<std::pair<std::string, double>> seconds_;
};

}  // namespace incite
