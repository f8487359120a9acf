// Dot products of all pairs of an example's vectors, and their gradient.
#ifndef TFREC_MODELS_NATIVE_PAIR_PRODUCTS_H_
#define TFREC_MODELS_NATIVE_PAIR_PRODUCTS_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "pool_bags.h"

namespace tfrec {

// Eight numbers, which the compiler keeps in registers of whatever width there are.
typedef float Lanes __attribute__((vector_size(32)));

inline void Load(const float* from, Lanes* lanes) { std::memcpy(lanes, from, sizeof(*lanes)); }

template <typename T>
inline void Store(const Lanes& lanes, T* to) {
  for (int lane = 0; lane < 8; ++lane) to[lane] = static_cast<T>(lanes[lane]);
}

// The dot products of a vector with `kOthers` others, always in the same sixteen sums.
template <int kOthers, typename T>
void Dots(const float* vector, const float* const* others, int64_t dim, T* products) {
  Lanes low[kOthers] = {}, high[kOthers] = {};
  int64_t d = 0;
  for (; d + 16 <= dim; d += 16) {
    Lanes left, right;
    Load(vector + d, &left);
    Load(vector + d + 8, &right);
    for (int o = 0; o < kOthers; ++o) {
      Lanes other_left, other_right;
      Load(others[o] + d, &other_left);
      Load(others[o] + d + 8, &other_right);
      low[o] += left * other_left;
      high[o] += right * other_right;
    }
  }
  for (int o = 0; o < kOthers; ++o) {
    float rest[16] = {};
    for (int64_t at = d; at < dim; ++at) rest[at - d] = vector[at] * others[o][at];
    Lanes rest_low, rest_high;
    Load(rest, &rest_low);
    Load(rest + 8, &rest_high);
    const Lanes sum = (low[o] + rest_low) + (high[o] + rest_high);
    products[o] = static_cast<T>(((sum[0] + sum[4]) + (sum[2] + sum[6])) +
                                 ((sum[1] + sum[5]) + (sum[3] + sum[7])));
  }
}

// Adds up vectors, each times its scale, for `kSums` sums at once. scales: (kSums, count).
template <int kSums, typename T>
void WeightedSums(const float* const* vectors, const float* scales, int64_t count, int64_t dim,
                  T* sums) {
  int64_t d = 0;
  for (; d + 16 <= dim; d += 16) {
    Lanes low[kSums] = {}, high[kSums] = {};
    for (int64_t i = 0; i < count; ++i) {
      Lanes left, right;
      Load(vectors[i] + d, &left);
      Load(vectors[i] + d + 8, &right);
      for (int s = 0; s < kSums; ++s) {
        low[s] += left * scales[s * count + i];
        high[s] += right * scales[s * count + i];
      }
    }
    for (int s = 0; s < kSums; ++s) {
      Store(low[s], sums + s * dim + d);
      Store(high[s], sums + s * dim + d + 8);
    }
  }
  for (; d < dim; ++d) {
    for (int s = 0; s < kSums; ++s) {
      float sum = 0;
      for (int64_t i = 0; i < count; ++i) sum += vectors[i][d] * scales[s * count + i];
      sums[s * dim + d] = static_cast<T>(sum);
    }
  }
}

// The vectors of one example as float32: one of `first` and `num_rest` of `rest`.
template <typename T>
class Vectors {
 public:
  Vectors(int64_t num_rest, int64_t dim)
      : num_(num_rest + 1), dim_(dim), at_(num_),
        buffer_(std::is_same<T, float>::value ? 0 : num_ * dim) {}

  void Read(const T* first, const T* rest) {
    for (int64_t i = 0; i < num_; ++i) {
      const T* vector = i == 0 ? first : rest + (i - 1) * dim_;
      if constexpr (std::is_same<T, float>::value) {
        at_[i] = vector;
      } else {
        SetRow(vector, dim_, &buffer_[i * dim_]);
        at_[i] = &buffer_[i * dim_];
      }
    }
  }

  int64_t num() const { return num_; }
  const float* const* data() const { return at_.data(); }
  const float* operator[](int64_t i) const { return at_[i]; }

 private:
  const int64_t num_, dim_;
  std::vector<const float*> at_;
  std::vector<float> buffer_;
};

// The examples [first, last): the vector `dense`, then the products of vectors i < j, row by row.
//
// dense: (batch, dim). sparse: (batch, num_sparse, dim). out: (batch, dim + pairs).
template <typename T>
void PairProducts(const T* dense, const T* sparse, int64_t num_sparse, int64_t dim, int64_t first,
                  int64_t last, T* out) {
  Vectors<T> vectors(num_sparse, dim);
  const int64_t width = dim + num_sparse * (num_sparse + 1) / 2;
  for (int64_t example = first; example < last; ++example) {
    const T* first_vector = dense + example * dim;
    vectors.Read(first_vector, sparse + example * num_sparse * dim);
    T* next = std::copy(first_vector, first_vector + dim, out + example * width);
    for (int64_t i = 0; i < vectors.num(); ++i) {
      constexpr int kOthers = 4;
      int64_t j = i + 1;
      for (; j + kOthers <= vectors.num(); j += kOthers, next += kOthers) {
        Dots<kOthers>(vectors[i], vectors.data() + j, dim, next);
      }
      for (; j < vectors.num(); ++j) Dots<1>(vectors[i], vectors.data() + j, dim, next++);
    }
  }
}

// The gradients of `dense` and `sparse`, of the examples [first, last).
template <typename T>
void PairGradients(const T* dense, const T* sparse, const T* upstream, int64_t num_sparse,
                   int64_t dim, int64_t first, int64_t last, T* dense_out, T* sparse_out) {
  Vectors<T> vectors(num_sparse, dim);
  const int64_t num = vectors.num(), width = dim + num_sparse * (num_sparse + 1) / 2;
  std::vector<float> scales(num * num, 0.0f);  // Symmetric, zeros on the diagonal.
  for (int64_t example = first; example < last; ++example) {
    vectors.Read(dense + example * dim, sparse + example * num_sparse * dim);
    const T* given = upstream + example * width;
    const T* next = given + dim;
    for (int64_t i = 0; i < num; ++i) {
      for (int64_t j = i + 1; j < num; ++j) {
        scales[i * num + j] = scales[j * num + i] = static_cast<float>(*next++);
      }
    }
    T* dense_gradient = dense_out + example * dim;
    WeightedSums<1>(vectors.data(), scales.data(), num, dim, dense_gradient);
    for (int64_t d = 0; d < dim; ++d) {
      dense_gradient[d] = static_cast<T>(static_cast<float>(dense_gradient[d]) +
                                         static_cast<float>(given[d]));
    }
    T* sparse_gradient = sparse_out + example * num_sparse * dim;
    constexpr int kSums = 4;
    int64_t i = 1;
    for (; i + kSums <= num; i += kSums) {
      WeightedSums<kSums>(vectors.data(), &scales[i * num], num, dim,
                          sparse_gradient + (i - 1) * dim);
    }
    for (; i < num; ++i) {
      WeightedSums<1>(vectors.data(), &scales[i * num], num, dim, sparse_gradient + (i - 1) * dim);
    }
  }
}

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_PAIR_PRODUCTS_H_
