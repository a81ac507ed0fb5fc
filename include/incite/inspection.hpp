#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "incite/error.hpp"
#include "incite/options.hpp"

namespace incite {

struct AnalysedModel;

/// The result of inspect.
struct Inspection {
  OutputKind kind = OutputKind::other;
  int64_t outputs = 0;
  std::optional<Task> task;              ///< as decompose would choose it; unset: unknown
  bool one_column = false;               ///< its one output is treated as two classes
  int64_t parameters = 0;                ///< trained parameters that `forward` reads
  int64_t removable_parameters = 0;      ///< removed if each layer keeps only its pinned channels, or one
  int64_t smallest_module = 0;           ///< parameters of the smallest module that decompose can make by default
  bool own_head = true;                  ///< whether that module has its own head or the model's output layer
  std::optional<Error> refusal;          ///< why decompose, with its defaults, would fail; unset: it works
  std::vector<std::string> warnings;     ///< those that decompose gives before it scores; none if it would fail
  std::shared_ptr<AnalysedModel> model;  ///< the program and its units, for the reports
};

}  // namespace incite
