#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "incite/decomposition.hpp"
#include "verbs/decompose/module.hpp"
#include "verbs/decompose/scores.hpp"

namespace incite {

/// What each module keeps, and how that was found.
struct Choice {
  std::vector<Selection> selections;  ///< by module
  std::vector<SearchStep> steps;      ///< of a search for MaxLoss, in order
};

/// Chooses by the size that is asked for: Keep and Compression by scores alone. MaxLoss is searched for: each step
/// makes modules and measures what they lose on the validation samples; the smallest modules are taken that lose no
/// more, by the 95 % bound, or the largest where all lose more.
Choice choose(const Workshop& workshop, const Scores& scores);

/// The search tries compressions of 2^(1/8), 2^(2/8), ...: step s is 2^(s/8).
inline constexpr int64_t search_steps_per_octave = 8;

/// The largest step that is good, by bisection: it takes for granted that no step above a bad one is good. 0, which is
/// not tried, where all are bad; 63 where all are good.
int64_t largest_good_step(const std::function<bool(int64_t)>& good);

}  // namespace incite
