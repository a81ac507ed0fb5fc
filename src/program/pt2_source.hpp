#pragma once

#include <torch/csrc/jit/frontend/source_range.h>

#include <string>

#include "program/pt2_json.hpp"

namespace incite {

/// Where a node of an archive stands in the user's code, in the form that source_of reads; empty if the archive does
/// not say.
torch::jit::SourceRange pt2_source(const JsonView& node);

/// What an archive says of a place in the user's code, "net.py:31": see pt2_source.
std::string pt2_stack_trace(const std::string& place);

}  // namespace incite
