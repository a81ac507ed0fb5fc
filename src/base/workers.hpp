#pragma once

#include <cstdint>
#include <functional>

namespace incite {

/// As long as one lives, this thread computes with one of LibTorch's threads: the others would go on waiting for it,
/// busily, while workers could use their cores.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

/// Calls work(0) … work(count - 1), each once, on up to `workers` threads at a time; with one worker, here and in
/// order. With several, each computes with one thread of LibTorch's, so that what `work` gives does not depend on how
/// many there are beside it. `done(n)` is called on this thread, now and then, with how many have ended so far; it may
/// throw.
///
/// What `work` or `done` throws stops the handing out; when all have ended, it is thrown again (of several, that of the
/// smallest number).
void run_on_workers(int64_t count, int64_t workers, const std::function<void(int64_t)>& work,
                    const std::function<void(int64_t)>& done = {});

}  // namespace incite
