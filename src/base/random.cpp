#include "base/random.hpp"

namespace incite {

uint64_t derive_seed(uint64_t seed, std::string_view purpose) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : purpose)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  uint64_t mixed = seed + hash + 0x9e3779b97f4a7c15ULL;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
  return mixed ^ (mixed >> 31);
}

}  // namespace incite
