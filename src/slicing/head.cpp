#include "slicing/head.hpp"

#include <ATen/ATen.h>
#include <fmt/ranges.h>
#include <torch/nn/functional.h>
#include <torch/optim/adam.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <optional>

#include "base/fail.hpp"
#include "base/random.hpp"
#include "base/rows.hpp"
#include "data/dataset.hpp"
#include "program/convolution.hpp"
#include "slicing/convex.hpp"

namespace incite {
namespace {

/// Fits with one penalty after another, from the largest on, each from where the one before it has ended, and returns
/// the parameters with the least `validate`. Without validating rows: with the first penalty alone.
std::vector<at::Tensor> best_penalty(const std::vector<at::Tensor>& parameters, const HeadParams& params,
                                     const std::function<void(double)>& fit, const std::function<double()>& validate) {
  if (!validate) {
    fit(params.l2.front());
    return parameters;
  }
  std::vector<double> penalties = params.l2;
  std::sort(penalties.begin(), penalties.end(), std::greater<>());
  std::vector<at::Tensor> best;
  double least = std::numeric_limits<double>::infinity();
  for (const double penalty : penalties) {
    fit(penalty);
    const double now = validate();
    if (!best.empty() && !(now < least)) continue;
    least = now;
    best.clear();
    for (const at::Tensor& parameter : parameters)
      best.push_back(parameter.detach().clone());
  }
  return best;
}

/// Logistic regression of log-odds for the outputs of a set, to the loss of the samples to fit to. `validating`: the
/// loss of the other samples; null: there are none.
Head fit_log_odds(const HeadData& data, const Standardised& s, const OutputSet& set, const HeadParams& params,
                  const std::function<at::Tensor(const at::Tensor&)>& loss,
                  const std::function<at::Tensor(const at::Tensor&)>& validating) {
  const int64_t fitted = data.features.size(0) - data.validating;
  const at::Tensor rows = variable(at::zeros({set.size(), s.turned.size(1)}, s.turned.options()));
  const at::Tensor offsets = variable(at::zeros({set.size()}, s.turned.options()));
  const std::vector<at::Tensor> parameters = data.has_bias ? std::vector{rows, offsets} : std::vector{rows};
  const auto fit = [&](double l2) {
    minimise(parameters, params.iterations,
             [&] { return loss(products(s.turned, rows) + offsets) + l2 * s.rows(rows).square().sum(); });
  };
  std::function<double()> validate;
  if (validating) {
    const at::Tensor features = s.apply(data.features.narrow(0, fitted, data.validating));
    validate = [&, features] {
      return validating(products(features, rows.detach()) + offsets.detach()).item<double>();
    };
  }
  const std::vector<at::Tensor> best = best_penalty(parameters, params, fit, validate);
  return head_from_log_odds(unstandardise(best[0].detach(), data.has_bias ? best[1].detach() : offsets.detach(), s),
                            set, data.kind, data.has_bias);
}

/// Whether rows of a head have samples of two classes at least.
bool has_two(const at::Tensor& rows) {
  return rows.numel() > 0 && rows.min().item<int64_t>() < rows.max().item<int64_t>();
}

Head logistic_regression(const HeadData& data, const Head& /*original*/, const OutputSet& set,
                         const HeadParams& params) {
  const int64_t fitted = data.features.size(0) - data.validating;
  const Standardised s = standardise(data.features.narrow(0, 0, fitted), data.has_bias);
  const at::Tensor others = data.rows.narrow(0, fitted, data.validating);
  std::function<at::Tensor(const at::Tensor&)> validating;
  if (has_two(others)) validating = SetLoss(others, set);
  return fit_log_odds(data, s, set, params, SetLoss(data.rows.narrow(0, 0, fitted), set, data.teacher), validating);
}

Head label_regression(const HeadData& data, const Head& /*original*/, const OutputSet& set, const HeadParams& params) {
  const int64_t fitted = data.features.size(0) - data.validating;
  const Standardised s = standardise(data.features.narrow(0, 0, fitted), data.has_bias);
  std::function<at::Tensor(const at::Tensor&)> validating;
  if (data.validating > 0) validating = LabelLoss(data.values.narrow(0, fitted, data.validating));
  return fit_log_odds(data, s, set, params, LabelLoss(data.values.narrow(0, 0, fitted), data.teacher), validating);
}

/// A seeded order of `size` samples, int64 on the CPU.
at::Tensor shuffled(int64_t size, uint64_t seed) {
  return stratified_order(at::Tensor(), size, seed);
}

/// Mini-batch Adam; the epoch with the least `validation_loss` is kept.
Head adam(const at::Tensor& features, const at::Tensor& targets, const Head& start, const HeadParams& params,
          const std::function<at::Tensor(const at::Tensor&, const at::Tensor&)>& loss) {
  const int64_t held_out =
      std::max<int64_t>(1, static_cast<int64_t>(params.validation * static_cast<double>(features.size(0))));
  const int64_t train = features.size(0) - held_out;
  if (train < 1)
    fail(ExitCode::data_mismatch, "{} samples are too few to train a head with Adam; give more, or pass --head lbfgs",
         features.size(0));
  Head head{variable(start.weight), start.bias.defined() ? variable(start.bias) : at::Tensor()};
  std::vector<at::Tensor> parameters = {head.weight};
  if (head.bias.defined()) parameters.push_back(head.bias);
  torch::optim::Adam optimiser(parameters, torch::optim::AdamOptions(params.learning_rate));
  const auto outputs = [&](const at::Tensor& x) {
    return at::linear(x, head.weight, head.bias.defined() ? head.bias : at::Tensor());
  };
  const auto validate = [&] {
    const at::NoGradGuard no_grad;
    return loss(outputs(features.narrow(0, train, held_out)), targets.narrow(0, train, held_out)).item<double>();
  };
  Head best{head.weight.detach().clone(), head.bias.defined() ? head.bias.detach().clone() : at::Tensor()};
  double least = validate();
  const at::AutoGradMode gradients(true);
  for (int64_t epoch = 0; epoch < params.epochs; ++epoch) {
    const at::Tensor order =
        shuffled(train, derive_seed(params.seed, fmt::format("epoch {}", epoch))).to(features.device());
    in_batches(train, params.batch, [&](int64_t first, int64_t count) {
      const at::Tensor rows = order.narrow(0, first, count);
      optimiser.zero_grad();
      loss(outputs(features.index_select(0, rows)), targets.index_select(0, rows)).backward();
      optimiser.step();
    });
    const double now = validate();
    if (now >= least) continue;
    least = now;
    best.weight = head.weight.detach().clone();
    if (head.bias.defined()) best.bias = head.bias.detach().clone();
  }
  return best;
}

/// Throws Error (data_mismatch) if there is no sample of a class of the set, or of the others.
void expect_all(const at::Tensor& rows, const OutputSet& set) {
  const at::Tensor counts = at::bincount(rows, {}, set.rows()).cpu();
  const int64_t first = set.others ? 1 : 0;
  for (int64_t row = first; row < set.rows(); ++row) {
    if (counts[row].item<int64_t>() > 0) continue;
    fail(ExitCode::data_mismatch,
         "no sample is of class {}, so no head can be fitted for it; give samples of this class and of other classes",
         set.outputs[static_cast<size_t>(row - first)]);
  }
  if (counts[0].item<int64_t>() > 0) return;
  fail(ExitCode::data_mismatch,
       "every sample is of class {}, so no head can be fitted for it; give samples of this class and of other classes",
       fmt::join(set.outputs, " or "));
}

/// The rows of the set's outputs in the original's output layer.
at::Tensor rows_of_set(const at::Tensor& rows, const OutputSet& set) {
  return rows.index_select(0, at::tensor(set.outputs, at::TensorOptions(at::kLong).device(rows.device())));
}

/// The mean of the rows of outputs that are not in the set.
at::Tensor mean_others(const at::Tensor& rows, const OutputSet& set) {
  const int64_t others = rows.size(0) - set.size();
  if (others == 0) return at::zeros_like(rows.narrow(0, 0, 1));
  return ((rows.sum(0) - rows_of_set(rows, set).sum(0)) / static_cast<double>(others)).unsqueeze(0);
}

Head adam_classification(const HeadData& data, const Head& original, const OutputSet& set, const HeadParams& params) {
  const auto start_of = [&](const at::Tensor& rows) {
    const at::Tensor own = rows_of_set(rows, set);
    return set.others ? at::cat({mean_others(rows, set), own}) : own;
  };
  const Head start{start_of(original.weight), data.has_bias ? start_of(original.bias) : at::Tensor()};
  const bool sigmoid = data.kind == OutputKind::sigmoid;
  return adam(data.features, data.rows, start, params,
              [sigmoid, rows = set.rows()](const at::Tensor& outputs, const at::Tensor& targets) {
                if (sigmoid)
                  return at::binary_cross_entropy_with_logits(outputs, at::one_hot(targets, rows).to(outputs.dtype()));
                return at::cross_entropy_loss(outputs, targets);
              });
}

/// Least squares in closed form, with a ridge that only keeps it solvable.
at::Tensor least_squares(const at::Tensor& features, const at::Tensor& values) {
  const auto samples = static_cast<double>(features.size(0));
  at::Tensor gram = features.t().matmul(features) / samples;
  gram.diagonal().add_(1e-9);
  return at::linalg_solve(gram, features.t().mv(values) / samples);
}

/// How far a regression's outputs are from values.
at::Tensor residuals(const HeadData& data, const at::Tensor& outputs, const at::Tensor& values) {
  if (!data.rectified) return outputs - values;
  return at::where(values > 0, outputs - values, outputs.clamp_min(0));
}

/// The row for one output, whose values are [samples].
Head least_absolute_deviation_of(const HeadData& data, const Standardised& s, const at::Tensor& all_values,
                                 const HeadParams& params) {
  const at::Tensor values = all_values.narrow(0, 0, s.turned.size(0)).to(at::kDouble);
  const at::Tensor centre = data.has_bias ? values.mean() : at::zeros({}, values.options());
  const at::Tensor row = variable(least_squares(s.turned, values - centre));
  const at::Tensor offset = variable(centre);
  const std::vector<at::Tensor> parameters = data.has_bias ? std::vector{row, offset} : std::vector{row};
  const double scale =
      std::max(residuals(data, at::mv(s.turned, row) + offset, values).abs().mean().item<double>(), 1e-12);
  for (const double sharpness : {1.0, 0.1, 0.01}) {
    const double width = scale * sharpness;
    // |r| is not smooth: sqrt(r² + width²) is, and comes near it as the width falls.
    minimise(parameters, params.iterations, [&] {
      const at::Tensor residual = residuals(data, at::mv(s.turned, row) + offset, values);
      return ((residual / width).square() + 1.0).sqrt().mean() * sharpness;
    });
  }
  const Head head = unstandardise(row.detach().unsqueeze(0), offset.detach().unsqueeze(0), s);
  return {head.weight.to(at::kFloat), data.has_bias ? head.bias.to(at::kFloat) : at::Tensor()};
}

Head least_absolute_deviation(const HeadData& data, const Head& /*original*/, const OutputSet& set,
                              const HeadParams& params) {
  const int64_t fitted = data.features.size(0) - data.validating;
  const Standardised s = standardise(data.features.narrow(0, 0, fitted), data.has_bias);
  std::vector<at::Tensor> weights, biases;
  for (int64_t column = 0; column < set.size(); ++column) {
    const Head head = least_absolute_deviation_of(data, s, data.values.select(1, column).contiguous(), params);
    weights.push_back(head.weight);
    if (data.has_bias) biases.push_back(head.bias);
  }
  return {at::cat(weights), data.has_bias ? at::cat(biases) : at::Tensor()};
}

/// The original's rows of the set.
Head own_rows(const HeadData& data, const Head& original, const OutputSet& set) {
  return {rows_of_set(original.weight, set), data.has_bias ? rows_of_set(original.bias, set) : at::Tensor()};
}

Head adam_multilabel(const HeadData& data, const Head& original, const OutputSet& set, const HeadParams& params) {
  return adam(data.features, data.values, own_rows(data, original, set), params,
              [](const at::Tensor& outputs, const at::Tensor& targets) {
                return at::binary_cross_entropy_with_logits(outputs, targets);
              });
}

Head adam_regression(const HeadData& data, const Head& original, const OutputSet& set, const HeadParams& params) {
  const Head start = own_rows(data, original, set);
  return adam(data.features, data.values, start, params, [&data](const at::Tensor& outputs, const at::Tensor& targets) {
    return residuals(data, outputs, targets).abs().mean();
  });
}

constexpr std::array<HeadRow, 3> methods = {{
    // method            own   needs_validation  balances  classification  multilabel  regression
    {HeadMethod::lbfgs, true, true, false, logistic_regression, label_regression, least_absolute_deviation},
    {HeadMethod::adam, true, false, true, adam_classification, adam_multilabel, adam_regression},
    {HeadMethod::original, false, false, false, nullptr, nullptr, nullptr},
}};

/// Puts a tensor in the place of a parameter, whose shape it gets but for the number of rows.
void replace(Program& module, ValueId parameter, const at::Tensor& rows) {
  c10::IValue& content = module.value(parameter).content;
  const at::Tensor old = content.toTensor();
  std::vector<int64_t> shape = old.sizes().vec();
  shape[0] = rows.size(0);
  content = rows.to(old.options()).reshape(shape);
}

/// Makes all that reads the output of an operation on one tensor read that tensor.
void bypass(Program& module, ValueId value) {
  const ValueId source = module.node(module.maker(value)).inputs[0];
  for (Node& node : module.nodes)
    std::replace(node.inputs.begin(), node.inputs.end(), value, source);
  if (module.output == value) module.output = source;
}

void rectify_output(Program& module) {
  const std::string source = module.node(module.maker(module.output)).source;
  module.output = module.append(make_node(module, "aten::relu", "", {module.output}, source));
}

}  // namespace

const HeadRow& row_of(HeadMethod method) {
  return row_in(methods, &HeadRow::method, method);
}

int64_t head_rows(HeadMethod method, const OutputSet& set) {
  return row_of(method).own ? set.rows() : 0;
}

at::Tensor rows_of_head(const at::Tensor& classes, const OutputSet& set) {
  const at::Tensor places = places_of(classes, set.outputs);
  return set.others ? places + 1 : places;
}

at::Tensor FittableHead::features(const at::Tensor& read) const {
  if (read.dim() == 2) return read;
  const at::Tensor features = read.movedim(layer.output_axis, 1);
  const at::Tensor positions = features.flatten(2);
  return pooled || positions.size(2) == 1 ? positions.mean(2) : features;
}

FittableHead fittable_head(const Program& program, const UnitMap& map, Task task) {
  constexpr const char* advice = "use --head original";
  if (map.head < 0) {
    fail(ExitCode::unsupported,
         "no layer was found whose channels are the model's outputs, so no head can be fitted; {}", advice);
  }
  const Layer& head = map.layer(map.head);
  const Node& node = program.node(head.node);
  OutputPath path = output_path(program, map);
  const bool has_positions = map.activations[at_index(program.output)].rank > 2;
  const bool reads_rows =
      node.op == "aten::linear" ? head.output_axis == 1 || path.pooled || has_positions : is_pointwise(program, node);
  if (!reads_rows) {
    fail(ExitCode::unsupported,
         "no head can be fitted for the output layer '{}'; expected a linear layer over [samples, features], or a "
         "linear layer or 1x1 convolution whose positions are averaged or are those of the output; {}",
         head.name, advice);
  }
  for (const int32_t unit : head.units) {
    if (map.unit(unit).members.size() > 1) {
      fail(ExitCode::unsupported,
           "the output layer '{}' shares its channels with another layer, so no head can be fitted; {}", head.name,
           advice);
    }
  }
  const bool fits = task == Task::regression ? path.kind == OutputKind::logits : path.kind != OutputKind::other;
  if (!fits) {
    fail(ExitCode::unsupported, "a fitted head does not work with the operations after the output layer '{}' ({}); {}",
         head.name, to_string(path.kind), advice);
  }
  return {head, std::move(path.relus), std::move(path.resampled), path.pooled};
}

at::Tensor balanced_rows(const at::Tensor& rows, const OutputSet& set, uint64_t seed) {
  expect_all(rows, set);
  if (!set.others) return shuffled(rows.size(0), derive_seed(seed, "both"));
  const at::Tensor on_cpu = rows.cpu();
  const int64_t count = at::bincount(on_cpu, {}, set.rows()).min().item<int64_t>();
  std::vector<at::Tensor> chosen;
  for (int64_t row = 1; row <= set.size(); ++row) {
    const at::Tensor own = (on_cpu == row).nonzero().flatten();
    const std::string name = set.size() == 1 ? "own" : fmt::format("own {}", set.outputs[static_cast<size_t>(row - 1)]);
    chosen.push_back(own.index_select(0, shuffled(own.size(0), derive_seed(seed, name)).narrow(0, 0, count)));
  }
  const at::Tensor others = (on_cpu == 0).nonzero().flatten();
  chosen.push_back(others.index_select(0, shuffled(others.size(0), derive_seed(seed, "others")).narrow(0, 0, count)));
  const at::Tensor all = at::cat(chosen);
  return all.index_select(0, shuffled(all.size(0), derive_seed(seed, "both")));
}

Head fit_classification_head(const HeadData& data, const Head& original, const OutputSet& set,
                             const HeadParams& params) {
  expect_all(data.rows, set);
  return row_of(params.method).classification(data, original, set, params);
}

Head fit_multilabel_head(const HeadData& data, const Head& original, const OutputSet& set, const HeadParams& params) {
  return row_of(params.method).multilabel(data, original, set, params);
}

Head fit_regression_head(const HeadData& data, const Head& original, const OutputSet& set, const HeadParams& params) {
  return row_of(params.method).regression(data, original, set, params);
}

void put_head(const FittableHead& head, const Head& fitted, Task task, Program& module) {
  replace(module, head.layer.weight, fitted.weight);
  if (fitted.bias.defined()) replace(module, head.layer.bias, fitted.bias);
  for (const ValueId relu : head.relus)
    bypass(module, relu);
  if (task == Task::regression && !head.relus.empty()) rectify_output(module);
  module.remove_dead_nodes();
}

Head head_of(const Layer& layer, const Program& module) {
  return {module.value(layer.weight).content.toTensor(),
          layer.bias < 0 ? at::Tensor() : module.value(layer.bias).content.toTensor()};
}

void replace_head(const Layer& layer, const Head& head, Program& module) {
  const auto put = [&](ValueId parameter, const at::Tensor& rows) {
    c10::IValue& place = module.value(parameter).content;
    const at::Tensor old = place.toTensor();
    INCITE_ASSERT(old.numel() == rows.numel());
    place = rows.to(old.options()).reshape(old.sizes());
  };
  put(layer.weight, head.weight);
  if (layer.bias >= 0) put(layer.bias, head.bias);
}

}  // namespace incite
