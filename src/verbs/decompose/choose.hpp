#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "incite/decomposition.hpp"
#include "verbs/decompose/module.hpp"
#include "verbs/decompose/scores.hpp"

namespace incite {

/// What each module keeps, and how it was chosen.
struct Choice {
  std::vector<Selection> selections;  ///< by module
  std::vector<SearchStep> steps;      ///< of a search for MaxLoss, in order
};

/// Chooses what modules keep. Keep and Compression need only the scores. MaxLoss is a search: each step makes modules
/// of one size and measures their loss on the validation samples. The smallest modules whose 95 % bound is within
/// MaxLoss are chosen, or the largest if none are.
Choice choose(const Workshop& workshop, const Scores& scores);

/// The search tries compressions of 2^(1/8), 2^(2/8), ...: step s is 2^(s/8).
inline constexpr int64_t search_steps_per_octave = 8;

/// The largest good step, by bisection, assuming that no step above a bad one is good. Returns 0, which is not tried,
/// if all are bad, and 63 if all are good.
int64_t largest_good_step(const std::function<bool(int64_t)>& good);

}  // namespace incite
