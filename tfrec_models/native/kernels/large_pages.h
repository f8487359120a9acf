// Large pages for large tables.
#ifndef TFREC_MODELS_NATIVE_LARGE_PAGES_H_
#define TFREC_MODELS_NATIVE_LARGE_PAGES_H_

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#ifdef __linux__
#include <sys/mman.h>
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Linux 6.1 and newer; the C library's headers may be older.
#endif
#endif

namespace tfrec {

// Moves memory that is in use to pages of 2 MiB, where Linux can. The rows of a step lie all over
// a table: in pages of 4 KiB the processor looks up most rows' addresses in memory, too.
//
// It takes about as long as copying the memory, and no more of it, so each place is moved once.
// Whatever is refused stays in small pages and is as right as before: an old kernel, a machine
// without free large pages.
class LargePages {
 public:
  void Move(const void* memory, size_t bytes) {
#ifdef __linux__
    constexpr uintptr_t kPage = uintptr_t{2} << 20;
    // Small pages of less than this fit in the processor's own table.
    constexpr size_t kMinBytes = 8 * kPage;
    if (bytes < kMinBytes || !IsNew(memory, bytes)) return;
    const uintptr_t first = (reinterpret_cast<uintptr_t>(memory) + kPage - 1) / kPage * kPage;
    const uintptr_t last = (reinterpret_cast<uintptr_t>(memory) + bytes) / kPage * kPage;
    madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
    madvise(reinterpret_cast<void*>(first), last - first, MADV_COLLAPSE);
#endif
  }

 private:
  bool IsNew(const void* memory, size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex_);
    size_t& known = moved_[memory];
    const bool is_new = known != bytes;
    known = bytes;
    return is_new;
  }

  std::mutex mutex_;
  // Several: eagerly, one operation updates one table after the other.
  std::unordered_map<const void*, size_t> moved_;
};

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_LARGE_PAGES_H_
