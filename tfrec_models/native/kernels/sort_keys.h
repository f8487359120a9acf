// A stable radix sort of integer keys by some of their bits.
#ifndef TFREC_MODELS_NATIVE_SORT_KEYS_H_
#define TFREC_MODELS_NATIVE_SORT_KEYS_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "parallel.h"

namespace tfrec {

// Number of bits that `value` needs.
inline int BitsOf(uint64_t value) {
  int bits = 0;
  while (bits < 64 && (value >> bits) != 0) ++bits;
  return bits;
}

// One pass: moves the keys to `to`, in the order of the `bits` bits above `shift`. Each part of
// the keys counts its digits and then knows where its keys go, so the order does not depend on
// the number of parts.
template <typename Key>
void SortByDigit(const Key* from, Key* to, int shift, int bits, const Parts& parts,
                 const ParallelFor& parallel_for) {
  const int64_t digits = int64_t{1} << bits;
  const uint64_t mask = digits - 1;
  auto digit_of = [shift, mask](Key key) { return static_cast<uint64_t>(key >> shift) & mask; };
  std::vector<int64_t> places(parts.count * digits, 0);
  parts.ForEach(parallel_for, [&](int64_t part, int64_t first, int64_t last) {
    int64_t* counts = &places[part * digits];
    for (int64_t i = first; i < last; ++i) ++counts[digit_of(from[i])];
  });
  int64_t before = 0;
  for (int64_t digit = 0; digit < digits; ++digit) {
    for (int64_t part = 0; part < parts.count; ++part) {
      before += std::exchange(places[part * digits + digit], before);
    }
  }
  parts.ForEach(parallel_for, [&](int64_t part, int64_t first, int64_t last) {
    int64_t* next = &places[part * digits];
    for (int64_t i = first; i < last; ++i) to[next[digit_of(from[i])]++] = from[i];
  });
}

// Sorts by the `bits` bits above `shift`; equal ones keep their order.
template <typename Key>
void SortKeys(std::unique_ptr<Key[]>& keys, int64_t count, int shift, int bits, int64_t threads,
              const ParallelFor& parallel_for) {
  // 2,048 counters stay in the first-level cache.
  constexpr int kDigitBits = 11;
  if (bits == 0 || count < 2) return;
  const int passes = (bits + kDigitBits - 1) / kDigitBits;
  const int digit_bits = (bits + passes - 1) / passes;
  std::unique_ptr<Key[]> other(new Key[count]);
  const Parts parts = Parts::Of(count, threads);
  for (int done = 0; done < bits; done += digit_bits) {
    const int now = std::min(digit_bits, bits - done);
    SortByDigit(keys.get(), other.get(), shift + done, now, parts, parallel_for);
    keys.swap(other);
  }
}

// Whether no row occurs twice. The rows are not negative.
template <typename Row>
bool AreDistinct(const Row* rows, int64_t count, int64_t threads,
                 const ParallelFor& parallel_for) {
  if (count < 2) return true;
  std::unique_ptr<uint64_t[]> keys(new uint64_t[count]);
  std::copy(rows, rows + count, keys.get());
  const int bits = BitsOf(*std::max_element(keys.get(), keys.get() + count));
  SortKeys(keys, count, 0, bits, threads, parallel_for);
  return std::adjacent_find(keys.get(), keys.get() + count) == keys.get() + count;
}

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_SORT_KEYS_H_
