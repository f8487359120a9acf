// All operations in one unit: TensorFlow's headers take most of the time to compile. What they call
// is compiled beside it, from updates.cc and cores.cc, which need none of them.
#include "pooled_lookup.cc"
#include "row_updates.cc"
#include "resolve_ids.cc"
#include "table_gradients.cc"
#include "id_map.cc"
#include "pair_products.cc"
