#include "samples.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "incite/program/executor.hpp"

namespace incite {

constexpr int64_t check_samples = 8;

at::Tensor first_samples(const Dataset& data, at::Device device) {
  return data.batch(0, std::min(check_samples, data.size()), device);
}

int64_t output_count(const Program& program, const at::Tensor& input) {
  const at::NoGradGuard no_grad;
  return Executor(program)(input).size(1);
}

TestSet truth(const Program& program, const Dataset& data, Task task, int64_t outputs) {
  TestSet set;
  set.data = &data;
  if (data.target.defined()) {
    if (task == Task::classification) {
      set.classes = classes_of(data, outputs);
    } else {
      set.values = values_of(data, outputs);
    }
    return set;
  }
  const at::Tensor own = outputs_for(program, data, at::arange(data.size(), at::kLong));
  if (task == Task::classification) {
    set.classes = own.argmax(1);
  } else {
    set.values = own;
  }
  return set;
}

}  // namespace incite
