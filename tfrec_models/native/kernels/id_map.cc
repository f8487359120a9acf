// Admission of managed ids, all tables of a stack at once.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "cores.h"
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
    .Input("owners: resource")
    .Input("used: resource")
    .Input("filled: resource")
    .Input("reach: resource")
    .Input("tallies: resource")
    .Input("step: resource")
    .Input("uses: num_uses * resource")
    .Input("cells: num_cells * resource")
    .Input("row_splits: num_splits * int64")
    .Input("tables: num_tables * int32")
    .Output("rows: int64")
    .Output("evicted: int64")
    .Attr("num_uses: int >= 0")
    .Attr("num_cells: int >= 0")
    .Attr("num_splits: int >= 0")
    .Attr("num_tables: int >= 0")
    .Attr("by_example: bool")
    .Attr("column_tables: list(int)")
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
The rows of managed ids, which are counted and given rows; see embeddings/id_map_stock.py.

ids: of all columns, laid out as a `BagBatch`, or of any where `tables` are given.
row_splits: where each bag ends, unless each is one id.
tables: one tensor or none, the table of each id.
column_tables: the table of each column; -1 where its ids are not managed.
owners, used, filled, reach, tallies, step, uses, cells: the variables of `IdMapState`.
num_rows, ...: one for each table, as in `IdMapLayout`.
rows: one for each id, within its table; -1 where it has none, the id itself where it is not managed.
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
    OP_REQUIRES_OK(ctx, ctx->GetAttr("by_example", &by_example_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("column_tables", &column_tables_));
    for (const int64_t table : column_tables_) {
      OP_REQUIRES(ctx, table >= -1 && table < static_cast<int64_t>(columns[0].size()),
                  absl::InvalidArgumentError("A column has a table that is not there."));
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
    OpInputList splits, tables, uses, cells;
    OP_REQUIRES_OK(ctx, ctx->input_list("row_splits", &splits));
    OP_REQUIRES_OK(ctx, ctx->input_list("tables", &tables));
    OP_REQUIRES_OK(ctx, ctx->input_list("uses", &uses));
    OP_REQUIRES_OK(ctx, ctx->input_list("cells", &cells));
    std::vector<tensorflow::core::RefCountPtr<tensorflow::Var>> variables(6 + uses.size() +
                                                                          cells.size());
    for (size_t i = 0; i < variables.size(); ++i) {
      OP_REQUIRES_OK(ctx, LookupVariable(ctx, i + 1, &variables[i]));
    }
    WriteLocks locks(variables);
    IdMapArrays arrays = {};
    int64_t* step = nullptr;
    OP_REQUIRES_OK(ctx, Open(ctx, variables, uses.size(), cells.size(), &arrays, &step));
    IdBatch batch;
    OP_REQUIRES_OK(ctx, Read(ids, splits, tables, &batch));
    Tensor* rows;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, ids.shape(), &rows));
    int64_t* out = rows->flat<int64_t>().data();
    const int32_t stamp = static_cast<int32_t>(++*step);
    const int64_t num_tables = tables_.size();
    std::vector<std::vector<int64_t>> evicted(num_tables);
    const int64_t cost = 1 + 60 * ids.NumElements() / std::max<int64_t>(num_tables, 1);
    // One item more for the ids that are not managed.
    ParallelForOf(ctx)(num_tables + 1, cost, [&](int64_t from, int64_t to) {
      std::vector<int32_t> positions;
      std::vector<int64_t> own_ids, slots;
      for (int64_t t = from; t < to; ++t) {
        const int64_t table = t < num_tables ? t : -1;
        positions.clear();
        PositionsOf(batch, column_tables_, by_example_, table, &positions);
        if (table < 0) {
          for (const int32_t at : positions) out[at] = batch.ids[at];
          continue;
        }
        own_ids.resize(positions.size());
        slots.resize(positions.size());
        for (size_t i = 0; i < positions.size(); ++i) own_ids[i] = batch.ids[positions[i]];
        IdMapArrays own = arrays;
        own.tallies += t * kNumTallies;
        evicted[t] =
            AdmitIds(tables_[t], own, stamp, own_ids.data(), own_ids.size(), slots.data());
        const int64_t first_slot = tables_[t].first_bucket * kBucketRows;
        for (size_t i = 0; i < positions.size(); ++i) {
          out[positions[i]] = slots[i] == kNoSlot ? -1 : slots[i] - first_slot;
        }
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
  absl::Status Read(const Tensor& ids, const OpInputList& splits, const OpInputList& tables,
                    IdBatch* batch) const {
    batch->ids = ids.flat<int64_t>().data();
    batch->num_ids = batch->num_bags = ids.NumElements();
    if (batch->num_ids > std::numeric_limits<int32_t>::max()) {
      return absl::InvalidArgumentError("A batch must have fewer than 2**31 ids.");
    }
    if (tables.size()) {
      batch->tables = tables[0].flat<int32_t>().data();
      if (tables[0].NumElements() != batch->num_ids) {
        return absl::InvalidArgumentError("There must be a table for each id.");
      }
      return absl::OkStatus();
    }
    if (splits.size()) {
      batch->splits = splits[0].flat<int64_t>().data();
      batch->num_bags = splits[0].NumElements() - 1;
      bool rises = batch->num_bags >= 0 && batch->splits[0] == 0 &&
                   batch->splits[batch->num_bags] == batch->num_ids;
      for (int64_t bag = 0; rises && bag < batch->num_bags; ++bag) {
        rises = batch->splits[bag] <= batch->splits[bag + 1];
      }
      if (!rises) {
        return absl::InvalidArgumentError("row_splits must rise from 0 to the number of ids.");
      }
    }
    if (column_tables_.empty() || batch->num_bags % column_tables_.size()) {
      return absl::InvalidArgumentError("There must be as many bags of each column.");
    }
    return absl::OkStatus();
  }

  // Reads the variables in the order of the inputs.
  absl::Status Open(OpKernelContext* ctx,
                    const std::vector<tensorflow::core::RefCountPtr<tensorflow::Var>>& variables,
                    bool has_uses, bool has_cells, IdMapArrays* arrays, int64_t** step) {
    size_t next = 0;
    const int64_t slots = num_buckets_ * kBucketRows;
    TF_RETURN_IF_ERROR(Take(ctx, variables[next++].get(), slots, &arrays->ids));
    TF_RETURN_IF_ERROR(Take(ctx, variables[next++].get(), slots, &arrays->used));
    TF_RETURN_IF_ERROR(Take(ctx, variables[next++].get(), num_buckets_, &arrays->filled));
    TF_RETURN_IF_ERROR(Take(ctx, variables[next++].get(), num_buckets_, &arrays->reach));
    const int64_t tallies = tables_.size() * kNumTallies;
    TF_RETURN_IF_ERROR(Take(ctx, variables[next++].get(), tallies, &arrays->tallies));
    TF_RETURN_IF_ERROR(Take(ctx, variables[next++].get(), 1, step));
    if (has_uses) TF_RETURN_IF_ERROR(Take(ctx, variables[next++].get(), slots, &arrays->uses));
    if (has_cells) {
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

  bool by_example_;
  std::vector<int64_t> column_tables_;
  std::vector<IdMapTable> tables_;
  int64_t num_buckets_ = 0, num_cells_ = 0;
};

REGISTER_KERNEL_BUILDER(Name("TfrecAdmitIds").Device(tensorflow::DEVICE_CPU), AdmitIdsOp);

}  // namespace tfrec
