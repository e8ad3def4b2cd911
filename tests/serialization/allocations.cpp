#include "allocations.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace {

thread_local std::size_t largest_bytes = 0;
thread_local std::size_t total_bytes = 0;

} // namespace

[[gnu::noinline]] void* operator new(std::size_t size) {
  largest_bytes = std::max(largest_bytes, size);
  total_bytes += size;
  if (void* result = std::malloc(std::max<std::size_t>(size, 1)))
    return result;
  throw std::bad_alloc{};
}

// As std::stable_sort has it: a sanitizer's own would not fit the `delete` below.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  largest_bytes = std::max(largest_bytes, size);
  total_bytes += size;
  return std::malloc(std::max<std::size_t>(size, 1));
}

// Not inlined, as GCC 12 would see one half of a pair only and warn.
[[gnu::noinline]] void operator delete(void* x) noexcept {
  std::free(x);
}

[[gnu::noinline]] void operator delete(void* x, const std::nothrow_t&) noexcept {
  std::free(x);
}

[[gnu::noinline]] void operator delete(void* x, std::size_t) noexcept {
  std::free(x);
}

namespace cluster_channel::test {

allocation_watch::allocation_watch() {
  largest_bytes = 0;
  total_bytes = 0;
}

std::size_t allocation_watch::largest() const {
  return largest_bytes;
}

std::size_t allocation_watch::total() const {
  return total_bytes;
}

} // namespace cluster_channel::test
