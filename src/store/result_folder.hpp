#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "store/document.hpp"

namespace incite {

/// A module's file in a result's folder.
std::string module_file(int64_t output);

/// What a run reads, which may lie in the folder of its result.
struct RunInputs {
  std::filesystem::path model;
  std::filesystem::path scores;  ///< empty: none
};

/// The folder that a result's `files`, and the document, are to be written to, which may hold an earlier result.
class ResultFolder {
 public:
  ResultFolder(std::filesystem::path folder, RunInputs inputs, std::vector<std::string> files);

  /// Refuses (output) to write over the model itself or what is no file, and, without `force`, over a file that is no
  /// earlier result's.
  void check_targets(bool force) const;
  /// Removes files of the earlier result that the new one does not have, but for the run's inputs.
  void remove_stale() const;

 private:
  std::filesystem::path folder_;
  RunInputs inputs_;
  std::vector<std::string> earlier_;  // of the earlier result
  std::vector<std::string> files_;    // to be written
};

}  // namespace incite
