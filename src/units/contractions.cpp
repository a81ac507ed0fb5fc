// Rules of products that sum over a dimension of two tensors, and of attention. A dimension is named by a letter, as in
// einsum: one that both operands and the result have is a batch (an attention head is one), one that both have and the
// result has not is contracted, one that one operand and the result have is that operand's own.

#include <ATen/ATen.h>

#include <algorithm>
#include <string>

#include "base/fail.hpp"
#include "units/rules.hpp"

namespace incite::rules {
namespace {

/// An operand: where it stands and the letters of its dimensions.
struct Operand {
  Place place;
  std::string letters;
};

bool has(const std::string& letters, char letter) {
  return letters.find(letter) != std::string::npos;
}

int64_t position(const std::string& letters, char letter) {
  return static_cast<int64_t>(letters.find(letter));
}

/// Settles an operand's labels along one dimension, best a batch, then a contracted one, then its own. Returns its
/// letter; a blank where the operand has no labels.
char settle(Analysis& a, const Operand& operand, const Operand& other, const std::string& result) {
  const ValueId value = a.value_at(operand.place);
  if (!a.flow(value).defined() || is_single(a.flow(value))) return ' ';
  std::vector<int64_t> batch, contracted;
  for (const int64_t axis : axes_of(a.flow(value))) {
    const char letter = operand.letters[static_cast<size_t>(axis)];
    if (has(other.letters, letter)) (has(result, letter) ? batch : contracted).push_back(axis);
  }
  const auto& preferred = !batch.empty() ? batch : contracted;
  std::vector<int64_t> avoid;
  for (const int64_t axis : axes_of(a.flow(value))) {
    if (!preferred.empty() && std::find(preferred.begin(), preferred.end(), axis) == preferred.end())
      avoid.push_back(axis);
  }
  a.settle_beside(value, avoid);
  const std::vector<int64_t> axes = axes_of(a.flow(value));
  return axes.size() == 1 ? operand.letters[static_cast<size_t>(axes[0])] : ' ';
}

Flow along_result(Analysis& a, const Operand& operand, char letter, const std::string& result) {
  return flow_along(static_cast<int64_t>(result.size()), position(result, letter),
                    labels_of(a.flow(a.value_at(operand.place))));
}

/// Whether a fixed operand could be cut along a letter's dimension, or does not have it.
bool cut_along(Analysis& a, const Operand& operand, char letter, const std::vector<int32_t>& labels) {
  if (!has(operand.letters, letter)) return true;
  if (!a.can_bind(operand.place)) return false;
  a.bind(operand.place, position(operand.letters, letter), labels);
  return true;
}

/// The labels of the result where one operand is fixed.
Flow contract_with_fixed(Analysis& a, const Operand& x, const Operand& fixed, const std::string& result) {
  const char letter = settle(a, x, fixed, result);
  if (letter == ' ') return {};
  const Flow& flow = a.flow(a.value_at(x.place));
  if (!cut_along(a, fixed, letter, labels_of(flow))) {
    a.pin(flow, PinReason::computed);
    return {};
  }
  if (has(result, letter)) return along_result(a, x, letter, result);
  a.add_reader(x.place);
  return {};
}

/// The labels of the result where both operands depend on the input.
Flow contract(Analysis& a, const Operand& x, const Operand& y, const std::string& result) {
  const char letter_x = settle(a, x, y, result);
  const char letter_y = settle(a, y, x, result);
  const Flow& flow_x = a.flow(a.value_at(x.place));
  const Flow& flow_y = a.flow(a.value_at(y.place));
  const bool shared = letter_x != ' ' && letter_x == letter_y;
  if (shared) {
    const std::vector<int32_t> labels_x = labels_of(flow_x);
    const std::vector<int32_t> labels_y = labels_of(flow_y);
    for (size_t i = 0; i < labels_x.size(); ++i)
      a.tie(labels_x[i], labels_y[i], PinReason::contracted);
    if (has(result, letter_x)) return along_result(a, x, letter_x, result);
    a.add_reader(x.place);
    a.add_reader(y.place);
    return {};
  }
  // Labels that only one operand has pass along its own dimension; where the other has the dimension too, its elements
  // belong to no unit.
  const bool own_x = letter_x != ' ' && !has(y.letters, letter_x);
  const bool own_y = letter_y != ' ' && !has(x.letters, letter_y);
  if (own_x && letter_y == ' ') return along_result(a, x, letter_x, result);
  if (own_y && letter_x == ' ') return along_result(a, y, letter_y, result);
  a.pin(flow_x, PinReason::contracted);
  a.pin(flow_y, PinReason::contracted);
  return {};
}

/// A layer whose weight is `fixed`: it sums over one dimension of `x` and makes one of its own. False if it is not
/// that.
bool produce(Analysis& a, const Operand& x, const Operand& fixed, const std::string& result) {
  const ValueId weight = a.value_at(fixed.place);
  if (!a.is_parameter(weight)) return false;
  std::string made, read;
  for (const char letter : fixed.letters) {
    if (has(x.letters, letter) && has(result, letter)) return false;
    (has(x.letters, letter) ? read : made) += letter;
  }
  if (made.size() != 1 || read.size() != 1 || !has(result, made[0])) return false;
  const int64_t output_axis = position(result, made[0]);
  const ValueId input = a.value_at(x.place);
  if (a.flow(input).defined() && labelled_along(a, input, position(x.letters, read[0]), PinReason::axis)) {
    a.add_reader(x.place);
    a.bind(fixed.place, position(fixed.letters, read[0]), labels_of(a.flow(input)));
  }
  const int64_t weight_axis = position(fixed.letters, made[0]);
  const std::vector<int32_t> labels = a.add_layer(weight, weight_axis, -1, output_axis, a.size(weight, weight_axis));
  a.bind(fixed.place, weight_axis, labels);
  a.set_output(flow_along(static_cast<int64_t>(result.size()), output_axis, labels));
  return true;
}

void product(Analysis& a, const Operand& x, const Operand& y, const std::string& result) {
  const bool fixed_x = a.is_fixed(a.value_at(x.place));
  const bool fixed_y = a.is_fixed(a.value_at(y.place));
  if ((fixed_y && produce(a, x, y, result)) || (fixed_x && produce(a, y, x, result))) return;
  if (fixed_y) return a.set_output(contract_with_fixed(a, x, y, result));
  if (fixed_x) return a.set_output(contract_with_fixed(a, y, x, result));
  a.set_output(contract(a, x, y, result));
}

/// Letters of matmul's operands and result; a dimension of size 1 that is broadcast has one that nothing else has.
struct MatmulLetters {
  std::string x, y, result;
};

MatmulLetters matmul_letters(const std::vector<int64_t>& x, const std::vector<int64_t>& y) {
  MatmulLetters letters;
  const auto batches = [](const std::vector<int64_t>& shape) { return shape.size() > 2 ? shape.size() - 2 : 0; };
  const size_t most = std::max(batches(x), batches(y));
  char unused = 'A';
  for (size_t i = 0; i < most; ++i) {
    const char letter = static_cast<char>('a' + i);
    const auto add = [&](const std::vector<int64_t>& shape, std::string& own, const std::vector<int64_t>& others) {
      if (i + batches(shape) < most) return;
      const int64_t size = shape[i + batches(shape) - most];
      const bool there = i + batches(others) >= most;
      own += there && size == 1 && others[i + batches(others) - most] > 1 ? unused++ : letter;
    };
    add(x, letters.x, y);
    add(y, letters.y, x);
    letters.result += letter;
  }
  letters.x += x.size() > 1 ? "mk" : "k";
  letters.y += y.size() > 1 ? "kn" : "k";
  if (x.size() > 1) letters.result += 'm';
  if (y.size() > 1) letters.result += 'n';
  return letters;
}

void matmul_of(Analysis& a, size_t first) {
  const MatmulLetters letters = matmul_letters(a.input_shape(first), a.input_shape(first + 1));
  if (a.input_rank(first) > 10 || a.input_rank(first + 1) > 10) return a.pin_inputs(PinReason::unknown);
  product(a, {a.place(first), letters.x}, {a.place(first + 1), letters.y}, letters.result);
}

}  // namespace

void matmul(Analysis& a) {
  matmul_of(a, 0);
}

/// input + a · b
void baddbmm(Analysis& a) {
  matmul_of(a, 1);
  const ValueId output = a.node().outputs[0];
  const Flow product = a.flow(output);
  if (!product.defined() && !a.input_flow(0).defined()) return;
  const bool fits = a.is_fixed(a.node().inputs[0]) && axes_of(product).size() == 1;
  const int64_t missing = a.rank(output) - a.input_rank(0);
  const int64_t axis = fits ? axes_of(product)[0] - missing : -1;
  if (fits && (axis < 0 || a.size(a.node().inputs[0], axis) == 1)) return;
  if (fits) return a.bind(a.place(0), axis, labels_of(product));
  a.pin_inputs(PinReason::none);
  a.pin(product, PinReason::none);
  a.set_output(Flow());
}

void einsum(Analysis& a) {
  const c10::IValue& text = a.constant(0);
  const std::vector<Place> places = a.list_elements(1);
  if (!text.isString() || places.size() != 2) return a.pin_inputs(PinReason::unknown);
  std::string equation = text.toStringRef();
  equation.erase(std::remove(equation.begin(), equation.end(), ' '), equation.end());
  const size_t comma = equation.find(',');
  const size_t arrow = equation.find("->");
  const bool plain = comma != std::string::npos && arrow != std::string::npos && !has(equation, '.');
  if (!plain) return a.pin_inputs(PinReason::unknown);
  const Operand x{places[0], equation.substr(0, comma)};
  const Operand y{places[1], equation.substr(comma + 1, arrow - comma - 1)};
  const std::string result = equation.substr(arrow + 2);
  for (const std::string& letters : {x.letters, y.letters}) {  // a diagonal, or a sum of one operand alone
    for (const char letter : letters) {
      const bool alone = !has(result, letter) && (!has(x.letters, letter) || !has(y.letters, letter));
      if (alone || std::count(letters.begin(), letters.end(), letter) != 1) return a.pin_inputs(PinReason::unknown);
    }
  }
  if (x.letters.size() != static_cast<size_t>(a.rank(a.value_at(x.place))) ||
      y.letters.size() != static_cast<size_t>(a.rank(a.value_at(y.place))))
    return a.pin_inputs(PinReason::unknown);
  product(a, x, y, result);
}

/// scaled_dot_product_attention(query, key, value, mask, dropout, causal, scale, grouped): whole heads are units. What
/// varies within a head ties it.
void attention(Analysis& a) {
  const int64_t rank = a.input_rank(0);
  const bool grouped = a.node().inputs.size() > 7 && a.constant(7).isBool() && a.constant(7).toBool();
  const bool heads = rank >= 3 && a.input_rank(1) == rank && a.input_rank(2) == rank && !grouped;
  if (!heads) return a.pin_inputs(PinReason::attention);
  int64_t axis = -1;
  for (size_t i = 0; i < 3; ++i) {
    const ValueId value = a.node().inputs[i];
    if (!a.settle_beside(value, {rank - 2, rank - 1})) {
      if (a.flow(value).defined()) return a.pin_inputs(PinReason::attention);
      continue;
    }
    const int64_t found = axes_of(a.flow(value))[0];
    if (axis >= 0 && found != axis) return a.pin_inputs(PinReason::axes);
    axis = found;
  }
  if (axis < 0) return;
  std::vector<Place> places;
  for (size_t i = 0; i < 3; ++i)
    places.push_back(a.place(i));
  if (a.has_input(3)) places.push_back(a.place(3));
  // Over the dimensions of tokens and features nothing varies, so all may be taken for broadcast.
  std::vector<int64_t> shape = a.input_shape(0);
  a.set_output(tie_elementwise(a, places, shape));
}

}  // namespace incite::rules
