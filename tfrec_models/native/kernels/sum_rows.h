// Sums up a table's gradient, row by row.
#ifndef TFREC_MODELS_NATIVE_SUM_ROWS_H_
#define TFREC_MODELS_NATIVE_SUM_ROWS_H_

#include <cstdint>
#include <type_traits>
#include <vector>

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

// Whether `starts` rise from 0 to the number of occurrences, and all places lie in `upstream`.
template <typename G>
bool AreValid(const RowGradients<G>& gradients, int64_t num_rows, int64_t occurrences,
              int64_t num_upstream) {
  bool is_valid = num_rows >= 0 && gradients.starts[0] == 0 &&
                  gradients.starts[num_rows] == occurrences;
  for (int64_t k = 0; k < num_rows; ++k) {
    is_valid &= gradients.starts[k] < gradients.starts[k + 1];
  }
  const uint32_t num_places = static_cast<uint32_t>(num_upstream);
  for (int64_t i = 0; i < occurrences; ++i) {
    is_valid &= static_cast<uint32_t>(gradients.places[i]) < num_places;
  }
  return is_valid;
}

// Sums up the gradients of the rows [first, last) into `sums`, (rows, dim).
template <typename G>
void SumRows(const RowGradients<G>& gradients, int64_t first, int64_t last, G* sums) {
  const int64_t dim = gradients.dim;
  std::vector<float> buffer(dim);
  for (int64_t k = first; k < last; ++k) {
    if (k + kRowsAhead < last) gradients.Prefetch(k + kRowsAhead);
    const float* sum = gradients.Sum(k, buffer.data());
    for (int64_t d = 0; d < dim; ++d) sums[k * dim + d] = static_cast<G>(sum[d]);
  }
}

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_SUM_ROWS_H_
