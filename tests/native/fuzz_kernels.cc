// Runs the kernels' cores on random batches, on several threads and without TensorFlow, against
// the plainest loops that say the same. sanitize.sh builds it with each sanitizer.
//
// Usage: fuzz_kernels BATCHES SEED
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "id_map.h"
#include "large_pages.h"
#include "optional_array.h"
#include "pair_products.h"
#include "pool_bags.h"
#include "row_rules.h"
#include "resolve_ids.h"
#include "sort_keys.h"
#include "transpose_bags.h"
#include "update_rows.h"

namespace {

using tfrec::Bags;
using tfrec::OptionalArray;

std::mt19937_64 random_bits;

int64_t Upto(int64_t most) { return std::uniform_int_distribution<int64_t>(0, most)(random_bits); }
float Normal() { return std::normal_distribution<float>()(random_bits); }

std::vector<float> Normals(int64_t count) {
  std::vector<float> values(count);
  for (float& value : values) value = Normal();
  return values;
}

// Every part on a thread of its own, whatever it costs: the more chances for a race.
tfrec::ParallelFor OnThreads(int64_t threads) {
  return [threads](int64_t items, int64_t, const tfrec::Work& work) {
    std::vector<std::thread> running;
    for (int64_t i = 0; i < threads; ++i) {
      const int64_t first = items * i / threads, last = items * (i + 1) / threads;
      if (first < last) running.emplace_back(work, first, last);
    }
    for (std::thread& thread : running) thread.join();
  };
}

void Check(bool is_right, const char* what) {
  if (is_right) return;
  std::fprintf(stderr, "FAILED: %s\n", what);
  std::exit(1);
}

// Within the bound for a sum of so many terms in float32, whose absolute values add up to `size`.
void CheckNear(double got, double expected, int64_t terms, double size, const char* what) {
  Check(std::abs(got - expected) <= (terms + 3) * size / (1 << 24), what);
}

template <typename Row>
struct Batch {
  std::vector<Row> rows;
  std::vector<int64_t> splits;
  std::vector<float> weights;
  Bags<Row> bags;
  int64_t table_rows, dim;
  bool weighted, mean;

  // Present with weights, also where there are none of them.
  OptionalArray<const float> Weights() const {
    return weighted ? OptionalArray<const float>(weights.data()) : OptionalArray<const float>();
  }
};

template <typename Row>
Batch<Row> RandomBatch(bool huge_rows) {
  static const int64_t kDims[] = {1, 3, 4, 16, 17, 64, 100};
  Batch<Row> batch;
  batch.dim = kDims[Upto(6)];
  batch.table_rows = 1 + Upto(Upto(1) ? 3 : 3000);
  const int64_t features = 1 + Upto(3), bags = features * Upto(Upto(3) ? 40 : 3000);
  const bool single = Upto(4) == 0;
  batch.splits = {0};
  for (int64_t bag = 0; bag < bags; ++bag) {
    const int64_t kind = Upto(9);
    const int64_t length = single ? 1 : kind < 3 ? 0 : kind == 9 ? Upto(200) : Upto(5);
    batch.splits.push_back(batch.splits.back() + length);
  }
  batch.rows.resize(batch.splits.back());
  const bool drops = Upto(1);
  for (Row& row : batch.rows) {
    row = static_cast<Row>(Upto(batch.table_rows - 1));
    if (huge_rows) row = static_cast<Row>(int64_t{1} << 61) + row;
    if (drops && Upto(3) == 0) row = -1;
  }
  batch.weighted = Upto(2) == 0;
  batch.mean = !batch.weighted && Upto(1);
  if (batch.weighted) batch.weights = Normals(batch.rows.size());
  batch.bags.rows = batch.rows.data();
  batch.bags.num_rows_named = batch.rows.size();
  if (!single) batch.bags.splits = OptionalArray<const int64_t>(batch.splits.data());
  batch.bags.num_bags = bags;
  batch.bags.num_features = features;
  Check(batch.bags.IsValid(), "splits");
  return batch;
}

// What an occurrence adds its row with, by the definition.
template <typename Row>
double Share(const Batch<Row>& batch, int64_t bag, int64_t at) {
  if (batch.weighted) return batch.weights[at];
  return batch.mean ? 1.0 / batch.bags.NumKept(bag) : 1.0;
}

template <typename Row>
int64_t Place(const Batch<Row>& batch, int64_t bag) {
  const int64_t batch_size = batch.bags.num_bags / batch.bags.num_features;
  const int64_t feature = bag / batch_size, example = bag % batch_size;
  return example * batch.bags.num_features + feature;
}

template <typename Row>
void TestPooling(const Batch<Row>& batch, int64_t threads) {
  const int64_t dim = batch.dim, bags = batch.bags.num_bags;
  const std::vector<float> table = Normals(batch.table_rows * dim), upstream = Normals(bags * dim);
  std::vector<float> pooled(bags * dim, NAN), weight_gradients(batch.rows.size(), NAN);
  OnThreads(threads)(bags, 1, [&](int64_t first, int64_t last) {
    tfrec::PoolBags(table.data(), dim, batch.bags, batch.Weights(), batch.mean, first, last,
                    pooled.data());
    tfrec::WeightGradients(table.data(), dim, batch.bags, upstream.data(), first, last,
                           weight_gradients.data());
  });
  for (int64_t bag = 0; bag < bags; ++bag) {
    const int64_t place = Place(batch, bag);
    std::vector<double> sum(dim, 0), size(dim, 0);
    for (int64_t i = batch.splits[bag]; i < batch.splits[bag + 1]; ++i) {
      double dot = 0, dot_size = 0;
      for (int64_t d = 0; d < dim && batch.rows[i] >= 0; ++d) {
        const double value = table[batch.rows[i] * dim + d];
        sum[d] += Share(batch, bag, i) * value;
        size[d] += std::abs(Share(batch, bag, i) * value);
        dot += value * upstream[place * dim + d];
        dot_size += std::abs(value * upstream[place * dim + d]);
      }
      CheckNear(weight_gradients[i], dot, dim, dot_size, "gradient of a weight");
    }
    for (int64_t d = 0; d < dim; ++d) {
      const int64_t terms = batch.splits[bag + 1] - batch.splits[bag];
      CheckNear(pooled[place * dim + d], sum[d], terms, size[d], "pooled");
    }
  }
}

template <typename Row>
struct Transposed {
  std::vector<Row> rows;
  std::vector<int32_t> starts, places;
  std::vector<float> scales;

  bool operator==(const Transposed& other) const {
    return rows == other.rows && starts == other.starts && places == other.places &&
           scales == other.scales;
  }
};

template <typename Row>
Transposed<Row> Transpose(const Batch<Row>& batch, int64_t threads) {
  const tfrec::ParallelFor parallel_for = OnThreads(threads);
  const tfrec::TransposeBags<Row> transposed(
      batch.bags, batch.Weights(), batch.mean, threads, parallel_for);
  Transposed<Row> out;
  out.rows.resize(transposed.num_rows());
  out.starts.resize(transposed.num_rows() + 1);
  out.places.resize(transposed.num_occurrences());
  // Also of a batch without rows.
  Check(transposed.has_scales() == (batch.weighted || batch.mean), "scales are given");
  if (transposed.has_scales()) out.scales.resize(transposed.num_occurrences());
  transposed.Write({out.rows.data(), out.starts.data(), out.places.data(), out.scales.data()});
  return out;
}

template <typename Row>
Transposed<Row> TestTranspose(const Batch<Row>& batch, int64_t threads) {
  const Transposed<Row> got = Transpose(batch, threads);
  Check(got == Transpose(batch, 1), "independent of the number of threads");
  std::map<Row, std::vector<std::pair<int64_t, double>>> expected;
  for (int64_t bag = 0; bag < batch.bags.num_bags; ++bag) {
    for (int64_t i = batch.splits[bag]; i < batch.splits[bag + 1]; ++i) {
      if (batch.rows[i] < 0) continue;
      expected[batch.rows[i]].push_back({Place(batch, bag), Share(batch, bag, i)});
    }
  }
  Check(got.rows.size() == expected.size(), "number of rows");
  size_t k = 0, at = 0;
  for (const auto& [row, occurrences] : expected) {
    Check(got.rows[k] == row && got.starts[k] == static_cast<int32_t>(at), "rows rise");
    for (const auto& [place, share] : occurrences) {
      Check(got.places[at] == place, "in order of occurrence");
      if (!got.scales.empty()) CheckNear(got.scales[at], share, 1, std::abs(share), "scale");
      ++at;
    }
    ++k;
  }
  Check(got.starts[k] == static_cast<int32_t>(at), "end");
  return got;
}

// The update on several threads gives the bits that one thread gives.
template <typename Rule, typename Row>
void TestUpdate(const Batch<Row>& batch, const Transposed<Row>& transposed, int64_t threads) {
  const int64_t dim = batch.dim, slot_dim = Rule::kRowWiseSlot ? 1 : dim;
  const std::vector<float> upstream = Normals(batch.bags.num_bags * dim);
  const std::vector<float> table = Normals(batch.table_rows * dim);
  const float settings[] = {0.5f, 0.001f, 1e-7f, 0.1f, 0.2f};
  std::vector<float> results[2];
  for (int run = 0; run < 2; ++run) {
    std::vector<float>& memory = results[run];
    memory = table;
    memory.resize(table.size() + Rule::kSlots * batch.table_rows * slot_dim, 0.5f);
    tfrec::Target<float> target = {memory.data(), {}, dim};
    for (int s = 0; s < Rule::kSlots; ++s) {
      target.slots[s] = memory.data() + table.size() + s * batch.table_rows * slot_dim;
    }
    tfrec::RowGradients<float> gradients;
    gradients.starts = OptionalArray<const int32_t>(transposed.starts.data());
    gradients.places = OptionalArray<const int32_t>(transposed.places.data());
    if (batch.weighted || batch.mean) {
      gradients.scales = OptionalArray<const float>(transposed.scales.data());
    }
    gradients.upstream = upstream.data();
    gradients.dim = dim;
    OnThreads(run ? threads : 1)(transposed.rows.size(), 1, [&](int64_t first, int64_t last) {
      tfrec::UpdateRows<Rule>(target, transposed.rows.data(), gradients,
                              tfrec::Step{0.05f, settings, batch.mean ? 0.1f : 0.0f,
                                          batch.weighted ? 0.2f : 0.0f},
                              first, last);
    });
  }
  Check(results[0] == results[1], "update is independent of the number of threads");
  std::vector<bool> touched(batch.table_rows, false);
  for (Row row : transposed.rows) touched[row] = true;
  for (int64_t row = 0; row < batch.table_rows; ++row) {
    for (int64_t d = 0; d < dim && !touched[row]; ++d) {
      Check(results[0][row * dim + d] == table[row * dim + d], "untouched rows stay");
    }
  }
}

void TestResolve() {
  const int64_t num_ids = 1 + Upto(20), first_row = Upto(100);
  std::vector<int64_t> ids(Upto(50)), rows(ids.size());
  for (int64_t& id : ids) id = Upto(3) ? Upto(num_ids - 1) : Upto(200) - 100;
  if (!ids.empty() && Upto(3) == 0) ids[0] = Upto(1) ? INT64_MIN : INT64_MAX;
  for (int policy = 0; policy < tfrec::kNumPolicies; ++policy) {
    const tfrec::IdRange range = {num_ids, first_row, static_cast<tfrec::IdPolicy>(policy)};
    const int64_t refused = tfrec::ResolveIds(ids.data(), ids.size(), range, rows.data());
    int64_t first_bad = -1;
    for (size_t i = 0; i < ids.size(); ++i) {
      const bool inside = ids[i] >= 0 && ids[i] < num_ids;
      int64_t expected = inside ? first_row + ids[i] : -1;
      if (!inside) {
        if (policy == tfrec::kError && first_bad < 0) first_bad = i;
        if (policy == tfrec::kClip) expected = first_row + (ids[i] < 0 ? 0 : num_ids - 1);
        if (policy == tfrec::kHash) {
          expected = first_row + (ids[i] % num_ids + num_ids) % num_ids;
        }
        if (policy == tfrec::kOov) expected = first_row + num_ids;
      }
      Check(rows[i] == expected, "resolved id");
    }
    Check(refused == first_bad, "first id refused");
  }
}

template <typename Row>
void TestDistinct(int64_t threads) {
  std::vector<Row> rows(Upto(Upto(1) ? 20 : 30000));
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<Row>(3 * i);
  std::shuffle(rows.begin(), rows.end(), random_bits);
  const tfrec::ParallelFor parallel_for = OnThreads(threads);
  Check(tfrec::AreDistinct<Row>(rows.data(), rows.size(), threads, parallel_for), "distinct");
  if (rows.size() < 2) return;
  rows[0] = rows[1 + Upto(rows.size() - 2)];
  Check(!tfrec::AreDistinct<Row>(rows.data(), rows.size(), threads, parallel_for), "a repeat");
}

// Several threads move the same memory at once while others read it; no byte changes.
void TestLargePages(int64_t threads) {
  const size_t bytes = (size_t{40} << 20) + Upto(1 << 20);
  std::unique_ptr<char[]> memory(new char[bytes]);
  for (size_t i = 0; i < bytes; i += 64) memory[i] = static_cast<char>(i >> 6);
  tfrec::LargePages pages;
  OnThreads(threads)(2 * threads, 1, [&](int64_t first, int64_t last) {
    for (int64_t k = first; k < last; ++k) {
      pages.Move(memory.get() + k % 2, bytes - 1);
      for (size_t i = 0; i < bytes; i += 64) {
        Check(memory[i] == static_cast<char>(i >> 6), "moving changes nothing");
      }
    }
  });
  // Less than a page, and nothing.
  pages.Move(memory.get(), 100);
  pages.Move(nullptr, 0);
}

// The map of several tables, whose parts of the arrays lie side by side.
struct IdMaps {
  std::vector<tfrec::IdMapTable> tables;
  std::vector<int64_t> ids, tallies;
  std::vector<int32_t> used, uses, filled, reach, cells;

  tfrec::IdMapArrays Arrays(int64_t table) {
    return {ids.data(),    used.data(),  uses.data(),
            filled.data(), reach.data(), cells.data(),
            tallies.data() + table * tfrec::kNumTallies};
  }
};

IdMaps RandomMaps() {
  IdMaps maps;
  int64_t buckets = 0, cells = 0;
  for (int64_t t = 0; t <= Upto(3); ++t) {
    // Up to 2,000 rows, so that some tables have more buckets than probes.
    const int64_t rows = 1 + Upto(Upto(1) ? 40 : 2000);
    tfrec::IdMapTable table = {};
    table.num_rows = rows;
    table.num_buckets = (rows + tfrec::kBucketRows - 1) / tfrec::kBucketRows;
    table.modulus = table.num_buckets <= tfrec::kMaxProbes ? table.num_buckets : 127;
    table.first_bucket = buckets;
    table.admit_after = 1 + Upto(2);
    table.eviction = Upto(3);
    table.ttl = 1 + Upto(3);
    table.cells = table.admit_after > 1 ? 512 : 0;
    table.first_cell = cells;
    buckets += table.num_buckets;
    cells += 2 * table.cells;
    maps.tables.push_back(table);
  }
  maps.ids.resize(buckets * tfrec::kBucketRows);
  maps.used.resize(maps.ids.size());
  maps.uses.resize(maps.ids.size());
  maps.filled.resize(buckets);
  maps.reach.resize(buckets);
  maps.cells.resize(cells);
  maps.tallies.resize(maps.tables.size() * tfrec::kNumTallies);
  return maps;
}

void TestAdmission(int64_t threads) {
  IdMaps maps = RandomMaps();
  const int64_t num_tables = maps.tables.size();
  for (int32_t step = 1; step <= 8; ++step) {
    std::vector<std::vector<int64_t>> ids(num_tables), slots(num_tables);
    for (int64_t t = 0; t < num_tables; ++t) {
      ids[t].resize(Upto(300));
      for (int64_t& id : ids[t]) id = Upto(2 * maps.tables[t].num_rows) - 5;
      slots[t].resize(ids[t].size());
    }
    OnThreads(threads)(num_tables, 1, [&](int64_t first, int64_t last) {
      for (int64_t t = first; t < last; ++t) {
        tfrec::Admission admission(maps.tables[t], maps.Arrays(t), step);
        admission.Run(ids[t].data(), ids[t].size(), slots[t].data());
      }
    });
    for (int64_t t = 0; t < num_tables; ++t) {
      const tfrec::IdMapTable& table = maps.tables[t];
      const int64_t first = table.first_bucket * tfrec::kBucketRows;
      const int64_t* tallies = maps.Arrays(t).tallies;
      for (size_t i = 0; i < ids[t].size(); ++i) {
        if (slots[t][i] == tfrec::kNoSlot) continue;
        Check(slots[t][i] >= first && slots[t][i] < first + table.num_rows, "slots of the table");
        Check(maps.ids[slots[t][i]] == ids[t][i], "a slot belongs to its id");
        Check(maps.used[slots[t][i]] == step, "a slot is used");
      }
      std::map<int64_t, int64_t> owners;
      int64_t occupied = 0;
      for (int64_t bucket = table.first_bucket; bucket < table.first_bucket + table.num_buckets;
           ++bucket) {
        for (int64_t way = 0; way < maps.filled[bucket]; ++way, ++occupied) {
          ++owners[maps.ids[bucket * tfrec::kBucketRows + way]];
        }
      }
      Check(static_cast<int64_t>(owners.size()) == occupied, "an id has one slot");
      Check(tallies[tfrec::kOccupied] == occupied, "slots are counted");
      for (const auto& owner : owners) {
        const uint64_t hash = tfrec::MixId(owner.first);
        Check(tfrec::FindSlot(table, maps.Arrays(t), hash, owner.first) != tfrec::kNoSlot,
              "every id with a slot is found");
      }
    }
  }
}

template <typename Row>
void TestAll(int64_t threads) {
  const Batch<Row> batch = RandomBatch<Row>(false);
  TestPooling(batch, threads);
  const Transposed<Row> transposed = TestTranspose(batch, threads);
  TestUpdate<tfrec::Sgd>(batch, transposed, threads);
  TestUpdate<tfrec::Momentum<false>>(batch, transposed, threads);
  TestUpdate<tfrec::Momentum<true>>(batch, transposed, threads);
  TestUpdate<tfrec::Adagrad>(batch, transposed, threads);
  TestUpdate<tfrec::RowWiseAdagrad>(batch, transposed, threads);
  TestUpdate<tfrec::LazyAdam<false>>(batch, transposed, threads);
  TestUpdate<tfrec::LazyAdam<true>>(batch, transposed, threads);
  TestUpdate<tfrec::Ftrl>(batch, transposed, threads);
}

}  // namespace

// Products of all pairs, and their gradients, beside sums in double.
void TestPairs(int64_t threads) {
  const int64_t batch = Upto(9), num_sparse = 1 + Upto(20), dim = 1 + Upto(140);
  const int64_t num = num_sparse + 1, width = dim + num_sparse * num / 2;
  const std::vector<float> dense = Normals(batch * dim), sparse = Normals(batch * num_sparse * dim);
  const std::vector<float> upstream = Normals(batch * width);
  std::vector<float> out(batch * width, NAN), of_dense(dense.size(), NAN);
  std::vector<float> of_sparse(sparse.size(), NAN);
  OnThreads(threads)(batch, 1, [&](int64_t first, int64_t last) {
    tfrec::PairProducts(dense.data(), sparse.data(), num_sparse, dim, first, last, out.data());
    tfrec::PairGradients(dense.data(), sparse.data(), upstream.data(), num_sparse, dim, first,
                         last, of_dense.data(), of_sparse.data());
  });
  for (int64_t b = 0; b < batch; ++b) {
    auto at = [&](int64_t i, int64_t d) -> double {
      return i == 0 ? dense[b * dim + d] : sparse[(b * num_sparse + i - 1) * dim + d];
    };
    std::vector<double> gradient(num * dim, 0), size(num * dim, 0);
    int64_t next = b * width;
    for (int64_t d = 0; d < dim; ++d, ++next) {
      Check(out[next] == dense[b * dim + d], "the dense vector comes first");
      gradient[d] = upstream[next], size[d] = std::abs(upstream[next]);
    }
    for (int64_t i = 0; i < num; ++i) {
      for (int64_t j = i + 1; j < num; ++j, ++next) {
        double dot = 0, dot_size = 0;
        for (int64_t d = 0; d < dim; ++d) {
          dot += at(i, d) * at(j, d), dot_size += std::abs(at(i, d) * at(j, d));
          for (auto [to, of] : {std::pair(i, j), std::pair(j, i)}) {
            gradient[to * dim + d] += upstream[next] * at(of, d);
            size[to * dim + d] += std::abs(upstream[next] * at(of, d));
          }
        }
        CheckNear(out[next], dot, dim, dot_size, "pair product");
      }
    }
    for (int64_t i = 0; i < num; ++i) {
      for (int64_t d = 0; d < dim; ++d) {
        const float got =
            i == 0 ? of_dense[b * dim + d] : of_sparse[(b * num_sparse + i - 1) * dim + d];
        CheckNear(got, gradient[i * dim + d], num, size[i * dim + d], "pair gradient");
      }
    }
  }
}

int main(int argc, char** argv) {
  const int batches = argc > 1 ? std::atoi(argv[1]) : 200;
  random_bits.seed(argc > 2 ? std::atoi(argv[2]) : 0);
  for (int i = 0; i < batches; ++i) {
    const int64_t threads = 1 + i % 4;
    TestAll<int32_t>(threads);
    TestAll<int64_t>(threads);
    // Rows of 62 bits take the wide keys.
    TestTranspose(RandomBatch<int64_t>(true), threads);
    TestResolve();
    TestPairs(threads);
    TestAdmission(threads);
    TestDistinct<int32_t>(threads);
    TestDistinct<int64_t>(threads);
    if (i % 100 == 0) TestLargePages(1 + i / 100 % 4);
  }
  std::printf("%d batches: all as defined\n", batches);
}
