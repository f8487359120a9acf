// How the kernels' cores share out work: plain C++, so that they also run under sanitizers,
// outside TensorFlow.
#ifndef TFREC_MODELS_NATIVE_PARALLEL_H_
#define TFREC_MODELS_NATIVE_PARALLEL_H_

#include <algorithm>
#include <cstdint>
#include <functional>

namespace tfrec {

// Work on the items [first, last).
using Work = std::function<void(int64_t first, int64_t last)>;

// Calls `work` on parts that cover [0, items), on several threads; `cost` is roughly the
// nanoseconds an item takes.
using ParallelFor = std::function<void(int64_t items, int64_t cost, const Work& work)>;

// Equal parts of [0, items), for steps that must know where each part's output begins.
struct Parts {
  int64_t items;
  int64_t count;

  static Parts Of(int64_t items, int64_t threads) {
    constexpr int64_t kMinItems = 8192;  // Of a part that is worth a thread.
    return {items, std::max<int64_t>(1, std::min(threads, items / kMinItems))};
  }

  int64_t First(int64_t part) const { return items * part / count; }

  // Calls `work(part, first, last)` for every part, in parallel.
  template <typename PartWork>
  void ForEach(const ParallelFor& parallel_for, const PartWork& work) const {
    if (count == 1) {
      work(int64_t{0}, int64_t{0}, items);
      return;
    }
    parallel_for(count, 1000000, [&](int64_t from, int64_t to) {
      for (int64_t part = from; part < to; ++part) work(part, First(part), First(part + 1));
    });
  }
};

// Rows of a large table are each in another page of memory, and so are those of its slots: they are
// asked for so many rows ahead, all at once.
constexpr int64_t kRowsAhead = 8;

// Asks for a row's first bytes ahead of its use; the processor guesses the rest of a long row.
template <bool kForWriting>
inline void PrefetchRow(const void* row, int64_t bytes) {
  // GCC holds a function that does nothing but ask for memory to have no effect, and drops calls of
  // it and of its callers.
  asm volatile("");
  const char* start = static_cast<const char*>(row);
  const int64_t end = std::min<int64_t>(bytes, 512);
  for (int64_t offset = 0; offset < end; offset += 64) {
    __builtin_prefetch(start + offset, kForWriting ? 1 : 0);
  }
}

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_PARALLEL_H_
