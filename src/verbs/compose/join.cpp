#include "verbs/compose/join.hpp"

#include <ATen/core/List.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/api/compilation_unit.h>
#include <torch/csrc/jit/api/module.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <sstream>

#include "base/fail.hpp"
#include "program/attributes.hpp"
#include "program/read_module.hpp"

namespace incite {
namespace {

namespace jit = torch::jit;

/// A TorchScript method that computes columns; the joined module gets only those that it needs. Probabilities are
/// clamped to the smallest normal float32, so that log-odds are finite, at most 87 in size. For a sigmoid, log-odds use
/// 1 - p, which is exact near 1, and are at most 37, as log_odds_alone of units/output_kind.hpp.
struct Method {
  const char* name;
  const char* source;
};
constexpr Method log_odds = {"log_odds", R"(
def log_odds(self, logs: Tensor) -> Tensor:
  return logs.select(1, 1) - logs.select(1, 0)
)"};
constexpr Method log_odds_of = {"log_odds_of", R"(
def log_odds_of(self, logs: Tensor, output: int) -> Tensor:
  others = torch.cat([logs[:, :output], logs[:, output + 1:]], 1)
  return logs.select(1, output) - torch.logsumexp(others, [1])
)"};
constexpr Method log_odds_of_row = {"log_odds_of_row", R"(
def log_odds_of_row(self, logs: Tensor, row: int) -> Tensor:
  return logs.select(1, row) - logs.select(1, 0)
)"};
constexpr Method log_odds_of_sigmoid = {"log_odds_of_sigmoid", R"(
def log_odds_of_sigmoid(self, probabilities: Tensor, row: int) -> Tensor:
  return self.log_odds_alone(probabilities, row) - self.log_odds_alone(probabilities, 0)
)"};
constexpr Method log_odds_in_set = {"log_odds_in_set", R"(
def log_odds_in_set(self, logs: Tensor, output: int, others: List[int]) -> Tensor:
  places = torch.tensor(others, device=logs.device)
  return logs.select(1, output) - torch.logsumexp(logs.index_select(1, places), [1])
)"};
constexpr Method logs_of = {"logs_of", R"(
def logs_of(self, probabilities: Tensor) -> Tensor:
  return torch.log(torch.clamp_min(probabilities, 1.1754943508222875e-38))
)"};
constexpr Method log_odds_alone = {"log_odds_alone", R"(
def log_odds_alone(self, probabilities: Tensor, output: int) -> Tensor:
  own = probabilities.select(1, output)
  return torch.log(torch.clamp_min(own, 1.1754943508222875e-38)) - torch.log(torch.clamp_min(1 - own, 1.1102230246251565e-16))
)"};

/// The names of forward's arguments, without `self`.
std::vector<std::string> argument_names(const jit::Module& module, const std::filesystem::path& file) {
  const auto forward = module.find_method("forward");
  if (!forward) {
    fail(ExitCode::model_file, "{}: has no method forward; expected a module that 'incite decompose' wrote",
         file.string());
  }
  std::vector<std::string> names;
  for (const c10::Argument& argument : forward->function().getSchema().arguments())
    names.push_back(argument.name());
  names.erase(names.begin());
  return names;
}

/// The code of a joined module.
class Code {
 public:
  explicit Code(const std::vector<std::string>& arguments) : arguments_(fmt::format("{}", fmt::join(arguments, ", "))) {
    parameters_ = "self";
    for (const std::string& argument : arguments)
      parameters_ += fmt::format(", {}: Tensor", argument);
  }

  void add(const JoinedModule& module) {
    std::string outputs = fmt::format("self.{}.forward({})", module.key, arguments_);
    if (module.columns.size() > 1) {  // it runs once
      const std::string variable = fmt::format("outputs_{}", lines_.size());
      lines_.push_back(fmt::format("  {} = {}\n", variable, outputs));
      outputs = variable;
    }
    for (const JoinedColumn& one : module.columns)
      columns_.push_back(column(module, one.place, outputs));
  }

  std::string text() const {
    std::string text = fmt::format("def forward({}) -> Tensor:\n{}  return torch.stack([{}], 1).float()\n", parameters_,
                                   fmt::join(lines_, ""), fmt::join(columns_, ", "));
    for (const Method& method :
         {log_odds, log_odds_of, log_odds_of_row, log_odds_of_sigmoid, log_odds_in_set, logs_of, log_odds_alone}) {
      if (used_.contains(method.name)) text += method.source;
    }
    return text;
  }

 private:
  /// The column at a place of the module's set.
  std::string column(const JoinedModule& module, int64_t place, std::string outputs) {
    const OutputSet& set = module.set;
    const bool sigmoid = module.column == Column::of_sigmoid;
    const int64_t output = set.outputs[static_cast<size_t>(place)];
    const int64_t own = module.own_head ? place : output;  // without a row for others
    if (module.column == Column::value) return fmt::format("{}.select(1, {})", outputs, own);
    if (sigmoid && (!module.own_head || !set.others)) return call(log_odds_alone, outputs, own);
    if (sigmoid && set.size() > 1) {
      used_.insert(log_odds_alone.name);
      return call(log_odds_of_sigmoid, outputs, place + 1);
    }
    if (module.column != Column::of_logits) outputs = call(logs_of, outputs);
    if (!set.others) return fmt::format("{}.select(1, {})", outputs, own);
    if (module.own_head) return set.size() == 1 ? call(log_odds, outputs) : call(log_odds_of_row, outputs, place + 1);
    if (set.size() == 1) return call(log_odds_of, outputs, output);
    std::vector<int64_t> others;
    for (int64_t i = 0; i < module.outputs; ++i) {
      if (!std::binary_search(set.outputs.begin(), set.outputs.end(), i)) others.push_back(i);
    }
    used_.insert(log_odds_in_set.name);
    return fmt::format("self.{}({}, {}, [{}])", log_odds_in_set.name, outputs, output, fmt::join(others, ", "));
  }

  std::string call(const Method& method, const std::string& outputs, std::optional<int64_t> output = {}) {
    used_.insert(method.name);
    return output ? fmt::format("self.{}({}, {})", method.name, outputs, *output)
                  : fmt::format("self.{}({})", method.name, outputs);
  }

  std::string arguments_;           // "image, mask"
  std::string parameters_;          // "self, image: Tensor, mask: Tensor"
  std::vector<std::string> lines_;  // that run modules of several columns
  std::vector<std::string> columns_;
  std::set<std::string> used_;
};

}  // namespace

std::string join(const std::vector<JoinedModule>& modules, const std::string& identity) {
  INCITE_ASSERT(!modules.empty());
  jit::Module whole(c10::QualifiedName("__torch__.Composition"), std::make_shared<jit::CompilationUnit>(),
                    /*shouldMangle=*/true);
  std::optional<Code> code;
  size_t inputs = 0;
  c10::List<std::string> names;
  c10::List<int64_t> outputs;
  for (const JoinedModule& module : modules) {
    const jit::Module part = read_module(module.file, at::kCPU);
    const std::vector<std::string> arguments = argument_names(part, module.file);
    if (!code) {
      inputs = arguments.size();
      code.emplace(arguments);
    }
    if (arguments.size() != inputs) {
      fail(ExitCode::data_mismatch,
           "{}: takes {} input{} ({}); expected {}, as for {}. Join modules of models with the same inputs",
           module.file.string(), arguments.size(), arguments.size() == 1 ? "" : "s", fmt::join(arguments, ", "), inputs,
           modules[0].file.string());
    }
    INCITE_ASSERT(!whole.hasattr(module.key));
    whole.register_module(module.key, part);
    code->add(module);
    for (const JoinedColumn& column : module.columns) {
      names.push_back(column.name);
      outputs.push_back(column.label);
    }
  }
  whole.register_attribute(names_attribute, c10::ListType::ofStrings(), names);
  whole.register_attribute("training", c10::BoolType::get(), false);  // module.train() in Python sets it
  whole.register_attribute(outputs_attribute, c10::ListType::ofInts(), outputs);
  if (!identity.empty()) whole.register_attribute(identity_attribute, c10::StringType::get(), identity);
  whole.define(code->text());
  std::ostringstream stream;
  whole.save(stream);
  return std::move(stream).str();
}

}  // namespace incite
