#include "base/workers.hpp"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
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
