#include "base/workers.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <future>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

namespace incite {
namespace {

/// How often the caller is told at least: it may want to stop.
constexpr std::chrono::milliseconds interval(200);

thread_local bool in_worker = false;

/// One call's work, as its threads share it.
class Work {
 public:
  Work(int64_t count, const std::function<void(int64_t)>& work) : count_(count), work_(work) {}

  /// Takes numbers until none is left.
  void take() {
    std::unique_lock lock(mutex_);
    while (next_ < count_) {
      const int64_t number = next_++;
      ++running_;
      lock.unlock();
      const std::exception_ptr error = call(number);
      lock.lock();
      --running_;
      ++ended_;
      if (error) note(error, number);
      // The caller is not woken for each: that would take a core from a worker.
      if (over()) ended_all_.notify_one();
    }
  }

  /// Tells `done` how many have ended until all that were handed out have.
  void watch(const std::function<void(int64_t)>& done) {
    std::unique_lock lock(mutex_);
    for (bool last = false; !last;) {
      last = ended_all_.wait_for(lock, interval, [&] { return over(); });
      if (!done || error_) continue;
      const int64_t ended = ended_;
      lock.unlock();
      done(ended);
      lock.lock();
    }
  }

  /// Hands out no more, and waits for what was handed out.
  void stop() {
    std::unique_lock lock(mutex_);
    next_ = count_;
    ended_all_.wait(lock, [&] { return over(); });
  }

  std::exception_ptr error() const { return error_; }

  int64_t inside = 0;  // threads in take(); belongs to the pool

 private:
  std::exception_ptr call(int64_t number) const {
    try {
      work_(number);
    } catch (...) {
      return std::current_exception();
    }
    return nullptr;
  }

  void note(const std::exception_ptr& error, int64_t number) {
    next_ = count_;
    if (error_ && failed_ < number) return;
    error_ = error;
    failed_ = number;
  }

  bool over() const { return next_ == count_ && running_ == 0; }

  const int64_t count_;
  const std::function<void(int64_t)>& work_;
  std::mutex mutex_;
  std::condition_variable ended_all_;
  int64_t next_ = 0, running_ = 0, ended_ = 0, failed_ = 0;
  std::exception_ptr error_;
};

/// Threads that sleep until there is work. They are made when they are first needed.
class Pool {
 public:
  Pool() = default;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    asked_.notify_all();
    for (std::thread& thread : threads_)
      thread.join();
  }

  /// Asks `workers` threads to take part.
  void ask(Work& work, int64_t workers) {
    const std::lock_guard lock(mutex_);
    asked_for_.insert(asked_for_.end(), static_cast<size_t>(workers), &work);
    while (threads_.size() < asked_for_.size() + busy_ && add_thread()) {
    }
    asked_.notify_all();
  }

  /// Returns when no thread takes part any more, nor will.
  void dismiss(Work& work) {
    std::unique_lock lock(mutex_);
    std::erase(asked_for_, &work);
    left_.wait(lock, [&] { return work.inside == 0; });
  }

 private:
  /// False where the system gives no more threads, but there are some.
  bool add_thread() {
    const int here = at::get_num_threads();
    std::promise<void> ready;
    const std::future<void> started = ready.get_future();
    try {
      threads_.emplace_back([this, told = std::move(ready)]() mutable {
        at::get_num_threads();  // would otherwise undo the next line when it is first called
        at::set_num_threads(1);
        in_worker = true;
        told.set_value();
        serve();
      });
    } catch (const std::system_error&) {
      if (threads_.empty()) throw;
      return false;
    }
    started.wait();
    at::set_num_threads(here);  // a worker's setting is kept for threads to come
    return true;
  }

  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      asked_.wait(lock, [&] { return closing_ || !asked_for_.empty(); });
      if (closing_) return;
      Work& work = *asked_for_.front();
      asked_for_.pop_front();
      ++work.inside;
      ++busy_;
      lock.unlock();
      work.take();
      lock.lock();
      --busy_;
      --work.inside;
      left_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable asked_, left_;
  std::deque<Work*> asked_for_;  // once for each thread that is to take part
  std::vector<std::thread> threads_;
  size_t busy_ = 0;
  bool closing_ = false;
};

Pool& pool() {
  static Pool only;
  return only;
}

}  // namespace

OneThread::OneThread() : before_(at::get_num_threads()) {
  if (before_ != 1) at::set_num_threads(1);
}

OneThread::~OneThread() {
  if (before_ != 1) at::set_num_threads(before_);
}

int64_t workers_for(c10::Device device) {
  return device.is_cpu() ? at::get_num_threads() : 1;
}

void run_on_workers(int64_t count, int64_t workers, const std::function<void(int64_t)>& work,
                    const std::function<void(int64_t)>& done) {
  if (std::min(count, workers) <= 1 || in_worker) {
    for (int64_t number = 0; number < count; ++number) {
      work(number);
      if (done) done(number + 1);
    }
    return;
  }
  Work shared(count, work);
  std::exception_ptr error;
  try {
    pool().ask(shared, std::min(count, workers));
    shared.watch(done);
  } catch (...) {
    error = std::current_exception();
    shared.stop();
  }
  pool().dismiss(shared);
  if (!error) error = shared.error();
  if (error) std::rethrow_exception(error);
}

void run_pieces(int64_t count, int64_t workers, c10::Device device, const std::function<void(int64_t)>& work,
                const std::function<void(int64_t)>& done) {
  std::optional<OneThread> one_thread;
  if (device.is_cpu()) one_thread.emplace();
  run_on_workers(count, workers, work, done);
}

}  // namespace incite
