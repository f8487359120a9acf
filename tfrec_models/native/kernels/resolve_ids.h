// Applies each table's id policy, and shifts ids to where the table lies in its variable.
#ifndef TFREC_MODELS_NATIVE_RESOLVE_IDS_H_
#define TFREC_MODELS_NATIVE_RESOLVE_IDS_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "bags.h"

namespace tfrec {

enum IdPolicy { kError, kClip, kHash, kOov, kDrop, kNumPolicies };

// Returns the policy that `EmbeddingConfig.id_policy` names so, or kNumPolicies.
inline IdPolicy PolicyNamed(const std::string& name) {
  if (name == "error") return kError;
  if (name == "clip") return kClip;
  if (name == "hash") return kHash;
  if (name == "oov") return kOov;
  if (name == "drop") return kDrop;
  return kNumPolicies;
}

constexpr int64_t kDropped = -1;

// The table of one feature: ids from 0 to `num_ids` - 1, its rows from `first_row` on.
struct IdRange {
  int64_t num_ids;
  int64_t first_row;
  IdPolicy policy;
};

// Returns the row that stands for an id outside the table, or kDropped.
inline int64_t ResolveOutOfRange(int64_t id, const IdRange& range) {
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

// Resolves `count` ids of one feature.
//
// Returns the position of the first id that the table refuses, or -1; its row is kDropped.
template <typename Id, typename Row>
int64_t ResolveIds(const Id* ids, int64_t count, const IdRange& range, Row* rows) {
  int64_t refused = -1;
  const uint64_t num_ids = static_cast<uint64_t>(range.num_ids);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t id = ids[i];
    if (static_cast<uint64_t>(id) < num_ids) {
      rows[i] = static_cast<Row>(id + range.first_row);
    } else {
      rows[i] = static_cast<Row>(ResolveOutOfRange(id, range));
      if (range.policy == kError && refused < 0) refused = i;
    }
  }
  return refused;
}

// Resolves the ids of the bags [first, last). ranges: of each feature; by_example: whether bags lie
// example by example.
//
// Returns the position of the first id that a table refuses, or -1.
template <typename Id, typename Row>
int64_t ResolveBags(const Bags<Id>& bags, const std::vector<IdRange>& ranges, bool by_example,
                    int64_t first, int64_t last, Row* rows) {
  const int64_t features = ranges.size(), batch_size = bags.num_bags / features;
  int64_t refused = -1;
  for (int64_t bag = first; bag < last; ++bag) {
    const IdRange& range = ranges[by_example ? bag % features : bag / batch_size];
    const int64_t begin = bags.First(bag);
    const int64_t at = ResolveIds(bags.rows + begin, bags.End(bag) - begin, range, rows + begin);
    if (at >= 0 && refused < 0) refused = begin + at;
  }
  return refused;
}

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_RESOLVE_IDS_H_
