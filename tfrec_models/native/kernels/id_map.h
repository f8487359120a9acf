// Which row of a table each id has, and who is given a row: the rule of `ManagedIds`.
//
// Plain C++, equal step by step to embeddings/id_map_stock.py.
#ifndef TFREC_MODELS_NATIVE_ID_MAP_H_
#define TFREC_MODELS_NATIVE_ID_MAP_H_

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace tfrec {

constexpr int64_t kBucketRows = 16;
constexpr int64_t kMaxProbes = 64;
constexpr int32_t kLastUse = 1 << 30;
constexpr int64_t kNoSlot = -1;

enum Eviction { kLru, kLfu, kTtl, kNever };
enum Tally { kHits, kUnknown, kAdmitted, kEvicted, kOccupied, kCounted, kNumTallies };

// One table: `num_rows` slots from that of bucket `first_bucket` on, and a sketch of two halves.
struct IdMapTable {
  int64_t num_rows;
  int64_t num_buckets;
  int64_t modulus;
  int64_t first_bucket;
  int64_t admit_after;
  int64_t eviction;
  int64_t ttl;
  int64_t cells;  // Of each half; a power of two, or 0.
  int64_t first_cell;
};

// The variables of all tables; `tallies` those of this one.
struct IdMapArrays {
  int64_t* ids;
  int32_t* used;
  int32_t* uses;  // Null if no table counts them.
  int32_t* filled;
  int32_t* reach;
  int32_t* cells;  // Null if no table has a sketch.
  int64_t* tallies;
};

// SplitMix64's finalizer.
inline uint64_t MixId(int64_t id) {
  uint64_t z = static_cast<uint64_t>(id) + 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// The buckets that an id may lie in, one after the other.
class Probes {
 public:
  Probes(const IdMapTable& table, uint64_t hash)
      : first_bucket_(table.first_bucket),
        num_buckets_(table.num_buckets),
        modulus_(table.modulus) {
    at_ = static_cast<int64_t>(((hash >> 32) * table.num_buckets) >> 32);
    stride_ = 1;
    if (table.num_buckets > kMaxProbes) {
      stride_ += static_cast<int64_t>(((hash & 0xFFFFFFFFu) * (table.modulus - 1)) >> 32);
    }
  }

  int64_t Bucket() const {
    return first_bucket_ + (at_ < num_buckets_ ? at_ : at_ - num_buckets_);
  }

  void Next() {
    at_ += stride_;
    if (at_ >= modulus_) at_ -= modulus_;
  }

 private:
  int64_t first_bucket_, num_buckets_, modulus_, at_, stride_;
};

inline int64_t FindInBucket(const IdMapArrays& arrays, int64_t bucket, int64_t id) {
  const int64_t* ids = arrays.ids + bucket * kBucketRows;
  int64_t found = kBucketRows;
  for (int64_t way = kBucketRows - 1; way >= 0; --way) {
    if (ids[way] == id) found = way;
  }
  // Slots that are not filled lie behind the others and may hold anything.
  return found < arrays.filled[bucket] ? bucket * kBucketRows + found : kNoSlot;
}

inline int64_t FindSlot(const IdMapTable& table, const IdMapArrays& arrays, uint64_t hash,
                        int64_t id) {
  Probes probes(table, hash);
  const int64_t home = probes.Bucket();
  int64_t slot = FindInBucket(arrays, home, id);
  for (int32_t probe = 1; slot == kNoSlot && probe < arrays.reach[home]; ++probe) {
    probes.Next();
    slot = FindInBucket(arrays, probes.Bucket(), id);
  }
  return slot;
}

// Admits the ids of one table's batch.
class Admission {
 public:
  Admission(const IdMapTable& table, const IdMapArrays& arrays, int32_t step)
      : table_(table), arrays_(arrays), step_(step) {}

  // Writes the slot of each id, or kNoSlot, to `slots`.
  void Run(const int64_t* ids, int64_t count, int64_t* slots) {
    Find(ids, count, slots);
    Count();
    Place();
    Replace();
    for (const auto& miss : missed_) slots[miss.second] = new_[miss.first].slot;
    int64_t unknown = 0;
    for (const auto& miss : missed_) unknown += new_[miss.first].slot == kNoSlot;
    arrays_.tallies[kHits] += count - unknown;
    arrays_.tallies[kUnknown] += unknown;
  }

  // Slots that were another id's before, each once.
  const std::vector<int64_t>& evicted() const { return evicted_; }

 private:
  struct New {
    uint64_t hash;
    int64_t id;
    int32_t times;
    bool is_admitted;
    int64_t slot;
  };

  void Find(const int64_t* ids, int64_t count, int64_t* slots) {
    constexpr int64_t kAhead = 16;
    uint64_t hashes[kAhead];
    std::vector<std::pair<uint64_t, int64_t>> missed;
    for (int64_t i = 0; i < count + kAhead; ++i) {
      if (i >= kAhead) {
        const int64_t at = i - kAhead;
        const uint64_t hash = hashes[at % kAhead];
        const int64_t slot = FindSlot(table_, arrays_, hash, ids[at]);
        slots[at] = slot;
        if (slot == kNoSlot) {
          missed.emplace_back(hash, at);
        } else {
          arrays_.used[slot] = step_;
          if (arrays_.uses && arrays_.uses[slot] < kLastUse) ++arrays_.uses[slot];
        }
      }
      if (i < count) {
        const uint64_t hash = hashes[i % kAhead] = MixId(ids[i]);
        const int64_t home = Probes(table_, hash).Bucket();
        __builtin_prefetch(arrays_.ids + home * kBucketRows);
        __builtin_prefetch(arrays_.ids + home * kBucketRows + 8);
        __builtin_prefetch(arrays_.used + home * kBucketRows, 1);
        __builtin_prefetch(arrays_.filled + home);
        __builtin_prefetch(arrays_.reach + home);
      }
    }
    std::sort(missed.begin(), missed.end());
    for (const auto& [hash, at] : missed) {
      if (new_.empty() || new_.back().hash != hash) new_.push_back({hash, ids[at], 0, false, kNoSlot});
      ++new_.back().times;
      missed_.emplace_back(new_.size() - 1, at);
    }
  }

  void Count() {
    if (table_.cells == 0) {
      for (New& one : new_) one.is_admitted = true;
      return;
    }
    const int64_t cells = table_.cells;
    int32_t* first = arrays_.cells + table_.first_cell;
    int32_t* second = first + cells;
    int64_t& counted = arrays_.tallies[kCounted];
    if (counted >= std::max<int64_t>(cells * table_.admit_after / 4, 1)) {
      for (int64_t i = 0; i < 2 * cells; ++i) first[i] /= 2;
      counted = 0;
    }
    for (const New& one : new_) {
      first[one.hash & (cells - 1)] += one.times;
      second[(one.hash >> 24) & (cells - 1)] += one.times;
      counted += one.times;
    }
    for (New& one : new_) {
      const int64_t seen =
          std::min(first[one.hash & (cells - 1)], second[(one.hash >> 24) & (cells - 1)]);
      one.is_admitted = seen >= table_.admit_after;
    }
  }

  // Free rows, in rounds: in each, all ask the next bucket of theirs.
  void Place() {
    std::vector<std::pair<New*, Probes>> left, waiting;
    for (New& one : new_) {
      if (one.is_admitted) left.emplace_back(&one, Probes(table_, one.hash));
    }
    const int64_t rounds = std::min(table_.num_buckets, kMaxProbes);
    for (int64_t probe = 0; probe < rounds && !left.empty(); ++probe) {
      if (arrays_.tallies[kOccupied] == table_.num_rows) return;
      waiting.clear();
      for (auto& [one, probes] : left) {
        const int64_t bucket = probes.Bucket();
        const int64_t way = arrays_.filled[bucket];
        const int64_t row = (bucket - table_.first_bucket) * kBucketRows + way;
        if (way == kBucketRows || row >= table_.num_rows) {
          probes.Next();
          waiting.emplace_back(one, probes);
          continue;
        }
        ++arrays_.filled[bucket];
        ++arrays_.tallies[kOccupied];
        ++arrays_.tallies[kAdmitted];
        int32_t& reach = arrays_.reach[Probes(table_, one->hash).Bucket()];
        reach = std::max(reach, static_cast<int32_t>(probe + 1));
        Give(one, bucket * kBucketRows + way, one->times);
      }
      left.swap(waiting);
    }
  }

  // Rows of others in the first bucket that this batch does not use.
  void Replace() {
    if (table_.eviction == kNever) return;
    for (New& one : new_) {
      if (!one.is_admitted || one.slot != kNoSlot) continue;
      const int64_t bucket = Probes(table_, one.hash).Bucket();
      int64_t best = kNoSlot;
      for (int64_t slot = bucket * kBucketRows; slot < bucket * kBucketRows + arrays_.filled[bucket];
           ++slot) {
        const int64_t idle = step_ - arrays_.used[slot];
        if (idle <= 0 || (table_.eviction == kTtl && idle <= table_.ttl)) continue;
        if (best == kNoSlot || IsBefore(slot, best)) best = slot;
      }
      if (best == kNoSlot) continue;
      evicted_.push_back(best);
      ++arrays_.tallies[kAdmitted];
      ++arrays_.tallies[kEvicted];
      Give(&one, best, one.times + (arrays_.uses ? arrays_.uses[best] : 0));
    }
  }

  bool IsBefore(int64_t slot, int64_t other) const {
    if (table_.eviction == kLfu && arrays_.uses[slot] != arrays_.uses[other]) {
      return arrays_.uses[slot] < arrays_.uses[other];
    }
    return arrays_.used[slot] < arrays_.used[other];
  }

  void Give(New* one, int64_t slot, int32_t uses) {
    one->slot = slot;
    arrays_.ids[slot] = one->id;
    arrays_.used[slot] = step_;
    if (arrays_.uses) arrays_.uses[slot] = uses;
  }

  const IdMapTable& table_;
  const IdMapArrays arrays_;
  const int32_t step_;
  std::vector<New> new_;
  std::vector<std::pair<size_t, int64_t>> missed_;  // Number in new_, position in the batch.
  std::vector<int64_t> evicted_;
};

// The ids of a batch, and the table of each.
struct IdBatch {
  const int64_t* ids;
  int64_t num_ids;
  const int32_t* tables = nullptr;  // Of each id, or null.
  const int64_t* splits = nullptr;  // Of bags, or null where each is one id.
  int64_t num_bags;
};

// Appends the positions of one table's ids, or of those not managed for -1. column_tables: of each
// column, where `tables` is null. A template for cores.h, as the next.
template <typename Position>
void PositionsOf(const IdBatch& batch, const std::vector<int64_t>& column_tables, bool by_example,
                 int64_t table, std::vector<Position>* positions) {
  if (batch.tables) {
    for (int64_t i = 0; i < batch.num_ids; ++i) {
      if (batch.tables[i] == table) positions->push_back(i);
    }
    return;
  }
  const int64_t columns = column_tables.size(), examples = batch.num_bags / columns;
  for (int64_t column = 0; column < columns; ++column) {
    if (column_tables[column] != table) continue;
    for (int64_t example = 0; example < examples; ++example) {
      const int64_t bag = by_example ? example * columns + column : column * examples + example;
      const int64_t end = batch.splits ? batch.splits[bag + 1] : bag + 1;
      for (int64_t i = batch.splits ? batch.splits[bag] : bag; i < end; ++i) {
        positions->push_back(i);
      }
    }
  }
}

// Admits a batch's ids; see `Admission`. Returns the evicted slots.
template <typename Id>
std::vector<int64_t> AdmitIds(const IdMapTable& table, const IdMapArrays& arrays, int32_t step,
                              const Id* ids, int64_t count, int64_t* slots) {
  Admission admission(table, arrays, step);
  admission.Run(ids, count, slots);
  return admission.evicted();
}

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_ID_MAP_H_
