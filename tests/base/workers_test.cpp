#include "base/workers.hpp"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace incite {
namespace {

TEST(Workers, CallEachNumberOnce) {
  for (const int64_t workers : {1, 2, 5, 40}) {
    std::vector<std::atomic<int>> calls(17);
    run_on_workers(17, workers, [&](int64_t number) { ++calls[static_cast<size_t>(number)]; });
    for (const auto& count : calls)
      EXPECT_EQ(count, 1) << workers;
  }
}

TEST(Workers, DoNothingWhereThereIsNothingToDo) {
  run_on_workers(0, 4, [](int64_t) { FAIL(); });
}

TEST(Workers, ASingleOneWorksHereAndInOrder) {
  std::vector<int64_t> numbers;
  const auto here = std::this_thread::get_id();
  run_on_workers(4, 1, [&](int64_t number) {
    EXPECT_EQ(std::this_thread::get_id(), here);
    numbers.push_back(number);
  });
  EXPECT_EQ(numbers, (std::vector<int64_t>{0, 1, 2, 3}));
}

TEST(Workers, SeveralComputeWithOneThreadEachAndLeaveTheSettingAsItWas) {
  const int before = at::get_num_threads();
  std::atomic<int> most = 0;
  run_on_workers(6, 3, [&](int64_t) { most = std::max(most.load(), at::get_num_threads()); });
  EXPECT_EQ(most, 1);
  EXPECT_EQ(at::get_num_threads(), before);
}

TEST(Workers, GiveTheSameTheNextTime) {
  std::set<std::thread::id> threads;
  std::mutex mutex;
  for (int64_t call = 0; call < 200; ++call) {
    std::vector<int64_t> squares(7);
    run_on_workers(7, 3, [&](int64_t number) {
      squares[static_cast<size_t>(number)] = number * number;
      const std::lock_guard lock(mutex);
      threads.insert(std::this_thread::get_id());
    });
    ASSERT_EQ(squares, (std::vector<int64_t>{0, 1, 4, 9, 16, 25, 36}));
  }
  EXPECT_LE(threads.size(), 40U);  // as many as any test has asked for, not new ones for each call
}

TEST(Workers, DoTheirOwnWorkersWorkThemselves) {
  std::atomic<int> calls = 0, elsewhere = 0;
  run_on_workers(4, 2, [&](int64_t) {
    const auto here = std::this_thread::get_id();
    run_on_workers(5, 3, [&](int64_t) {
      ++calls;
      if (std::this_thread::get_id() != here) ++elsewhere;
    });
  });
  EXPECT_EQ(calls, 20);
  EXPECT_EQ(elsewhere, 0);
}

TEST(Workers, ServeSeveralCallersAtATime) {
  std::vector<std::atomic<int64_t>> sums(4);
  std::vector<std::thread> callers;
  for (std::atomic<int64_t>& sum : sums) {
    callers.emplace_back([&sum] {
      for (int call = 0; call < 50; ++call)
        run_on_workers(10, 2, [&](int64_t number) { sum += number; });
    });
  }
  for (std::thread& caller : callers)
    caller.join();
  for (const auto& sum : sums)
    EXPECT_EQ(sum, 50 * 45);
}

TEST(Workers, GoOnAfterAnError) {
  for (int call = 0; call < 50; ++call) {
    EXPECT_THROW(run_on_workers(8, 3, [](int64_t number) { throw std::out_of_range(std::to_string(number)); }),
                 std::out_of_range);
  }
  std::atomic<int> calls = 0;
  run_on_workers(8, 3, [&](int64_t) { ++calls; });
  EXPECT_EQ(calls, 8);
}

TEST(Workers, TakePiecesWithOneThreadEvenWhereThereIsOneWorker) {
  const int before = at::get_num_threads();
  at::set_num_threads(2);
  for (const int64_t workers : {1, 2}) {
    std::atomic<int> most = 0;
    run_pieces(3, workers, at::kCPU, [&](int64_t) { most = std::max(most.load(), at::get_num_threads()); });
    EXPECT_EQ(most, 1) << workers;
    EXPECT_EQ(at::get_num_threads(), 2);
  }
  EXPECT_EQ(workers_for(at::kCPU), 2);
  EXPECT_EQ(workers_for(at::kCUDA), 1);
  at::set_num_threads(before);
}

TEST(Workers, SayHowManyHaveEndedOnTheCallersThread) {
  for (const int64_t workers : {1, 3}) {
    int64_t last = 0;
    const auto here = std::this_thread::get_id();
    run_on_workers(
        9, workers, [](int64_t) {},
        [&](int64_t done) {
          EXPECT_EQ(std::this_thread::get_id(), here);
          EXPECT_GE(done, last);
          last = done;
        });
    EXPECT_EQ(last, 9) << workers;
  }
}

TEST(Workers, ThrowWhatTheWorkThrewAndHandOutNoMore) {
  for (const int64_t workers : {1, 3}) {
    std::atomic<int> calls = 0;
    try {
      run_on_workers(1000, workers, [&](int64_t number) {
        ++calls;
        if (number == 2) throw std::runtime_error("number 2");
        if (number > 2) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      });
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(std::string(error.what()), "number 2");
    }
    EXPECT_LT(calls, 1000) << workers;
  }
}

TEST(Workers, StopWhenTheCallerIsToldToStop) {
  std::atomic<int> calls = 0;
  const auto stop = [](int64_t) { throw std::runtime_error("stop"); };
  EXPECT_THROW(run_on_workers(
                   1000, 2,
                   [&](int64_t) {
                     ++calls;
                     std::this_thread::yield();
                   },
                   stop),
               std::runtime_error);
  const int after = calls;
  EXPECT_LE(after, 1000);
  EXPECT_EQ(calls, after);  // none goes on
}

}  // namespace
}  // namespace incite
