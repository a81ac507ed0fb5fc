#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "incite/options.hpp"
#include "store/document.hpp"

namespace incite {

/// The file name of a module in a result folder: "module-3.pt", of an output with a name "module-3-cat.pt", of a set
/// "module-digits.pt"; as an exported program "module-3.pt2". Characters of names that file systems may refuse become
/// '_'.
std::string module_file(const OutputSet& set, FileFormat format);

/// Input files of a run. They may lie in its result folder.
struct RunInputs {
  std::filesystem::path model;
  std::filesystem::path scores;  ///< empty: none
};

/// The folder for a result's `files` and its document. It may hold an earlier result.
class ResultFolder {
 public:
  ResultFolder(std::filesystem::path folder, RunInputs inputs, std::vector<std::string> files);

  /// Throws Error (output) if a file would replace the model or anything but a regular file, or, without `force`, a
  /// file that does not belong to an earlier result.
  void check_targets(bool force) const;
  /// Removes files of the earlier result that are not in the new one, except the run's inputs.
  void remove_stale() const;

 private:
  std::filesystem::path folder_;
  RunInputs inputs_;
  std::vector<std::string> earlier_;  // files of the earlier result
  std::vector<std::string> files_;    // files to write
};

}  // namespace incite
