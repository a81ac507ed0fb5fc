#pragma once

#include <string>

#include "base/batch.hpp"
#include "program/program.hpp"

namespace incite {

/// A classifier of two classes with one output [samples, 1] as the same function with two, [other, class 1]: its output
/// layer gets a second channel before the first, of zeros, so that a logit z becomes [0, z]. A sigmoid after it becomes
/// a softmax, which gives [1 - p, p], a log-sigmoid a log-softmax; relus and global average pooling stay. Everything
/// else then works as for a classifier of any number of classes.
///
/// `batch`: two samples, on which the result is compared with the program. `file` starts the message. Throws Error
/// (unsupported) where that can't be done: no one layer makes the output, it shares its weights, or another operation
/// follows it.
Program with_two_columns(const Program& program, const Batch& batch, const std::string& file);

}  // namespace incite
