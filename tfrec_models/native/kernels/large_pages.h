// Large pages for large tables.
#ifndef TFREC_MODELS_NATIVE_LARGE_PAGES_H_
#define TFREC_MODELS_NATIVE_LARGE_PAGES_H_

#include <cstddef>
#include <cstdint>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace tfrec {

// Moves memory that is in use to pages of 2 MiB, where Linux can. The rows of a step lie all over
// a table: in pages of 4 KiB the processor looks up most rows' addresses in memory, too.
//
// It takes about as long as copying the memory, once, and no more of it. Whatever is refused stays
// in small pages and is as right as before: an old kernel, a machine without free large pages.
inline void MoveToLargePages(const void* memory, size_t bytes) {
#ifdef __linux__
  constexpr uintptr_t kPage = uintptr_t{2} << 20;
  // Small pages of less than this fit in the processor's own table.
  constexpr size_t kWorthwhile = 8 * kPage;
  // Linux 6.1 and newer; the C library's headers may be older.
  constexpr int kCollapse = 25;
  if (bytes < kWorthwhile) return;
  const uintptr_t first = (reinterpret_cast<uintptr_t>(memory) + kPage - 1) / kPage * kPage;
  const uintptr_t last = (reinterpret_cast<uintptr_t>(memory) + bytes) / kPage * kPage;
  madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
  madvise(reinterpret_cast<void*>(first), last - first, kCollapse);
#endif
}

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_LARGE_PAGES_H_
