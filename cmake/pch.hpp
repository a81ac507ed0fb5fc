#pragma once
// LibTorch's headers are most of each file's compile time. What a file includes is still said in the file.
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/torch.h>
