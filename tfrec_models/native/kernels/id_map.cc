// Admission of managed ids, all tables of a stack at once.

#include <cstdint>
#include <vector>

#include "id_map.h"
#include "op_inputs.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace tfrec {

using tensorflow::OpInputList;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::shape_inference::InferenceContext;

REGISTER_OP("TfrecAdmitIds")
    .Input("ids: int64")
    .Input("tables: int32")
    .Input("owners: resource")
    .Input("used: resource")
    .Input("filled: resource")
    .Input("reach: resource")
    .Input("tallies: resource")
    .Input("step: resource")
    .Input("uses: num_uses * resource")
    .Input("cells: num_cells * resource")
    .Output("slots: int64")
    .Output("evicted: int64")
    .Attr("num_uses: int >= 0")
    .Attr("num_cells: int >= 0")
    .Attr("num_rows: list(int)")
    .Attr("num_buckets: list(int)")
    .Attr("modulus: list(int)")
    .Attr("admit_after: list(int)")
    .Attr("eviction: list(int)")
    .Attr("ttl: list(int)")
    .Attr("half_cells: list(int)")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(0));
      c->set_output(1, c->Vector(c->UnknownDim()));
      return absl::OkStatus();
    })
    .Doc(R"(
The slots of managed ids, which are counted and given slots; see embeddings/id_map_stock.py.

tables: the table of each id.
owners, used, filled, reach, tallies, step, uses, cells: the variables of `IdMapState`.
num_rows, ...: one for each table, as in `IdMapLayout`.
slots: one for each id; -1 where it has none.
evicted: the slots that were another id's before, each once.
)");

class AdmitIdsOp : public OpKernel {
 public:
  explicit AdmitIdsOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    const char* names[] = {"num_rows", "num_buckets", "modulus",   "admit_after",
                           "eviction", "ttl",         "half_cells"};
    std::vector<std::vector<int64_t>> columns;
    for (const char* name : names) {
      columns.emplace_back();
      OP_REQUIRES_OK(ctx, ctx->GetAttr(name, &columns.back()));
      OP_REQUIRES(ctx, columns.back().size() == columns[0].size(),
                  absl::InvalidArgumentError("There must be as many of each for every table."));
    }
    for (size_t t = 0; t < columns[0].size(); ++t) {
      IdMapTable table = {columns[0][t], columns[1][t], columns[2][t], num_buckets_, columns[3][t],
                          columns[4][t], columns[5][t], columns[6][t], num_cells_};
      num_buckets_ += table.num_buckets;
      num_cells_ += 2 * table.cells;
      tables_.push_back(table);
    }
  }

  void Compute(OpKernelContext* ctx) override {
    const Tensor& ids = ctx->input(0);
    const Tensor& tables = ctx->input(1);
    OP_REQUIRES(ctx, ids.NumElements() == tables.NumElements(),
                absl::InvalidArgumentError("There must be a table for each id."));
    std::vector<tensorflow::core::RefCountPtr<tensorflow::Var>> variables(ctx->num_inputs() - 2);
    for (size_t i = 0; i < variables.size(); ++i) {
      OP_REQUIRES_OK(ctx, LookupVariable(ctx, i + 2, &variables[i]));
    }
    WriteLocks locks(variables);
    IdMapArrays arrays = {};
    int64_t* step = nullptr;
    OP_REQUIRES_OK(ctx, Open(ctx, variables, &arrays, &step));
    const int32_t* table_of = tables.flat<int32_t>().data();
    const int64_t num_tables = tables_.size();
    std::vector<int64_t> first(num_tables + 1, 0);
    for (int64_t i = 0; i < ids.NumElements(); ++i) {
      OP_REQUIRES(ctx, table_of[i] >= 0 && table_of[i] < num_tables,
                  absl::InvalidArgumentError("An id has a table that is not there."));
      ++first[table_of[i] + 1];
    }
    for (int64_t t = 0; t < num_tables; ++t) first[t + 1] += first[t];
    std::vector<int64_t> position(ids.NumElements()), in_order(ids.NumElements());
    std::vector<int64_t> next(first.begin(), first.end() - 1);
    for (int64_t i = 0; i < ids.NumElements(); ++i) {
      const int64_t place = next[table_of[i]]++;
      position[place] = i;
      in_order[place] = ids.flat<int64_t>()(i);
    }
    Tensor* slots;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, ids.shape(), &slots));
    int64_t* out = slots->flat<int64_t>().data();
    const int32_t stamp = static_cast<int32_t>(++*step);
    std::vector<std::vector<int64_t>> evicted(num_tables);
    const int64_t cost = 1 + 60 * ids.NumElements() / std::max<int64_t>(num_tables, 1);
    ParallelForOf(ctx)(num_tables, cost, [&](int64_t from, int64_t to) {
      std::vector<int64_t> found;
      for (int64_t t = from; t < to; ++t) {
        const int64_t count = first[t + 1] - first[t];
        IdMapArrays own = arrays;
        own.tallies += t * kNumTallies;
        Admission admission(tables_[t], own, stamp);
        found.resize(count);
        admission.Run(in_order.data() + first[t], count, found.data());
        for (int64_t i = 0; i < count; ++i) out[position[first[t] + i]] = found[i];
        evicted[t] = admission.evicted();
      }
    });
    int64_t total = 0;
    for (const auto& of_table : evicted) total += of_table.size();
    Tensor* all;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, {total}, &all));
    int64_t* end = all->flat<int64_t>().data();
    for (const auto& of_table : evicted) end = std::copy(of_table.begin(), of_table.end(), end);
  }

 private:
  // Reads the variables in the order of the inputs.
  absl::Status Open(OpKernelContext* ctx,
                    const std::vector<tensorflow::core::RefCountPtr<tensorflow::Var>>& variables,
                    IdMapArrays* arrays, int64_t** step) {
    OpInputList uses, cells;
    TF_RETURN_IF_ERROR(ctx->input_list("uses", &uses));
    TF_RETURN_IF_ERROR(ctx->input_list("cells", &cells));
    size_t next = 0;
    const int64_t slots = num_buckets_ * kBucketRows;
    TF_RETURN_IF_ERROR(Take(ctx, variables[next++].get(), slots, &arrays->ids));
    TF_RETURN_IF_ERROR(Take(ctx, variables[next++].get(), slots, &arrays->used));
    TF_RETURN_IF_ERROR(Take(ctx, variables[next++].get(), num_buckets_, &arrays->filled));
    TF_RETURN_IF_ERROR(Take(ctx, variables[next++].get(), num_buckets_, &arrays->reach));
    const int64_t tallies = tables_.size() * kNumTallies;
    TF_RETURN_IF_ERROR(Take(ctx, variables[next++].get(), tallies, &arrays->tallies));
    TF_RETURN_IF_ERROR(Take(ctx, variables[next++].get(), 1, step));
    if (uses.size()) TF_RETURN_IF_ERROR(Take(ctx, variables[next++].get(), slots, &arrays->uses));
    if (cells.size()) {
      TF_RETURN_IF_ERROR(Take(ctx, variables[next++].get(), num_cells_, &arrays->cells));
    }
    for (const IdMapTable& table : tables_) {
      if ((table.eviction == kLfu && !arrays->uses) || (table.cells && !arrays->cells)) {
        return absl::InvalidArgumentError("A table needs a variable that is not there.");
      }
    }
    return absl::OkStatus();
  }

  template <typename T>
  static absl::Status Take(OpKernelContext* ctx, tensorflow::Var* variable, int64_t size,
                           T** numbers) {
    const Tensor& tensor = *variable->tensor();
    if (tensor.dtype() != tensorflow::DataTypeToEnum<T>::value || tensor.NumElements() != size) {
      return absl::InvalidArgumentError("A variable of an id map has another type or size.");
    }
    TF_RETURN_IF_ERROR(OwnMemory(ctx, variable));
    *numbers = variable->tensor()->template flat<T>().data();
    return absl::OkStatus();
  }

  std::vector<IdMapTable> tables_;
  int64_t num_buckets_ = 0, num_cells_ = 0;
};

REGISTER_KERNEL_BUILDER(Name("TfrecAdmitIds").Device(tensorflow::DEVICE_CPU), AdmitIdsOp);

}  // namespace tfrec
