#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>

namespace incite {

/// The device that a name means: cpu, cuda or cuda:<index>. Throws Error: usage for any other name, device for a GPU
/// that is not there. From then on a GPU computes in float32 proper: LibTorch lets convolutions round to TF32 (ten
/// bits) unless told otherwise, and a slice would not equal its mask.
c10::Device parse_device(const std::string& name);

/// As long as one lives, and if `allowed`, a GPU may round what it multiplies to TF32 (ten bits), which is faster than
/// float32. The setting is the whole program's.
class Tf32Products {
 public:
  explicit Tf32Products(bool allowed);
  ~Tf32Products();
  Tf32Products(const Tf32Products&) = delete;
  Tf32Products& operator=(const Tf32Products&) = delete;
};

/// Half of the memory that is free for this process now, on a CPU at most 4 GiB, in bytes: what activations may take by
/// default.
int64_t default_memory(c10::Device device);

}  // namespace incite
