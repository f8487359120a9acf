// The templates that the operations call, each compiled once: those of updates in updates.cc, all
// others in cores.cc.
#ifndef TFREC_MODELS_NATIVE_CORES_H_
#define TFREC_MODELS_NATIVE_CORES_H_

#include <cstdint>
#include <vector>

#include "Eigen/Core"
#include "bags.h"
#include "id_map.h"
#include "pair_products.h"
#include "pool_bags.h"
#include "resolve_ids.h"
#include "sort_keys.h"
#include "sum_rows.h"
#include "transpose_bags.h"
#include "update_rows.h"

// `prefix` is `extern` for a declaration, nothing where they are compiled.
#define TFREC_CORES_OF(prefix, T, Row)                                                            \
  prefix template void PoolBags(const T*, int64_t, const Bags<Row>&, OptionalArray<const float>,  \
                                bool, int64_t, int64_t, T*);                                      \
  prefix template void WeightGradients(const T*, int64_t, const Bags<Row>&, const T*, int64_t,    \
                                       int64_t, float*)

#define TFREC_CORES_OF_ROWS(prefix, Row)                                                         \
  prefix template struct Bags<Row>;                                                              \
  prefix template class TransposeBags<Row>;                                                      \
  prefix template RowOrder OrderOf(const Row*, int64_t, int64_t);                                \
  prefix template bool AreDistinct(const Row*, int64_t, int64_t, const ParallelFor&);            \
  prefix template int64_t ResolveBags(const Bags<int32_t>&, const std::vector<IdRange>&, bool,   \
                                      int64_t, int64_t, Row*);                                   \
  prefix template int64_t ResolveBags(const Bags<int64_t>&, const std::vector<IdRange>&, bool,   \
                                      int64_t, int64_t, Row*)

#define TFREC_CORES_OF_VECTORS(prefix, T)                                                        \
  prefix template void PairProducts(const T*, const T*, int64_t, int64_t, int64_t, int64_t, T*); \
  prefix template void PairGradients(const T*, const T*, const T*, int64_t, int64_t, int64_t,    \
                                     int64_t, T*, T*)

#define TFREC_CORES_OF_GRADIENTS(prefix, G)                                                      \
  prefix template bool AreValid(const RowGradients<G>&, int64_t, int64_t, int64_t);              \
  prefix template void SumRows(const RowGradients<G>&, int64_t, int64_t, G*)

#define TFREC_CORES(prefix)                                                                      \
  TFREC_CORES_OF(prefix, float, int32_t);                                                        \
  TFREC_CORES_OF(prefix, float, int64_t);                                                        \
  TFREC_CORES_OF(prefix, Eigen::bfloat16, int32_t);                                              \
  TFREC_CORES_OF(prefix, Eigen::bfloat16, int64_t);                                              \
  TFREC_CORES_OF_ROWS(prefix, int32_t);                                                          \
  TFREC_CORES_OF_ROWS(prefix, int64_t);                                                          \
  TFREC_CORES_OF_VECTORS(prefix, float);                                                         \
  TFREC_CORES_OF_VECTORS(prefix, Eigen::bfloat16);                                               \
  TFREC_CORES_OF_GRADIENTS(prefix, float);                                                       \
  TFREC_CORES_OF_GRADIENTS(prefix, Eigen::bfloat16);                                             \
  prefix template void PositionsOf(const IdBatch&, const std::vector<int64_t>&, bool, int64_t,   \
                                   std::vector<int32_t>*);                                       \
  prefix template std::vector<int64_t> AdmitIds(const IdMapTable&, const IdMapArrays&, int32_t,  \
                                                const int64_t*, int64_t, int64_t*)

#define TFREC_UPDATE(prefix, Rule, T, G, Row)                                                   \
  prefix template void UpdateRows<Rule>(const Target<T>&, const Row*, const RowGradients<G>&,   \
                                        const Step&, int64_t, int64_t)

#define TFREC_UPDATES_OF(prefix, Rule)                                   \
  TFREC_UPDATE(prefix, Rule, float, float, int32_t);                     \
  TFREC_UPDATE(prefix, Rule, float, float, int64_t);                     \
  TFREC_UPDATE(prefix, Rule, float, Eigen::bfloat16, int32_t);           \
  TFREC_UPDATE(prefix, Rule, float, Eigen::bfloat16, int64_t);           \
  TFREC_UPDATE(prefix, Rule, Eigen::bfloat16, float, int32_t);           \
  TFREC_UPDATE(prefix, Rule, Eigen::bfloat16, float, int64_t);           \
  TFREC_UPDATE(prefix, Rule, Eigen::bfloat16, Eigen::bfloat16, int32_t); \
  TFREC_UPDATE(prefix, Rule, Eigen::bfloat16, Eigen::bfloat16, int64_t)

#define TFREC_UPDATES(prefix)                   \
  TFREC_UPDATES_OF(prefix, Sgd);                \
  TFREC_UPDATES_OF(prefix, Momentum<false>);    \
  TFREC_UPDATES_OF(prefix, Momentum<true>);     \
  TFREC_UPDATES_OF(prefix, Adagrad);            \
  TFREC_UPDATES_OF(prefix, RowWiseAdagrad);     \
  TFREC_UPDATES_OF(prefix, LazyAdam<false>);    \
  TFREC_UPDATES_OF(prefix, LazyAdam<true>);     \
  TFREC_UPDATES_OF(prefix, Ftrl)

namespace tfrec {

TFREC_CORES(extern);
TFREC_UPDATES(extern);

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_CORES_H_
