#pragma once

#include "base/batch.hpp"
#include "program/program.hpp"

namespace incite {

/// Makes the output of a program that has one element for each sample, such as [samples] or [samples, 1, 1], a column
/// [samples, 1]. What only lays such elements out (squeeze, view, flatten, a select) is left out, and what works
/// element by element after it (a sigmoid) is given the column instead, so that the layer before them is seen to make
/// the output. `batch`: two samples, on which the program is run. Does nothing to any other program.
void make_column(Program& program, const Batch& batch);

}  // namespace incite
