// Turns "the rows of each bag" into "the bags of each row", which is what a table's gradient
// sums over.
#ifndef TFREC_MODELS_NATIVE_TRANSPOSE_BAGS_H_
#define TFREC_MODELS_NATIVE_TRANSPOSE_BAGS_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "bags.h"
#include "optional_array.h"
#include "parallel.h"
#include "sort_keys.h"

namespace tfrec {

// The rows that occur, rising, and for the k-th of them its occurrences: [starts[k],
// starts[k + 1]) of `places`, in the order of the batch. The caller owns the arrays.
template <typename Row>
struct RowsOut {
  Row* rows;
  int32_t* starts;
  int32_t* places;  // Place of the bag of each occurrence.
  float* scales;    // What its gradient is multiplied by; unused where there are no scales.
};

template <typename Row>
class TransposeBags {
 public:
  // Args: the bags, of which no row is 2**63 - 1; weights: absent, or one for each row named;
  // mean: whether each bag's gradient is shared out among its rows.
  TransposeBags(const Bags<Row>& bags, OptionalArray<const float> weights, bool mean,
                int64_t threads, const ParallelFor& parallel_for);

  int64_t num_occurrences() const { return num_kept_; }
  int64_t num_rows() const { return num_rows_; }
  bool has_scales() const { return weights_ || mean_; }

  void Write(const RowsOut<Row>& out) const;

 private:
  __extension__ typedef unsigned __int128 Wide;

  void CountKept() {
    parts_ = Parts::Of(bags_.num_rows_named, threads_);
    kept_before_.assign(parts_.count + 1, 0);
    std::vector<uint64_t> largest(parts_.count, 0);
    parts_.ForEach(parallel_for_, [&](int64_t part, int64_t first, int64_t last) {
      int64_t kept = 0;
      Row top = 0;
      for (int64_t i = first; i < last; ++i) {
        kept += bags_.rows[i] >= 0;
        top = std::max(top, bags_.rows[i]);
      }
      kept_before_[part + 1] = kept;
      largest[part] = static_cast<uint64_t>(top);
    });
    for (int64_t part = 0; part < parts_.count; ++part) {
      kept_before_[part + 1] += kept_before_[part];
    }
    num_kept_ = kept_before_.back();
    largest_row_ = *std::max_element(largest.begin(), largest.end());
  }

  // Keys have the row above, and below it the bag's place, or with weights the occurrence.
  template <typename Key>
  void Sort(std::unique_ptr<Key[]>& keys) {
    keys.reset(new Key[num_kept_]);
    if (weights_) bag_of_.reset(new int32_t[bags_.num_rows_named]);
    if (mean_) num_kept_at_.reset(new float[bags_.num_bags]);
    parts_.ForEach(parallel_for_, [&](int64_t part, int64_t first, int64_t last) {
      Key* next = keys.get() + kept_before_[part];
      int64_t at = first;
      for (int64_t bag = bags_.BagOf(first); at < last; ++bag) {
        const int64_t place = bags_.PlaceOf(bag);
        const int64_t end = std::min(last, bags_.End(bag));
        // The part in which a bag begins counts it.
        if (mean_ && at < end && at == bags_.First(bag)) {
          num_kept_at_[place] = static_cast<float>(bags_.NumKept(bag));
        }
        for (; at < end; ++at) {
          if (weights_) bag_of_[at] = static_cast<int32_t>(place);
          if (bags_.rows[at] < 0) continue;
          const uint64_t payload = weights_ ? at : place;
          *next++ = (static_cast<Key>(bags_.rows[at]) << payload_bits_) | payload;
        }
      }
    });
    SortKeys(keys, num_kept_, payload_bits_, row_bits_, threads_, parallel_for_);
    CountRows(keys.get());
  }

  template <typename Key>
  bool Begins(const Key* keys, int64_t i) const {
    return i == 0 || (keys[i] >> payload_bits_) != (keys[i - 1] >> payload_bits_);
  }

  template <typename Key>
  void CountRows(const Key* keys) {
    sorted_parts_ = Parts::Of(num_kept_, threads_);
    rows_before_.assign(sorted_parts_.count + 1, 0);
    sorted_parts_.ForEach(parallel_for_, [&](int64_t part, int64_t first, int64_t last) {
      int64_t begun = 0;
      for (int64_t i = first; i < last; ++i) begun += Begins(keys, i);
      rows_before_[part + 1] = begun;
    });
    for (int64_t part = 0; part < sorted_parts_.count; ++part) {
      rows_before_[part + 1] += rows_before_[part];
    }
    num_rows_ = rows_before_.back();
  }

  template <typename Key>
  void Write(const Key* keys, const RowsOut<Row>& out) const {
    const uint64_t mask = (uint64_t{1} << payload_bits_) - 1;
    sorted_parts_.ForEach(parallel_for_, [&](int64_t part, int64_t first, int64_t last) {
      int64_t row = rows_before_[part];
      for (int64_t i = first; i < last; ++i) {
        if (Begins(keys, i)) {
          out.rows[row] = static_cast<Row>(keys[i] >> payload_bits_);
          out.starts[row++] = static_cast<int32_t>(i);
        }
        const int64_t payload = static_cast<uint64_t>(keys[i]) & mask;
        if (weights_) {
          out.places[i] = bag_of_[payload];
          out.scales[i] = weights_[payload];
        } else {
          out.places[i] = static_cast<int32_t>(payload);
          if (mean_) out.scales[i] = 1.0f / num_kept_at_[payload];
        }
      }
    });
  }

  const Bags<Row> bags_;
  const OptionalArray<const float> weights_;
  const bool mean_;
  const int64_t threads_;
  const ParallelFor parallel_for_;
  int payload_bits_, row_bits_;
  uint64_t largest_row_;
  int64_t num_kept_ = 0, num_rows_ = 0;
  Parts parts_, sorted_parts_;
  std::vector<int64_t> kept_before_, rows_before_;  // At the start of each part.
  std::unique_ptr<int32_t[]> bag_of_;               // Of each row named.
  std::unique_ptr<float[]> num_kept_at_;                // By place, how many rows a bag keeps.
  std::unique_ptr<uint64_t[]> narrow_;
  std::unique_ptr<Wide[]> wide_;
};

// Not in the class, where they would be inline: see cores.h.
template <typename Row>
TransposeBags<Row>::TransposeBags(const Bags<Row>& bags, OptionalArray<const float> weights,
                                  bool mean, int64_t threads, const ParallelFor& parallel_for)
    : bags_(bags), weights_(weights), mean_(mean), threads_(threads), parallel_for_(parallel_for) {
  CountKept();
  payload_bits_ = BitsOf(std::max<int64_t>(weights ? bags.num_rows_named : bags.num_bags, 1));
  row_bits_ = BitsOf(largest_row_);
  if (row_bits_ + payload_bits_ <= 64) {
    Sort(narrow_);
  } else {
    Sort(wide_);
  }
}

template <typename Row>
void TransposeBags<Row>::Write(const RowsOut<Row>& out) const {
  if (narrow_) {
    Write(narrow_.get(), out);
  } else if (wide_) {
    Write(wide_.get(), out);
  }
  out.starts[num_rows_] = static_cast<int32_t>(num_kept_);
}

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_TRANSPOSE_BAGS_H_
