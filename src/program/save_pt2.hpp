#pragma once

#include <string>

#include "base/batch.hpp"
#include "program/attributes.hpp"
#include "program/program.hpp"

namespace incite {

/// The program as the bytes of a .pt2 archive, which torch.export.load reads, and load_program: the same code, inputs
/// and their names, for batches of any size; parameters and buffers under their state_dict keys. Constants are in no
/// state_dict. What `attributes` says, but for the parameters, becomes extra files. The same program gives the same
/// bytes.
///
/// The program runs on a few samples of `batch`, which tells the sizes of its values. Throws Error (unsupported), which
/// starts with `what`, for an operation that torch.export does not know.
std::string serialise_pt2(const Program& program, const Batch& batch, const FileAttributes& attributes,
                          const std::string& what);

}  // namespace incite
