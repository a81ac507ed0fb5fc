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

/// What inspect finds.
struct Inspection {
  OutputKind kind = OutputKind::other;
  int64_t outputs = 0;
  std::optional<Task> task;          ///< as decompose would choose it; unset: nothing tells
  bool one_column = false;           ///< its one output is taken as those of two classes
  int64_t parameters = 0;            ///< trained ones that `forward` reads
  int64_t removable_parameters = 0;  ///< those that go when each layer keeps only its pinned channels, or one
  int64_t smallest_module = 0;       ///< parameters of the smallest module that decompose can make by default
  bool own_head = true;              ///< that module has its own head; else it has the model's output layer
  std::optional<Error> refusal;  ///< why decompose, with its defaults, refuses the model or the data; unset: it works
  std::vector<std::string> warnings;     ///< sentences: what decompose warns of before it scores; none where it refuses
  std::shared_ptr<AnalysedModel> model;  ///< the program and its units, which the reports draw on
};

}  // namespace incite
