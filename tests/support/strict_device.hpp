#pragma once

#include <c10/core/Device.h>

namespace incite::test {

/// A device that stands for a GPU on machines without one. Its tensors lie in the host's memory and its operations are
/// the CPU's, but as on a GPU an operation on tensors of two devices throws c10::Error, unless it copies, or the other
/// device's are single numbers on the CPU.
c10::Device strict_device();

/// Operations that have run on it.
int64_t strict_device_operations();

}  // namespace incite::test
