// Numbers that are worked on together, in registers of whatever width there are.
#ifndef TFREC_MODELS_NATIVE_LANES_H_
#define TFREC_MODELS_NATIVE_LANES_H_

#include <cstdint>
#include <cstring>
#include <type_traits>

#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace tfrec {

typedef float Eight __attribute__((vector_size(32)));

// Stores numbers as T, float or bfloat16: of this the nearest, ties to even.
//
// Bits, Halves: as many integers of 32 and of 16 bits.
template <typename Bits, typename Halves, typename Lanes, typename T>
inline void StoreAs(const Lanes& numbers, T* to) {
  if constexpr (std::is_same<T, float>::value) {
    std::memcpy(to, &numbers, sizeof(numbers));
  } else {
    Bits bits;
    std::memcpy(&bits, &numbers, sizeof(bits));
    const Bits top = bits >> 16;
    const Bits rounded = (bits + 0x7fff + (top & 1)) >> 16;
    const Bits not_a_number = (top & 0x8000) | 0x7fc0;
    const auto is_number = numbers == numbers;
    Bits mask;
    std::memcpy(&mask, &is_number, sizeof(mask));
    const Bits kept = (rounded & mask) | (not_a_number & ~mask);
    const Halves halves = __builtin_convertvector(kept, Halves);
    std::memcpy(static_cast<void*>(to), &halves, sizeof(halves));
  }
}

template <typename T>
inline void StoreEight(const Eight& numbers, T* to) {
  typedef uint32_t Bits __attribute__((vector_size(32)));
  typedef uint16_t Halves __attribute__((vector_size(16)));
  StoreAs<Bits, Halves>(numbers, to);
}

// Sixteen numbers, and how many such sums fit in the registers: products of so many vectors with so
// many others, or so many sums of so many times sixteen numbers.
#ifdef __AVX512F__
constexpr int kRowsAtOnce = 2, kOthersAtOnce = 8, kBlocksAtOnce = 4, kSumsAtOnce = 6;

struct Sixteen {
  typedef float Lanes __attribute__((vector_size(64)));
  Lanes all;

  static Sixteen At(const float* from) {
    Sixteen numbers;
    std::memcpy(&numbers.all, from, sizeof(numbers.all));
    return numbers;
  }
  // The same number sixteen times.
  static Sixteen Of(float number) { return {number - Lanes{}}; }
  void AddProduct(const Sixteen& a, const Sixteen& b) { all += a.all * b.all; }
  // The first eight plus the last eight.
  void Fold(Eight* sums) const {
    // A copy of half a register goes through memory, which takes long. `maskz` of all lanes: without
    // it GCC warns of a variable of its own header.
    const __m512d pairs = _mm512_castps_pd(reinterpret_cast<__m512>(all));
    *sums = reinterpret_cast<Eight>(_mm512_maskz_extractf64x4_pd(0xff, pairs, 0)) +
            reinterpret_cast<Eight>(_mm512_maskz_extractf64x4_pd(0xff, pairs, 1));
  }
  template <typename T>
  void Store(T* to) const {
    typedef uint32_t Bits __attribute__((vector_size(64)));
    typedef uint16_t Halves __attribute__((vector_size(32)));
    StoreAs<Bits, Halves>(all, to);
  }
};
#else
constexpr int kRowsAtOnce = 1, kOthersAtOnce = 4, kBlocksAtOnce = 1, kSumsAtOnce = 4;

struct Sixteen {
  Eight low, high;

  static Sixteen At(const float* from) {
    Sixteen numbers;
    std::memcpy(&numbers.low, from, sizeof(numbers.low));
    std::memcpy(&numbers.high, from + 8, sizeof(numbers.high));
    return numbers;
  }
  static Sixteen Of(float number) { return {number - Eight{}, number - Eight{}}; }
  void AddProduct(const Sixteen& a, const Sixteen& b) {
    low += a.low * b.low;
    high += a.high * b.high;
  }
  // The first eight plus the last eight.
  void Fold(Eight* sums) const { *sums = low + high; }
  template <typename T>
  void Store(T* to) const {
    StoreEight(low, to);
    StoreEight(high, to + 8);
  }
};
#endif

#ifdef __clang__
#define TFREC_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef int32_t EightPlaces __attribute__((vector_size(32)));
#define TFREC_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, EightPlaces{__VA_ARGS__})
#endif

// The totals of eight times eight numbers, each as ((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7)).
//
// Vectors are passed in memory: how processors without AVX pass these is not agreed upon.
inline void TotalsOf(const Eight (&of)[8], Eight* totals) {
  Eight fours[4], twos[2];
  for (int i = 0; i < 4; ++i) {
    fours[i] = TFREC_SHUFFLE(of[i], of[i + 4], 0, 1, 2, 3, 8, 9, 10, 11) +
               TFREC_SHUFFLE(of[i], of[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
  for (int i = 0; i < 2; ++i) {
    twos[i] = TFREC_SHUFFLE(fours[2 * i], fours[2 * i + 1], 0, 1, 8, 9, 4, 5, 12, 13) +
              TFREC_SHUFFLE(fours[2 * i], fours[2 * i + 1], 2, 3, 10, 11, 6, 7, 14, 15);
  }
  *totals = TFREC_SHUFFLE(twos[0], twos[1], 0, 2, 8, 10, 4, 6, 12, 14) +
            TFREC_SHUFFLE(twos[0], twos[1], 1, 3, 9, 11, 5, 7, 13, 15);
}

#undef TFREC_SHUFFLE

// Stores the lanes [first, last) at the same places from `to`.
template <typename T>
inline void StoreSome(const Eight& numbers, int first, int last, T* to) {
  if (first == 0 && last == 8) {
    StoreEight(numbers, to);
    return;
  }
  T stored[8];
  StoreEight(numbers, stored);
  for (int lane = first; lane < last; ++lane) to[lane] = stored[lane];
}

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_LANES_H_
