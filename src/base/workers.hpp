#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <functional>

namespace incite {

/// As long as one lives, this thread computes with one of LibTorch's threads. What it computes is then the same for any
/// number of threads, and no thread waits for others busily while workers could use its core.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

/// How many workers a device's work is for: on the CPU as many as LibTorch has threads here (in a worker, one), on a
/// GPU one.
int64_t workers_for(c10::Device device);

/// Calls work(0) … work(count - 1), each once, on up to `workers` threads at a time; with one worker, and in a worker's
/// own work, here and in order. With several, each computes with one thread of LibTorch's, so that what `work` gives
/// does not depend on how many there are beside it. `done(n)` is called on this thread, a few times a second and at the
/// end, with how many have ended so far; it may throw.
///
/// What `work` or `done` throws stops the handing out; when all have ended, it is thrown again (of several, that of the
/// smallest number).
///
/// The threads are kept for later calls. Those that wait sleep: one that spins would take its core from another
/// process, or from the very worker that it waits for.
void run_on_workers(int64_t count, int64_t workers, const std::function<void(int64_t)>& work,
                    const std::function<void(int64_t)>& done = {});

/// The same for pieces of work that are small enough for one of LibTorch's threads, even where there is one worker: on
/// the CPU results are then the same for any number of threads.
void run_pieces(int64_t count, int64_t workers, c10::Device device, const std::function<void(int64_t)>& work,
                const std::function<void(int64_t)>& done = {});

}  // namespace incite
