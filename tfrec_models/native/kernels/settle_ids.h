// Applies each table's id policy, and shifts ids to where the table lies in its variable.
#ifndef TFREC_MODELS_NATIVE_SETTLE_IDS_H_
#define TFREC_MODELS_NATIVE_SETTLE_IDS_H_

#include <algorithm>
#include <cstdint>

namespace tfrec {

// In the order of ID_POLICIES in id_policy.py.
enum IdPolicy : int32_t { kError = 0, kClip, kHash, kOov, kDrop, kNumPolicies };

constexpr int64_t kDropped = -1;

// The table of one feature: ids from 0 to `num_ids` - 1, its rows from `first_row` on.
struct IdRange {
  int64_t num_ids;
  int64_t first_row;
  IdPolicy policy;
};

// Returns the row of an id outside the table; it is none of a table that refuses.
inline int64_t RowOfOutsider(int64_t id, const IdRange& range) {
  switch (range.policy) {
    case kClip:
      return range.first_row + (id < 0 ? 0 : range.num_ids - 1);
    case kHash: {
      const int64_t rest = id % range.num_ids;
      return range.first_row + (rest < 0 ? rest + range.num_ids : rest);
    }
    case kOov:
      return range.first_row + range.num_ids;
    default:
      return kDropped;
  }
}

// Settles `count` ids of one feature.
//
// Returns the position of the first id that the table refuses, or -1; its row is kDropped.
template <typename Id, typename Row>
int64_t SettleIds(const Id* ids, int64_t count, const IdRange& range, Row* rows) {
  int64_t refused = -1;
  const uint64_t num_ids = static_cast<uint64_t>(range.num_ids);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t id = ids[i];
    if (static_cast<uint64_t>(id) < num_ids) {
      rows[i] = static_cast<Row>(id + range.first_row);
    } else {
      rows[i] = static_cast<Row>(RowOfOutsider(id, range));
      if (range.policy == kError && refused < 0) refused = i;
    }
  }
  return refused;
}

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_SETTLE_IDS_H_
