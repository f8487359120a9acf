// Sums up the table rows of each bag.
#ifndef TFREC_MODELS_NATIVE_POOL_BAGS_H_
#define TFREC_MODELS_NATIVE_POOL_BAGS_H_

#include <cstdint>
#include <type_traits>
#include <vector>

#include "bags.h"
#include "optional_array.h"
#include "parallel.h"

namespace tfrec {

constexpr int64_t kRowsAhead = 8;

template <typename T>
inline void AddRow(const T* __restrict row, int64_t dim, float* __restrict sum) {
  for (int64_t d = 0; d < dim; ++d) sum[d] += static_cast<float>(row[d]);
}

template <typename T>
inline void AddScaledRow(const T* __restrict row, float scale, int64_t dim,
                         float* __restrict sum) {
  for (int64_t d = 0; d < dim; ++d) sum[d] += scale * static_cast<float>(row[d]);
}

// Pools the bags [first, last): each sum in float32 and in the order of the ids.
//
// table: (rows, dim), of which all rows named must be part. weights: absent, or one for each row
// named. pooled: (num_bags, dim), by place.
template <typename T, typename Row>
void PoolBags(const T* table, int64_t dim, const Bags<Row>& bags,
              OptionalArray<const float> weights, bool mean, int64_t first, int64_t last,
              T* pooled) {
  std::vector<float> buffer(std::is_same<T, float>::value ? 0 : dim);
  for (int64_t bag = first; bag < last; ++bag) {
    T* out = pooled + bags.PlaceOf(bag) * dim;
    float* sum;
    if constexpr (std::is_same<T, float>::value) {
      sum = out;
    } else {
      sum = buffer.data();
    }
    for (int64_t d = 0; d < dim; ++d) sum[d] = 0;
    int64_t kept = 0;
    for (int64_t i = bags.First(bag); i < bags.End(bag); ++i) {
      if (i + kRowsAhead < bags.num_rows_named && bags.rows[i + kRowsAhead] >= 0) {
        PrefetchRow<false>(table + bags.rows[i + kRowsAhead] * dim, dim * sizeof(T));
      }
      if (bags.rows[i] < 0) continue;
      ++kept;
      const T* row = table + bags.rows[i] * dim;
      if (weights) {
        AddScaledRow(row, weights[i], dim, sum);
      } else {
        AddRow(row, dim, sum);
      }
    }
    if (mean && kept > 1) {
      const float count = static_cast<float>(kept);
      for (int64_t d = 0; d < dim; ++d) sum[d] /= count;
    }
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
