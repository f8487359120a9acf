// Sums up the table rows of each bag.
#ifndef TFREC_MODELS_NATIVE_POOL_BAGS_H_
#define TFREC_MODELS_NATIVE_POOL_BAGS_H_

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "bags.h"
#include "optional_array.h"
#include "parallel.h"

namespace tfrec {

template <typename T>
inline void SetRow(const T* __restrict row, int64_t dim, float* __restrict sum) {
  for (int64_t d = 0; d < dim; ++d) sum[d] = static_cast<float>(row[d]);
}

template <typename T>
inline void AddRow(const T* __restrict row, int64_t dim, float* __restrict sum) {
  for (int64_t d = 0; d < dim; ++d) sum[d] += static_cast<float>(row[d]);
}

template <typename T>
inline void AddScaledRow(const T* __restrict row, float scale, int64_t dim,
                         float* __restrict sum) {
  for (int64_t d = 0; d < dim; ++d) sum[d] += scale * static_cast<float>(row[d]);
}

// Adds up rows in the order of TensorFlow's SparseSegmentSum, whose bits a sum in float32 then has:
// two to nine rows first, then the sum of every further eight.
class RowSum {
 public:
  // Args: `total` and `group`, (dim,) each, overwritten; how many rows there will be.
  RowSum(float* total, float* group, int64_t dim, int64_t num_rows)
      : total_(total), group_(group), dim_(dim), end_(num_rows % 8 + (num_rows % 8 < 2 ? 8 : 0)) {}

  template <typename T>
  void Add(const T* row) {
    if (added_ == end_) {
      AddGroup();
      end_ += 8;
      into_ = group_;
      is_first_ = true;
    }
    if (is_first_) {
      SetRow(row, dim_, into());
      is_first_ = false;
    } else {
      AddRow(row, dim_, into());
    }
    ++added_;
  }

  void Finish() {
    if (added_ == 0) std::fill(total_, total_ + dim_, 0.0f);
    AddGroup();
  }

 private:
  float* into() const { return into_ ? into_ : total_; }

  void AddGroup() {
    if (into_) AddRow(group_, dim_, total_);
  }

  float* const total_;
  float* const group_;
  const int64_t dim_;
  int64_t end_, added_ = 0;
  float* into_ = nullptr;  // The group, after the first rows.
  bool is_first_ = true;
};

// Divides as TensorFlow's SparseSegmentMean does: it multiplies by the reciprocal of a small count.
inline void DivideAll(float* __restrict sum, int64_t count, int64_t dim) {
  const float divisor = static_cast<float>(count);
  if (count < 10) {
    const float reciprocal = 1.0f / divisor;
    for (int64_t d = 0; d < dim; ++d) sum[d] *= reciprocal;
  } else {
    for (int64_t d = 0; d < dim; ++d) sum[d] /= divisor;
  }
}

// Pools the bags [first, last): each sum in float32, in an order that the bag alone decides.
//
// table: (rows, dim), of which all rows named must be part. weights: absent, or one for each row
// named. pooled: (num_bags, dim), by place.
template <typename T, typename Row>
void PoolBags(const T* table, int64_t dim, const Bags<Row>& bags,
              OptionalArray<const float> weights, bool mean, int64_t first, int64_t last,
              T* pooled) {
  std::vector<float> buffer(std::is_same<T, float>::value ? 0 : dim), group(dim);
  for (int64_t bag = first; bag < last; ++bag) {
    T* out = pooled + bags.PlaceOf(bag) * dim;
    float* sum;
    if constexpr (std::is_same<T, float>::value) {
      sum = out;
    } else {
      sum = buffer.data();
    }
    const int64_t kept = bags.NumKept(bag);
    RowSum total(sum, group.data(), dim, kept);
    if (weights) std::fill(sum, sum + dim, 0.0f);
    for (int64_t i = bags.First(bag); i < bags.End(bag); ++i) {
      if (i + kRowsAhead < bags.num_rows_named && bags.rows[i + kRowsAhead] >= 0) {
        PrefetchRow<false>(table + bags.rows[i + kRowsAhead] * dim, dim * sizeof(T));
      }
      if (bags.rows[i] < 0) continue;
      const T* row = table + bags.rows[i] * dim;
      if (weights) {
        AddScaledRow(row, weights[i], dim, sum);
      } else {
        total.Add(row);
      }
    }
    if (!weights) total.Finish();
    if (mean && kept > 1) DivideAll(sum, kept, dim);
    if constexpr (!std::is_same<T, float>::value) {
      for (int64_t d = 0; d < dim; ++d) out[d] = static_cast<T>(sum[d]);
    }
  }
}

// The gradient of the weights of the bags [first, last): each row times its bag's gradient.
template <typename T, typename Row>
void WeightGradients(const T* table, int64_t dim, const Bags<Row>& bags, const T* upstream,
                     int64_t first, int64_t last, float* gradients) {
  for (int64_t bag = first; bag < last; ++bag) {
    const T* __restrict gradient = upstream + bags.PlaceOf(bag) * dim;
    for (int64_t i = bags.First(bag); i < bags.End(bag); ++i) {
      if (i + kRowsAhead < bags.num_rows_named && bags.rows[i + kRowsAhead] >= 0) {
        PrefetchRow<false>(table + bags.rows[i + kRowsAhead] * dim, dim * sizeof(T));
      }
      float dot = 0;
      if (bags.rows[i] >= 0) {
        const T* __restrict row = table + bags.rows[i] * dim;
        for (int64_t d = 0; d < dim; ++d) {
          dot += static_cast<float>(row[d]) * static_cast<float>(gradient[d]);
        }
      }
      gradients[i] = dot;
    }
  }
}

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_POOL_BAGS_H_
