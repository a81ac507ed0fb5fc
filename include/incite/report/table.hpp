#pragma once

#include <string>
#include <vector>

#include "incite/decomposition.hpp"
#include "incite/inspection.hpp"

namespace incite {

/// Text in columns: the first is aligned left, the others right unless `left` names them.
class Table {
 public:
  explicit Table(std::vector<std::string> header, std::vector<size_t> left = {0});
  void add(std::vector<std::string> row);
  /// The table with a line under its header; each line ends in a newline.
  std::string text() const;

 private:
  std::vector<std::string> header_;
  std::vector<size_t> left_;
  std::vector<std::vector<std::string>> rows_;
};

/// What a person reads after decompose, evaluate and inspect.
std::string to_table(const Decomposition& decomposition);
std::string to_table(const Decomposition& decomposition, const Evaluation& evaluation);
std::string to_table(const Inspection& inspection);

/// A number of bytes, "41.3 KiB".
std::string human_bytes(int64_t bytes);
/// A whole number with thousands separated, "44,426".
std::string human_count(int64_t count);

}  // namespace incite
