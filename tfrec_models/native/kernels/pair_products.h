// Dot products of all pairs of an example's vectors, and their gradient.
#ifndef TFREC_MODELS_NATIVE_PAIR_PRODUCTS_H_
#define TFREC_MODELS_NATIVE_PAIR_PRODUCTS_H_

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "lanes.h"
#include "pool_bags.h"

namespace tfrec {

// The vectors of one example as float32: one of `first` and `num_rest` of `rest`.
template <typename T>
class Vectors {
 public:
  Vectors(int64_t num_rest, int64_t dim)
      : num_(num_rest + 1), dim_(dim), num_blocks_((dim + 15) / 16), at_(num_ + kRepeated) {
    if (!std::is_same<T, float>::value || dim % 16 != 0) blocks_.resize(num_ * num_blocks_);
  }

  void Read(const T* first, const T* rest) {
    for (int64_t i = 0; i < num_; ++i) {
      const T* vector = i == 0 ? first : rest + (i - 1) * dim_;
      if constexpr (std::is_same<T, float>::value) {
        if (blocks_.empty()) {
          at_[i] = vector;
          continue;
        }
      }
      float* copy = blocks_[i * num_blocks_].numbers;
      SetRow(vector, dim_, copy);
      at_[i] = copy;
    }
    std::fill_n(&at_[num_], kRepeated, at_[0]);
  }

  int64_t num() const { return num_; }
  int64_t num_blocks() const { return num_blocks_; }
  // The vectors, each of `16 * num_blocks()` numbers, zeros at its end; then the first `kRepeated`
  // times more, so that there are always as many as are multiplied at once.
  const float* const* data() const { return at_.data(); }

 private:
  static constexpr int64_t kRepeated = 8;
  // At the start of a line of the cache: a load across two takes twice as long.
  struct alignas(64) Block {
    float numbers[16] = {};
  };

  const int64_t num_, dim_, num_blocks_;
  std::vector<const float*> at_;
  std::vector<Block> blocks_;
};

// The dot products of `kRows` vectors with `kOthers` others, as eight numbers to be added up: always
// the same sixteen sums.
template <int kRows, int kOthers>
inline void Dots(const float* const* rows, const float* const* others, int64_t num_blocks,
                 Eight (*sums)[8], int first) {
  Sixteen partial[kRows][kOthers] = {};
  for (int64_t d = 0; d < 16 * num_blocks; d += 16) {
    Sixteen row[kRows];
    for (int r = 0; r < kRows; ++r) row[r] = Sixteen::At(rows[r] + d);
    for (int o = 0; o < kOthers; ++o) {
      const Sixteen other = Sixteen::At(others[o] + d);
      for (int r = 0; r < kRows; ++r) partial[r][o].AddProduct(row[r], other);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int o = 0; o < kOthers; ++o) partial[r][o].Fold(&sums[r][first + o]);
  }
}

// The examples [first, last): the vector `dense`, then the products of vectors i < j, row by row.
//
// dense: (batch, dim). sparse: (batch, num_sparse, dim). out: (batch, dim + pairs).
template <typename T>
void PairProducts(const T* dense, const T* sparse, int64_t num_sparse, int64_t dim, int64_t first,
                  int64_t last, T* out) {
  Vectors<T> vectors(num_sparse, dim);
  const int64_t num = vectors.num(), width = dim + num * (num - 1) / 2;
  for (int64_t example = first; example < last; ++example) {
    const T* first_vector = dense + example * dim;
    vectors.Read(first_vector, sparse + example * num_sparse * dim);
    T* next = std::copy(first_vector, first_vector + dim, out + example * width);
    for (int64_t i = 0; i < num; i += kRowsAtOnce) {
      for (int64_t j = i + 1; j < num; j += 8) {
        Eight sums[kRowsAtOnce][8];
        for (int o = 0; o < 8; o += kOthersAtOnce) {
          Dots<kRowsAtOnce, kOthersAtOnce>(vectors.data() + i, vectors.data() + j + o,
                                           vectors.num_blocks(), sums, o);
        }
        const int end = static_cast<int>(std::min<int64_t>(8, num - j));
        T* row = next + (j - i - 1);
        for (int r = 0; r < kRowsAtOnce; ++r) {
          // Vector i + r has no product with itself and with those before it.
          Eight totals;
          TotalsOf(sums[r], &totals);
          StoreSome(totals, std::max<int>(0, static_cast<int>(i - j) + r + 1), end, row);
          row += num - i - r - 2;
        }
      }
      for (int r = 0; r < kRowsAtOnce; ++r) next += std::max<int64_t>(0, num - i - r - 1);
    }
  }
}

// Adds `kSums` multiples of the vectors [first, last) to sums of `16 * kBlocks` numbers.
//
// vectors: from their number `at` on. scale: of (vector, sum).
template <int kSums, int kBlocks, typename Scale>
inline void AddScaled(const float* const* vectors, int64_t at, int64_t first, int64_t last,
                      const Scale& scale, Sixteen (&sums)[kSums][kBlocks]) {
  for (int64_t i = first; i < last; ++i) {
    Sixteen blocks[kBlocks];
    for (int b = 0; b < kBlocks; ++b) blocks[b] = Sixteen::At(vectors[i] + at + 16 * b);
    for (int s = 0; s < kSums; ++s) {
      const Sixteen factor = Sixteen::Of(scale(i, s));
      for (int b = 0; b < kBlocks; ++b) sums[s][b].AddProduct(blocks[b], factor);
    }
  }
}

// The gradients of vectors `k` to `k + kSums`: all vectors, each times the gradient of its product
// with that one: `upper[i]` has those of vector i with the ones after it.
template <int kSums, int kBlocks>
inline void GradientBlocks(const float* const* vectors, int64_t count, const float* const* upper,
                           int64_t k, int64_t at, Sixteen (&sums)[kSums][kBlocks]) {
  AddScaled(vectors, at, 0, k, [upper, k](int64_t i, int s) { return upper[i][k + s - i - 1]; },
            sums);
  AddScaled(
      vectors, at, k, k + kSums,
      [upper, k](int64_t i, int s) {
        const int64_t j = k + s;
        return i == j ? 0 : i < j ? upper[i][j - i - 1] : upper[j][i - j - 1];
      },
      sums);
  AddScaled(vectors, at, k + kSums, count,
            [upper, k](int64_t i, int s) { return upper[k + s][i - k - s - 1]; }, sums);
}

template <int kSums, int kBlocks, typename T>
inline void StoreBlocks(const float* const* vectors, int64_t count, const float* const* upper,
                        int64_t k, int64_t at, int64_t dim, T* to) {
  Sixteen sums[kSums][kBlocks] = {};
  GradientBlocks(vectors, count, upper, k, at, sums);
  for (int s = 0; s < kSums; ++s) {
    for (int b = 0; b < kBlocks; ++b) sums[s][b].Store(to + s * dim + at + 16 * b);
  }
}

// The same of whole vectors, stored one after the other. to: (kSums, dim).
template <int kSums, typename T>
void StoreGradients(const float* const* vectors, int64_t count, const float* const* upper,
                    int64_t k, int64_t dim, T* to) {
  int64_t at = 0;
  for (; at + 16 * kBlocksAtOnce <= dim; at += 16 * kBlocksAtOnce) {
    StoreBlocks<kSums, kBlocksAtOnce>(vectors, count, upper, k, at, dim, to);
  }
  for (; at + 16 <= dim; at += 16) StoreBlocks<kSums, 1>(vectors, count, upper, k, at, dim, to);
  if (at == dim) return;
  Sixteen sums[kSums][1] = {};
  GradientBlocks(vectors, count, upper, k, at, sums);
  for (int s = 0; s < kSums; ++s) {
    T stored[16];
    sums[s][0].Store(stored);
    std::copy(stored, stored + (dim - at), to + s * dim + at);
  }
}

// The gradients of `dense` and `sparse`, of the examples [first, last).
template <typename T>
void PairGradients(const T* dense, const T* sparse, const T* upstream, int64_t num_sparse,
                   int64_t dim, int64_t first, int64_t last, T* dense_out, T* sparse_out) {
  Vectors<T> vectors(num_sparse, dim);
  const int64_t num = vectors.num(), num_pairs = num * (num - 1) / 2, width = dim + num_pairs;
  std::vector<float> copy(std::is_same<T, float>::value ? 0 : num_pairs);
  std::vector<const float*> upper(num);
  for (int64_t example = first; example < last; ++example) {
    vectors.Read(dense + example * dim, sparse + example * num_sparse * dim);
    const T* given = upstream + example * width;
    const float* pairs;
    if constexpr (std::is_same<T, float>::value) {
      pairs = given + dim;
    } else {
      SetRow(given + dim, num_pairs, copy.data());
      pairs = copy.data();
    }
    for (int64_t i = 0; i < num; ++i) {
      upper[i] = pairs;
      pairs += num - i - 1;
    }
    T* dense_gradient = dense_out + example * dim;
    StoreGradients<1>(vectors.data(), num, upper.data(), 0, dim, dense_gradient);
    for (int64_t d = 0; d < dim; ++d) {
      dense_gradient[d] = static_cast<T>(static_cast<float>(dense_gradient[d]) +
                                         static_cast<float>(given[d]));
    }
    T* sparse_gradient = sparse_out + example * num_sparse * dim;
    int64_t i = 1;
    for (; i + kSumsAtOnce <= num; i += kSumsAtOnce) {
      StoreGradients<kSumsAtOnce>(vectors.data(), num, upper.data(), i, dim,
                                  sparse_gradient + (i - 1) * dim);
    }
    for (; i < num; ++i) {
      StoreGradients<1>(vectors.data(), num, upper.data(), i, dim, sparse_gradient + (i - 1) * dim);
    }
  }
}

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_PAIR_PRODUCTS_H_
