#include "program/arguments.hpp"

#include "base/fail.hpp"

namespace incite {
namespace {

bool takes_tensor(const c10::Argument& argument) {
  return c10::TensorType::get()->isSubtypeOf(*argument.type());
}

[[noreturn]] void refuse_count(const std::vector<c10::Argument>& all, size_t inputs, const std::string& file) {
  std::vector<std::string> names;
  for (size_t i = 1; i < all.size(); ++i) {
    if (takes_tensor(all[i])) names.push_back(all[i].name() + (all[i].default_value() ? " (optional)" : ""));
  }
  fail(ExitCode::data_mismatch,
       "{}: forward takes {} tensor{}: {}; {} given. Pass --input-key with the name of an "
       "array for each, in this order",
       file, names.size(), names.size() == 1 ? "" : "s", fmt::join(names, ", "),
       inputs == 1 ? "1 is" : fmt::format("{} are", inputs));
}

}  // namespace

std::vector<Argument> arguments_of(const torch::jit::Module& module, size_t inputs, const std::string& file) {
  const std::vector<c10::Argument>& all = module.get_method("forward").function().getSchema().arguments();
  std::vector<Argument> arguments;
  size_t given = 0;
  for (size_t i = 1; i < all.size(); ++i) {
    Argument argument;
    argument.name = all[i].name();
    if (takes_tensor(all[i]) && given < inputs) {
      argument.input = given++;
    } else if (all[i].default_value()) {
      argument.otherwise = *all[i].default_value();
    } else if (takes_tensor(all[i])) {
      refuse_count(all, inputs, file);
    } else {
      fail(ExitCode::unsupported, "{}: forward's argument '{}' is {}; incite can pass only tensors", file,
           argument.name, all[i].type()->annotation_str());
    }
    arguments.push_back(std::move(argument));
  }
  if (given < inputs) refuse_count(all, inputs, file);
  return arguments;
}

std::vector<c10::IValue> values_of(const std::vector<Argument>& arguments, const Batch& batch) {
  std::vector<c10::IValue> values;
  for (const Argument& argument : arguments)
    values.push_back(argument.input ? c10::IValue(batch[*argument.input]) : argument.otherwise);
  return values;
}

}  // namespace incite
