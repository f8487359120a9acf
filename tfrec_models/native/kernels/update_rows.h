// One pass over the rows that a batch touches: sums each row's gradient and applies a rule.
#ifndef TFREC_MODELS_NATIVE_UPDATE_ROWS_H_
#define TFREC_MODELS_NATIVE_UPDATE_ROWS_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "parallel.h"
#include "row_rules.h"
#include "sum_rows.h"

namespace tfrec {

// A table and the optimizer's slots of it.
template <typename T>
struct Target {
  T* table;
  float* slots[kMaxSlots];
  int64_t dim;
};

// Updates the rows [first, last) of `rows`, which are distinct: each belongs to one thread.
template <typename Rule, typename T, typename G, typename Row>
void UpdateRows(const Target<T>& target, const Row* rows, const RowGradients<G>& gradients,
                const Step& step, int64_t first, int64_t last) {
  const int64_t dim = target.dim, slot_dim = Rule::kRowWiseSlot ? 1 : dim;
  std::vector<float> buffer(dim), decayed(step.decay != 0 ? dim : 0);
  auto prefetch = [&](int64_t k) {
    const int64_t row = rows[k];
    PrefetchRow<true>(target.table + row * dim, dim * sizeof(T));
    for (int s = 0; s < Rule::kSlots; ++s) {
      PrefetchRow<true>(target.slots[s] + row * slot_dim, slot_dim * sizeof(float));
    }
    gradients.Prefetch(k);
  };
  for (int64_t k = first; k < std::min(first + kRowsAhead, last); ++k) prefetch(k);
  for (int64_t k = first; k < last; ++k) {
    if (k + kRowsAhead < last) prefetch(k + kRowsAhead);
    const int64_t row = rows[k];
    float* slots[kMaxSlots] = {};
    for (int s = 0; s < Rule::kSlots; ++s) slots[s] = target.slots[s] + row * slot_dim;
    const float* gradient = gradients.Sum(k, buffer.data());
    T* weights = target.table + row * dim;
    if (step.l2 != 0) {
      for (int64_t d = 0; d < dim; ++d) {
        buffer[d] = gradient[d] + static_cast<float>(weights[d]) * step.l2;
      }
      gradient = buffer.data();
    }
    if (step.decay == 0) {
      Rule::template Apply<T>(step, gradient, dim, weights, slots);
      continue;
    }
    // In float32 to the end, so that a small decay is not lost in a table of bfloat16.
    for (int64_t d = 0; d < dim; ++d) {
      const float weight = static_cast<float>(weights[d]);
      decayed[d] = weight - weight * step.decay;
    }
    Rule::template Apply<float>(step, gradient, dim, decayed.data(), slots);
    for (int64_t d = 0; d < dim; ++d) weights[d] = static_cast<T>(decayed[d]);
  }
}

enum RowOrder { kOutside, kRising, kInAnyOrder };

// Whether a row lies outside the table, or else whether each is larger than the one before it.
template <typename Row>
RowOrder OrderOf(const Row* rows, int64_t count, int64_t num_table_rows) {
  bool is_inside = true, is_rising = true;
  Row before = -1;
  for (int64_t k = 0; k < count; ++k) {
    is_inside &= rows[k] >= 0 && rows[k] < num_table_rows;
    is_rising &= before < rows[k];
    before = rows[k];
  }
  return !is_inside ? kOutside : is_rising ? kRising : kInAnyOrder;
}

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_UPDATE_ROWS_H_
