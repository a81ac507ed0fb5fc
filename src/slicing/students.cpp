#include "slicing/students.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "slicing/head.hpp"

namespace incite {
namespace {

/// By value: whether it is a parameter of the module, or one that only the tail reads.
std::vector<bool> learning_parameters(const Program& module, const Tail* tail) {
  std::vector<bool> read(module.values.size(), false), read_before(module.values.size(), false);
  for (size_t n = 0; n < module.nodes.size(); ++n) {
    const auto node = static_cast<NodeId>(n);
    const bool learns = tail == nullptr || std::binary_search(tail->nodes.begin(), tail->nodes.end(), node);
    for (const ValueId id : module.node(node).inputs)
      (learns ? read : read_before)[at_index(id)] = true;
  }
  for (size_t i = 0; i < read.size(); ++i)
    read[i] = read[i] && !read_before[i] && module.values[i].kind == Value::Kind::parameter;
  return read;
}

}  // namespace

// ---- One module -----------------------------------------------------------------------------------------------------

Student::Student(Program& module, const OutputSet& set, const Tail* tail) : module_(module), set_(set) {
  const std::vector<bool> learns = learning_parameters(module, tail);
  for (size_t i = 0; i < module.values.size(); ++i) {
    Value& value = module.values[i];
    if (!learns[i] || value.is_buffer || !value.content.isTensor()) continue;
    const at::Tensor old = value.content.toTensor();
    if (!old.is_floating_point()) continue;
    value.content = old.detach().clone().set_requires_grad(true);
    places_.push_back(i);
    weights_.push_back(value.content.toTensor());
  }
  optimiser_ = std::make_unique<Adam>(weights_);
}

at::Tensor Student::columns_of(const at::Tensor& outputs, ColumnKind kind) const {
  return kind.task == Task::regression ? outputs.to(at::kDouble)
                                       : log_odds(outputs, kind.kind, set_, /*own_head=*/true);
}

void Student::note() {
  best_.clear();
  for (const at::Tensor& weight : weights_)
    best_.push_back(weight.detach().clone());
}

void Student::go_back() {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < weights_.size(); ++i)
    weights_[i].copy_(best_[i]);
  optimiser_ = std::make_unique<Adam>(weights_);
}

void Student::finish() {
  for (size_t i = 0; i < places_.size(); ++i)
    module_.values[places_[i]].content = best_[i];
}

// ---- Several --------------------------------------------------------------------------------------------------------

std::vector<Students> Students::groups_of(std::vector<Program>& modules, const std::vector<OutputSet>& sets,
                                          std::vector<TailData> tails, const Dataset& data, ColumnKind kind,
                                          int64_t most) {
  const auto all = static_cast<int64_t>(modules.size());
  const int64_t count = (all + most - 1) / most;
  const auto student = [&](int64_t m) {
    const auto place = static_cast<size_t>(m);
    return std::make_unique<Student>(modules[place], sets[place], tails.empty() ? nullptr : &tails[place].tail);
  };
  std::vector<Students> groups;
  for (int64_t g = 0; g < count; ++g) {
    const int64_t first = all * g / count, end = all * (g + 1) / count;
    Students group(first, kind);
    std::vector<const Program*> programs;
    std::vector<const TailData*> own_tails;
    for (int64_t m = first; m < end; ++m) {
      group.students_.push_back(student(m));
      programs.push_back(&modules[static_cast<size_t>(m)]);
      if (!tails.empty()) own_tails.push_back(&tails[static_cast<size_t>(m)]);
    }
    if (programs.size() > 1) {
      group.stacked_ = tails.empty() ? StackedModules::of(programs, first_samples(data, programs[0]->device))
                                     : StackedModules::of_tails(programs, own_tails);
    }
    if (group.stacked_) {
      if (!tails.empty()) {
        group.inputs_ = stacked_inputs(own_tails);
        group.tails_.push_back({tails[static_cast<size_t>(first)].tail, {}});
        for (int64_t m = first; m < end; ++m)
          tails[static_cast<size_t>(m)].inputs.clear();
      }
      groups.push_back(std::move(group));
      continue;
    }
    for (int64_t m = first; m < end; ++m) {
      Students one(m, kind);
      one.students_.push_back(std::move(group.students_[static_cast<size_t>(m - first)]));
      if (!tails.empty()) one.tails_.push_back(std::move(tails[static_cast<size_t>(m)]));
      one.alone_ = std::make_unique<Executor>(modules[static_cast<size_t>(m)]);
      groups.push_back(std::move(one));
    }
  }
  return groups;
}

std::vector<at::Tensor> Students::columns(const Dataset& data, const Batch& batch, const at::Tensor& samples,
                                          const at::Tensor& rows) const {
  std::vector<at::Tensor> outputs;
  if (tails_.empty()) {
    outputs = stacked_ ? (*stacked_)(batch) : std::vector{(*alone_)(batch)};
    for (at::Tensor& own : outputs)
      own = data.at_points(own, samples);
  } else if (stacked_) {
    std::vector<StackedValue> some;
    for (const StackedValue& input : inputs_)
      some.push_back({input.values.index_select(0, rows.to(input.values.device())), input.widths});
    outputs = stacked_->run_tail(tails_.front().tail, some);
  } else {
    const TailData& own = tails_.front();
    const TailInputs some = select_rows(own.tail, own.inputs, rows.to(own.inputs.front().device()));
    outputs = {run_tail(*alone_, own.tail, some, alone_->program().output)};
  }
  for (size_t m = 0; m < outputs.size(); ++m)
    outputs[m] = students_[m]->columns_of(outputs[m], kind_);
  return outputs;
}

void Students::step(const std::vector<at::Tensor>& columns, const std::vector<at::Tensor>& gradients,
                    double learning_rate) {
  torch::autograd::backward(columns, gradients);
  for (const auto& student : students_)
    student->step(learning_rate);
}

}  // namespace incite
