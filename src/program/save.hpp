#pragma once

#include <string>

#include "program/program.hpp"

namespace incite {

/// The program as the bytes of a TorchScript file for the CPU: `forward` with the same code, arguments and their
/// names, parameters under their state_dict keys. Batch norms with running statistics follow the attribute `training`,
/// which is false, of the module that has them. `identity`, unless it is empty, becomes the identity_attribute, where
/// no parameter or submodule has that name. The same program gives the same bytes. torch.jit.load reads them; so does
/// load_program.
std::string serialise(const Program& program, const std::string& identity = {});

}  // namespace incite
