#pragma once

#include <cstdlib>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace incite {

/// As long as one lives, memory that is freed stays with the program and is handed out again; at its end the system
/// gets it back. Otherwise the C library gives large blocks back at once, and every large tensor starts with pages that
/// the system has to clear first: a fifth of the time that scoring takes, and a quarter of that of making large
/// modules.
///
/// The setting is the whole program's: for one thread at a time. Without glibc it does nothing.
class FreedMemoryStays {
 public:
#ifdef __GLIBC__
  FreedMemoryStays() {
    mallopt(M_MMAP_MAX, 0);  // blocks apart from the heap
    mallopt(M_TRIM_THRESHOLD, -1);
  }
  ~FreedMemoryStays() {
    // Whoever sets a limit stops glibc from raising it by itself: these are the largest that it would come to. Its
    // first ones, 128 KiB, would make everything after this slower than before.
    mallopt(M_MMAP_MAX, 65536);
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    malloc_trim(0);
  }
#else
  FreedMemoryStays() {}
  ~FreedMemoryStays() {}
#endif
  FreedMemoryStays(const FreedMemoryStays&) = delete;
  FreedMemoryStays& operator=(const FreedMemoryStays&) = delete;
};

}  // namespace incite
