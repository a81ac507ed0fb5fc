#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <vector>

// How OpenMP's threads wait, which their library reads from the environment before main.
//
// By default they wait busily at the end of each parallel loop. Where another process is busy on the machine, a thread
// that waits so takes the core from the one that it waits for, and two threads take several times as long as one. Most
// work runs on workers that sleep (base/workers.hpp); this is for the rest.

#if defined(__ELF__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)

namespace {

/// Whether the user has chosen how threads wait, or an earlier start of this program has.
bool is_chosen(char** environment) {
  for (; *environment != nullptr; ++environment) {
    for (const char* name : std::array{"OMP_WAIT_POLICY=", "GOMP_SPINCOUNT=", "KMP_BLOCKTIME="}) {
      if (std::strncmp(*environment, name, std::strlen(name)) == 0) return true;
    }
  }
  return false;
}

/// Starts the program again with the setting. If that fails, the threads wait as they do by default.
void let_threads_sleep(int /*count*/, char** words, char** environment) {
  if (is_chosen(environment)) return;
  static char setting[] = "OMP_WAIT_POLICY=passive";
  std::vector<char*> all;
  for (char** one = environment; *one != nullptr; ++one)
    all.push_back(*one);
  all.push_back(setting);
  all.push_back(nullptr);
  std::array<char, 4096> file{};
  // Not /proc/self/exe itself, which would be the process's name.
  if (readlink("/proc/self/exe", file.data(), file.size() - 1) > 0) execve(file.data(), words, all.data());
}

/// The loader calls this after it has linked the libraries, and before it initialises them, which takes the most of
/// a start. The C library's own environment is not there yet.
[[gnu::used, gnu::section(".preinit_array")]] void (*const before_libraries)(int, char**, char**) = let_threads_sleep;

}  // namespace

#endif
