// The bags of one batch, as the cores see them.
#ifndef TFREC_MODELS_NATIVE_BAGS_H_
#define TFREC_MODELS_NATIVE_BAGS_H_

#include <algorithm>
#include <cstdint>

#include "optional_array.h"

namespace tfrec {

// Rows of one table, in bags. A negative row is left out of its bag.
template <typename Row>
struct Bags {
  const Row* rows;
  int64_t num_rows_named;               // Length of `rows`.
  OptionalArray<const int64_t> splits;  // num_bags + 1; absent if every row is its own bag.
  int64_t num_bags;
  // Bags come feature by feature, and their output goes example by example: bag
  // `feature * batch_size + example` to place `example * num_features + feature`. With one
  // feature both orders are the same.
  int64_t num_features;

  int64_t First(int64_t bag) const { return splits ? splits[bag] : bag; }
  int64_t End(int64_t bag) const { return splits ? splits[bag + 1] : bag + 1; }

  int64_t PlaceOf(int64_t bag) const {
    if (num_features == 1) return bag;
    const int64_t batch_size = num_bags / num_features;
    return bag % batch_size * num_features + bag / batch_size;
  }

  // The bag that position `at` of `rows` lies in.
  int64_t BagOf(int64_t at) const {
    if (!splits) return at;
    return std::upper_bound(splits.data(), splits.data() + num_bags + 1, at) - splits.data() - 1;
  }

  // How many rows of a bag are not left out.
  int64_t NumKept(int64_t bag) const {
    int64_t kept = 0;
    for (int64_t i = First(bag); i < End(bag); ++i) kept += rows[i] >= 0;
    return kept;
  }

  // Whether the splits are those of these rows: nothing below reads outside them.
  bool IsValid() const;

  // Whether every row lies in a table of so many rows, or is left out.
  bool RowsInRange(int64_t num_table_rows) const;
};

// Not in the class, where they would be inline: see cores.h.
template <typename Row>
bool Bags<Row>::IsValid() const {
  if (num_features < 1 || num_bags % num_features != 0) return false;
  if (!splits) return num_bags == num_rows_named;
  bool is_rising = splits[0] == 0 && splits[num_bags] == num_rows_named;
  for (int64_t bag = 0; bag < num_bags; ++bag) is_rising &= splits[bag] <= splits[bag + 1];
  return is_rising;
}

template <typename Row>
bool Bags<Row>::RowsInRange(int64_t num_table_rows) const {
  Row largest = -1;
  for (int64_t i = 0; i < num_rows_named; ++i) largest = std::max(largest, rows[i]);
  return static_cast<int64_t>(largest) < num_table_rows;
}

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_BAGS_H_
