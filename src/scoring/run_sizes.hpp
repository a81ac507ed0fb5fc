#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <optional>

namespace incite {

/// How much runs at a time, at most, where memory allows it.
struct ChunkSizes {
  int64_t samples;  ///< in one chunk
  int64_t rows;     ///< samples times mutants in one batch
};

/// What scoring one sample takes, in bytes.
struct SampleBytes {
  int64_t base = 1;    ///< the run without mutants, with all that it makes
  int64_t mutant = 1;  ///< a run of one mutant, of the group that takes most
};

/// How much runs at a time. Nothing here depends on the number of threads, so that results don't.
class RunSizes {
 public:
  /// Half of `memory`, bytes, is for the run without mutants and what is saved of it, half for the mutants. 0: 1 GiB.
  /// `samples` is how many there are. `most` unset: what suits the device. Throws Error (device) when one sample does
  /// not fit.
  RunSizes(int64_t memory, const SampleBytes& bytes, int64_t samples, const std::optional<ChunkSizes>& most,
           c10::Device device);

  /// Samples of a chunk.
  int64_t chunk() const { return chunk_; }
  /// Mutants of a batch, of a group of which one sample of one mutant takes so many bytes.
  int64_t mutants(int64_t bytes) const;
  /// How many chunks `workers` may run at a time.
  int64_t chunks_at_once(int64_t workers) const;
  /// How many batches `workers` may run at a time, of which the largest takes so many bytes.
  int64_t batches_at_once(int64_t bytes, int64_t workers) const;

 private:
  int64_t half_;   // bytes
  int64_t batch_;  // bytes that a batch may take, more than one of a single mutant
  int64_t rows_;
  int64_t base_;  // bytes
  int64_t chunk_ = 1;
};

}  // namespace incite
