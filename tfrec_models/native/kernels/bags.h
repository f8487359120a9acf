// The bags of one batch, as the cores see them.
#ifndef TFREC_MODELS_NATIVE_BAGS_H_
#define TFREC_MODELS_NATIVE_BAGS_H_

#include <algorithm>
#include <cstdint>

namespace tfrec {

// Rows of one table, in bags. A negative row is left out of its bag.
template <typename Row>
struct Bags {
  const Row* rows;
  int64_t num_rows_named;  // Length of `rows`.
  const int64_t* splits;   // num_bags + 1 of them, or null where every row is a bag of its own.
  int64_t num_bags;
  // Bags come feature by feature, and their output goes example by example: bag
  // `feature * batch_size + example` to place `example * num_features + feature`. With one
  // feature both orders are the same.
  int64_t num_features;

  int64_t First(int64_t bag) const { return splits ? splits[bag] : bag; }
  int64_t Last(int64_t bag) const { return splits ? splits[bag + 1] : bag + 1; }

  int64_t PlaceOf(int64_t bag) const {
    if (num_features == 1) return bag;
    const int64_t batch_size = num_bags / num_features;
    return bag % batch_size * num_features + bag / batch_size;
  }

  // The bag that position `at` of `rows` lies in.
  int64_t BagAt(int64_t at) const {
    if (!splits) return at;
    return std::upper_bound(splits, splits + num_bags + 1, at) - splits - 1;
  }

  // How many rows of a bag count.
  int64_t Kept(int64_t bag) const {
    int64_t kept = 0;
    for (int64_t i = First(bag); i < Last(bag); ++i) kept += rows[i] >= 0;
    return kept;
  }

  // Whether the splits are those of these rows: nothing below reads outside them.
  bool AreWhole() const {
    if (num_features < 1 || num_bags % num_features != 0) return false;
    if (!splits) return num_bags == num_rows_named;
    bool rising = splits[0] == 0 && splits[num_bags] == num_rows_named;
    for (int64_t bag = 0; bag < num_bags; ++bag) rising &= splits[bag] <= splits[bag + 1];
    return rising;
  }

  // Whether every row lies in a table of so many rows, or is left out.
  bool FitIn(int64_t num_table_rows) const {
    Row largest = -1;
    for (int64_t i = 0; i < num_rows_named; ++i) largest = std::max(largest, rows[i]);
    return static_cast<int64_t>(largest) < num_table_rows;
  }
};

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_BAGS_H_
