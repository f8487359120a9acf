// Id policies for all bags of a lookup in one pass.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "cores.h"
#include "op_inputs.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace tfrec {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::shape_inference::InferenceContext;

REGISTER_OP("TfrecResolveIds")
    .Input("ids: Id")
    .Input("row_splits: int64")
    .Output("rows: Row")
    .Output("refused: int64")
    .Attr("Id: {int32, int64}")
    .Attr("Row: {int32, int64}")
    .Attr("by_example: bool")
    .Attr("num_ids: list(int)")
    .Attr("first_rows: list(int)")
    .Attr("policies: list({'error', 'clip', 'hash', 'oov', 'drop'})")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(0));
      c->set_output(1, c->Scalar());
      return absl::OkStatus();
    })
    .Doc(R"(
The rows of ids: each table's id policy applied, and shifted to where the table lies.

row_splits: (num_bags + 1,), of bags example by example, or feature by feature.
num_ids, first_rows, policies: one for each feature, its table's.
rows: one for each id; -1 where it is dropped.
refused: the position of the first id that a table with the "error" policy refuses, or -1.
)");

template <typename Id, typename Row>
class ResolveIdsOp : public OpKernel {
 public:
  explicit ResolveIdsOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    std::vector<int64_t> num_ids, first_rows;
    std::vector<std::string> policies;
    OP_REQUIRES_OK(ctx, ctx->GetAttr("by_example", &by_example_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("num_ids", &num_ids));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("first_rows", &first_rows));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("policies", &policies));
    OP_REQUIRES(ctx,
                !num_ids.empty() && num_ids.size() == first_rows.size() &&
                    num_ids.size() == policies.size(),
                absl::InvalidArgumentError("There must be a table for each feature."));
    for (size_t i = 0; i < num_ids.size(); ++i) {
      OP_REQUIRES(ctx,
                  num_ids[i] > 0 && first_rows[i] >= 0 &&
                      PolicyNamed(policies[i]) != kNumPolicies,
                  absl::InvalidArgumentError("A table must have rows and a policy."));
      ranges_.push_back({num_ids[i], first_rows[i], PolicyNamed(policies[i])});
    }
  }

  void Compute(OpKernelContext* ctx) override {
    const Tensor& ids = ctx->input(0);
    const Tensor& row_splits = ctx->input(1);
    const int64_t features = ranges_.size();
    Bags<Id> bags;
    bags.rows = ids.flat<Id>().data();
    bags.num_rows_named = ids.NumElements();
    bags.splits = OptionalArray<const int64_t>(row_splits.flat<int64_t>().data());
    bags.num_bags = row_splits.NumElements() - 1;
    bags.num_features = features;
    OP_REQUIRES(ctx, bags.num_bags >= 0 && bags.IsValid(),
                absl::InvalidArgumentError("row_splits must rise from 0 to the number of ids, for "
                                           "as many bags of each feature."));
    Tensor *rows, *refused;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, ids.shape(), &rows));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, {}, &refused));
    Row* out = rows->flat<Row>().data();
    constexpr int64_t kNone = std::numeric_limits<int64_t>::max();
    std::atomic<int64_t> least(kNone);
    const int64_t cost = 4 + 2 * bags.num_rows_named / std::max<int64_t>(bags.num_bags, 1);
    ParallelForOf(ctx)(bags.num_bags, cost, [&](int64_t first, int64_t last) {
      const int64_t at = ResolveBags(bags, ranges_, by_example_, first, last, out);
      const int64_t first_refused = at < 0 ? kNone : at;
      int64_t known = least.load();
      while (first_refused < known && !least.compare_exchange_weak(known, first_refused)) {
      }
    });
    refused->scalar<int64_t>()() = least.load() == kNone ? -1 : least.load();
  }

 private:
  bool by_example_;
  std::vector<IdRange> ranges_;
};

#define REGISTER(Id, Row)                                     \
  REGISTER_KERNEL_BUILDER(Name("TfrecResolveIds")              \
                              .Device(tensorflow::DEVICE_CPU) \
                              .TypeConstraint<Id>("Id")       \
                              .TypeConstraint<Row>("Row"),    \
                          ResolveIdsOp<Id, Row>)

REGISTER(int32_t, int32_t);
REGISTER(int32_t, int64_t);
REGISTER(int64_t, int32_t);
REGISTER(int64_t, int64_t);
#undef REGISTER

}  // namespace tfrec
