#include "base/workers.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace incite {
namespace {

/// How often the caller is told at least: it may want to stop.
constexpr std::chrono::milliseconds interval(200);

/// What the threads share.
class Work {
 public:
  Work(int64_t count, const std::function<void(int64_t)>& work) : count_(count), work_(work) {}

  /// A worker's thread: takes numbers until none is left.
  void take() {
    at::set_num_threads(1);
    for (;;) {
      int64_t number = 0;
      {
        const std::lock_guard lock(mutex_);
        if (next_ == count_) return;
        number = next_++;
      }
      std::exception_ptr error;
      try {
        work_(number);
      } catch (...) {
        error = std::current_exception();
      }
      const std::lock_guard lock(mutex_);
      ++ended_;
      if (error && (!error_ || number < failed_)) {
        error_ = error;
        failed_ = number;
      }
      if (error) next_ = count_;
      changed_.notify_one();
    }
  }

  /// Tells `done` of what has ended until all that was handed out has.
  void watch(const std::function<void(int64_t)>& done) {
    std::unique_lock lock(mutex_);
    for (int64_t told = 0; told < count_ && !error_;) {
      changed_.wait_for(lock, interval, [&] { return ended_ > told || error_; });
      told = ended_;
      if (!done || error_) continue;
      lock.unlock();
      done(told);
      lock.lock();
    }
  }

  void stop() {
    const std::lock_guard lock(mutex_);
    next_ = count_;
  }

  std::exception_ptr error() const { return error_; }

 private:
  const int64_t count_;
  const std::function<void(int64_t)>& work_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t next_ = 0;
  int64_t ended_ = 0;
  int64_t failed_ = 0;
  std::exception_ptr error_;
};

}  // namespace

OneThread::OneThread() : before_(at::get_num_threads()) {
  at::set_num_threads(1);
}

OneThread::~OneThread() {
  at::set_num_threads(before_);
}

void run_on_workers(int64_t count, int64_t workers, const std::function<void(int64_t)>& work,
                    const std::function<void(int64_t)>& done) {
  if (std::min(count, workers) <= 1) {
    for (int64_t number = 0; number < count; ++number) {
      work(number);
      if (done) done(number + 1);
    }
    return;
  }
  const int threads = at::get_num_threads();
  Work shared(count, work);
  std::vector<std::thread> pool;
  std::exception_ptr error;
  try {
    for (int64_t i = 0; i < std::min(count, workers); ++i)
      pool.emplace_back([&shared] { shared.take(); });
    shared.watch(done);
  } catch (...) {
    error = std::current_exception();
    shared.stop();
  }
  for (std::thread& thread : pool)
    thread.join();
  at::set_num_threads(threads);  // a worker's setting is kept for threads to come
  if (!error) error = shared.error();
  if (error) std::rethrow_exception(error);
}

}  // namespace incite
