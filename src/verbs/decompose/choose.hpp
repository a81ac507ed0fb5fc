#pragma once

#include <cstdint>
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

/// The search tries compressions of 2^(1/8), 2^(2/8), ...
inline constexpr int64_t search_steps_per_octave = 8;

}  // namespace incite
