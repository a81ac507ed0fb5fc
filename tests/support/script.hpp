#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/jit/api/module.h>

#include <map>
#include <string>

#include "program/load.hpp"
#include "program/program.hpp"
#include "support/npz_forge.hpp"

namespace incite::test {

using Parameters = std::map<std::string, at::Tensor>;

/// A TorchScript module with parameters; those with a dot in their name belong to submodules. Running statistics,
/// constants ("constant_mask") and what is not floating-point are buffers.
inline torch::jit::Module module_with(const Parameters& parameters, const std::string& class_name = "__torch__.m") {
  torch::jit::Module module(class_name);
  std::map<std::string, Parameters> inner;
  for (const auto& [name, tensor] : parameters) {
    const size_t dot = name.find('.');
    if (name.starts_with("running_") || name.starts_with("constant_") || !tensor.is_floating_point()) {
      module.register_buffer(name, tensor);
    } else if (dot == std::string::npos) {
      module.register_parameter(name, tensor, /*is_buffer=*/false);
    } else {
      inner[name.substr(0, dot)][name.substr(dot + 1)] = tensor;
    }
  }
  for (const auto& [name, own] : inner) {
    const torch::jit::Module submodule = module_with(own, class_name + "_" + name);
    module.register_module(name, submodule);
  }
  return module;
}

/// The program of a model whose code is `source`, "def forward(self, x): ...", loaded from a file as a user's would be.
inline Program program_from(const std::string& source, const Parameters& parameters, const Batch& batch) {
  torch::jit::Module module = module_with(parameters);
  module.define(source);
  const TempDir folder;
  module.save((folder / "model.pt").string());
  return load_program(folder / "model.pt", batch);
}

}  // namespace incite::test
