#pragma once

#include <string>

#include "subject/subject.hpp"
#include "verbs/decompose/plan.hpp"

namespace incite {

/// How long a run will take: seconds.
struct Forecast {
  double least_scoring = 0, most_scoring = 0;  ///< the stop rule decides how many samples are scored
  double modules = 0;

  double most() const { return most_scoring + modules; }
};

/// Tells from counted multiply-adds, and from a rate that a few runs of the model measure. It is right within a factor
/// of about two.
Forecast forecast(const Plan& plan, const Subject& subject);

/// "This takes about 3 to 5 min: scoring 1 to 3, modules 2." Names the options that shorten a long run.
std::string to_sentence(const Forecast& forecast, const Plan& plan);

}  // namespace incite
