#pragma once

#include "base/batch.hpp"
#include "units/unit_map.hpp"

namespace incite {

/// The program with the units that are not in `keep` taken out: parameters cut along the dimensions that belong to
/// them, sizes that count them made smaller, and positions selected anew where a cut would break what moves them.
/// Values keep their ids; nodes may be added, replaced or gone. Keeping all gives the same program.
///
/// Throws std::logic_error when a unit that is pinned is taken out, other than the head's channels, or a span would be
/// left empty.
Program slice(const Program& program, const UnitMap& map, const Selection& keep);

/// The program as it is, with zeros where a layer reads a unit that is not in `keep`: what a slice must equal.
Program mask(const Program& program, const UnitMap& map, const Selection& keep);

/// The largest absolute difference between the outputs of a slice, which must keep all of the head's channels, and
/// those of the masked original, over the largest absolute output: on `batch`, whole, and on its first sample alone. In
/// float64 where float32 differs by more than `slice_tolerance` and float64 by less than 1e-9: then the difference was
/// rounding, which norms of small values make large.
double slice_difference(const Program& program, const UnitMap& map, const Selection& keep, const Program& sliced,
                        const Batch& batch);

/// The largest difference that a slice may show (design: invariant 3).
inline constexpr double slice_tolerance = 1e-5;

}  // namespace incite
