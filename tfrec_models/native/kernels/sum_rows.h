// Sums up a table's gradient, row by row.
#ifndef TFREC_MODELS_NATIVE_SUM_ROWS_H_
#define TFREC_MODELS_NATIVE_SUM_ROWS_H_

#include <cstdint>
#include <type_traits>

#include "optional_array.h"
#include "parallel.h"
#include "pool_bags.h"

namespace tfrec {

// A table's gradient before it is summed: for the k-th row, the rows of `upstream` at
// [starts[k], starts[k + 1]) of `places`, each times its scale.
template <typename G>
struct RowGradients {
  OptionalArray<const int32_t> starts;  // Absent if row k's gradient is row k of `upstream`.
  OptionalArray<const int32_t> places;  // Present with `starts`.
  OptionalArray<const float> scales;    // Absent if all are 1.
  const G* upstream;
  int64_t dim;

  const G* At(int64_t occurrence) const { return upstream + places[occurrence] * dim; }

  // Returns the sum for row `k`, in float32 and in the order of the batch: in `buffer`, or where
  // it lies already.
  const float* Sum(int64_t k, float* __restrict buffer) const {
    if (!starts) return AsFloats(upstream + k * dim, buffer);
    const int32_t first = starts[k], last = starts[k + 1];
    if (!scales && last == first + 1) return AsFloats(At(first), buffer);
    for (int64_t d = 0; d < dim; ++d) buffer[d] = 0;
    for (int32_t i = first; i < last; ++i) {
      if (scales) {
        AddScaledRow(At(i), scales[i], dim, buffer);
      } else {
        AddRow(At(i), dim, buffer);
      }
    }
    return buffer;
  }

  // Asks for what `Sum(k)` reads first.
  void Prefetch(int64_t k) const {
    const G* first = starts ? At(starts[k]) : upstream + k * dim;
    PrefetchRow<false>(first, dim * sizeof(G));
  }

 private:
  const float* AsFloats(const G* row, float* __restrict buffer) const {
    if constexpr (std::is_same<G, float>::value) {
      return row;
    } else {
      for (int64_t d = 0; d < dim; ++d) buffer[d] = static_cast<float>(row[d]);
      return buffer;
    }
  }
};

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_SUM_ROWS_H_
