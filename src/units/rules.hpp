#pragma once

#include <ATen/core/ivalue.h>

#include <cstdint>
#include <vector>

#include "units/analysis.hpp"

namespace incite::rules {

/// What an operation does to labels. The table (rules.cpp) has a row for each operation that is known.
using Rule = void (*)(Analysis&);

// Layers: linear, convolutions, embeddings, recurrent layers (layers.cpp).
void linear(Analysis& a);
void convolution(Analysis& a);
void embedding(Analysis& a);
void lstm(Analysis& a);
void gru(Analysis& a);
void simple_recurrent(Analysis& a);

// Products of two tensors, and attention (contractions.cpp).
void matmul(Analysis& a);
void baddbmm(Analysis& a);
void einsum(Analysis& a);
void attention(Analysis& a);

// Operations that move elements and change none (layout.cpp).
void move_freely(Analysis& a);
void pixel_shuffle(Analysis& a);
void slice(Analysis& a);
void repeat(Analysis& a);
void squeeze(Analysis& a);
void resize(Analysis& a);
void unflatten(Analysis& a);
void expand_as(Analysis& a);
void split(Analysis& a);
void unbind(Analysis& a);
void unpack(Analysis& a);
void concatenate(Analysis& a);
void stack(Analysis& a);
void pad(Analysis& a);
void scatter(Analysis& a);

// ---- What several files of rules need ---------------------------------------------------------------------------

/// `axis` counted from the front.
inline int64_t from_front(int64_t axis, int64_t rank) {
  return axis < 0 ? axis + rank : axis;
}

/// Dimensions that an argument names (an integer or a list of them), counted from the front.
std::vector<int64_t> dimensions(const c10::IValue& argument, int64_t rank);

/// Moves elements along the dimension, or the dimensions, that input `argument` names.
template <size_t argument>
void move_along(Analysis& a) {
  const std::vector<int64_t> over = dimensions(a.constant(argument), a.input_rank(0));
  if (over.empty()) return a.pin_inputs(PinReason::unknown);
  a.move(over);
}

/// Brings the labels of a value to vary along `axis` alone, tying what that takes; false, with them pinned for
/// `reason`, where they do not vary along it. Inputs without labels are fine.
bool labelled_along(Analysis& a, ValueId value, int64_t axis, PinReason reason);

/// Brings the labels of a value not to vary along `axes`, over which an operation mixes; false, with them pinned, where
/// they vary along no other.
bool labelled_beside(Analysis& a, ValueId value, const std::vector<int64_t>& axes);

/// Ties the tensors at `places`, which are broadcast to `shape`, and cuts fixed ones to fit. Returns the labels of the
/// result.
Flow tie_elementwise(Analysis& a, const std::vector<Place>& places, const std::vector<int64_t>& shape);

}  // namespace incite::rules
