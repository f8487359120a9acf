// Looks up and pools the rows of bags, straight from a variable's memory.

#include <cstdint>
#include <memory>

#include "cores.h"
#include "op_inputs.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace tfrec {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

REGISTER_OP("TfrecPooledLookup")
    .Input("table: resource")
    .Input("rows: Row")
    .Input("row_splits: num_splits * int64")
    .Input("weights: num_weights * float")
    .Output("pooled: T")
    .Attr("T: {float, bfloat16}")
    .Attr("Row: {int32, int64}")
    .Attr("num_splits: int >= 0")
    .Attr("num_weights: int >= 0")
    .Attr("num_features: int >= 1")
    .Attr("mean: bool")
    .SetIsStateful()
    .SetShapeFn([](InferenceContext* c) {
      DimensionHandle dim = c->UnknownDim();
      const auto* handle = c->input_handle_shapes_and_types(0);
      if (handle && !handle->empty() && c->RankKnown((*handle)[0].shape)) {
        ShapeHandle table;
        TF_RETURN_IF_ERROR(c->WithRank((*handle)[0].shape, 2, &table));
        dim = c->Dim(table, 1);
      }
      c->set_output(0, c->Matrix(c->UnknownDim(), dim));
      return absl::OkStatus();
    })
    .Doc(R"(
Pools the rows of each bag. Negative rows are left out; an empty bag gives zeros.

row_splits: one tensor (num_bags + 1,), or none where every row is a bag of its own.
num_features: if not 1, the bags come feature by feature and go out example by example.
pooled: (num_bags, dim).
)");

REGISTER_OP("TfrecWeightGradients")
    .Input("table: resource")
    .Input("rows: Row")
    .Input("row_splits: num_splits * int64")
    .Input("upstream: T")
    .Output("gradients: float")
    .Attr("T: {float, bfloat16}")
    .Attr("Row: {int32, int64}")
    .Attr("num_splits: int >= 0")
    .Attr("num_features: int >= 1")
    .SetIsStateful()
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(1));
      return absl::OkStatus();
    })
    .Doc("The gradient of a pooled lookup's weights, one for each of `rows`.");

// What reading a table takes: the variable under a shared lock for as long as this lives. Taking
// the lock instead of a reference to the tensor spares a later update a copy of the table.
template <typename T, typename Row>
class ReadTable {
 public:
  absl::Status Open(OpKernelContext* ctx, const Bags<Row>& bags) {
    TF_RETURN_IF_ERROR(LookupVariable(ctx, 0, &variable_));
    lock_ = std::make_unique<tensorflow::tf_shared_lock>(*variable_->mu());
    const Tensor& tensor = *variable_->tensor();
    TF_RETURN_IF_ERROR(CheckVariable(tensor, tensorflow::DataTypeToEnum<T>::value, 2));
    if (!bags.RowsInRange(tensor.dim_size(0))) return RowOutsideTable(tensor.dim_size(0));
    data = tensor.flat<T>().data();
    dim = tensor.dim_size(1);
    return absl::OkStatus();
  }

  const T* data;
  int64_t dim;

 private:
  // In this order, so that the lock goes before the variable does.
  tensorflow::core::RefCountPtr<tensorflow::Var> variable_;
  std::unique_ptr<tensorflow::tf_shared_lock> lock_;
};

// Roughly the nanoseconds that a bag takes.
template <typename Row>
int64_t CostOfBag(const Bags<Row>& bags, int64_t dim) {
  return (bags.num_rows_named / std::max<int64_t>(bags.num_bags, 1) + 1) * (dim / 4 + 20);
}

template <typename T, typename Row>
class PooledLookupOp : public OpKernel {
 public:
  explicit PooledLookupOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("num_features", &num_features_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("mean", &mean_));
  }

  void Compute(OpKernelContext* ctx) override {
    Bags<Row> bags;
    OptionalArray<const float> weights;
    ReadTable<T, Row> table;
    OP_REQUIRES_OK(ctx, ReadBags(ctx, num_features_, &bags));
    OP_REQUIRES_OK(ctx, ReadWeights(ctx, bags.num_rows_named, &weights));
    OP_REQUIRES_OK(ctx, table.Open(ctx, bags));
    Tensor* pooled;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, {bags.num_bags, table.dim}, &pooled));
    T* out = pooled->flat<T>().data();
    ParallelForOf(ctx)(bags.num_bags, CostOfBag(bags, table.dim),
                       [&](int64_t first, int64_t last) {
                         PoolBags(table.data, table.dim, bags, weights, mean_, first, last, out);
                       });
  }

 private:
  int64_t num_features_;
  bool mean_;
};

template <typename T, typename Row>
class WeightGradientsOp : public OpKernel {
 public:
  explicit WeightGradientsOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("num_features", &num_features_));
  }

  void Compute(OpKernelContext* ctx) override {
    Bags<Row> bags;
    ReadTable<T, Row> table;
    OP_REQUIRES_OK(ctx, ReadBags(ctx, num_features_, &bags));
    OP_REQUIRES_OK(ctx, table.Open(ctx, bags));
    const Tensor* upstream;
    OP_REQUIRES_OK(ctx, ctx->input("upstream", &upstream));
    OP_REQUIRES(ctx, upstream->NumElements() == bags.num_bags * table.dim,
                absl::InvalidArgumentError("upstream must have a row for each bag."));
    Tensor* gradients;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, {bags.num_rows_named}, &gradients));
    const T* from = upstream->flat<T>().data();
    float* out = gradients->flat<float>().data();
    ParallelForOf(ctx)(bags.num_bags, CostOfBag(bags, table.dim),
                       [&](int64_t first, int64_t last) {
                         WeightGradients(table.data, table.dim, bags, from, first, last, out);
                       });
  }

 private:
  int64_t num_features_;
};

#define REGISTER(T, Row)                                                       \
  REGISTER_KERNEL_BUILDER(Name("TfrecPooledLookup")                            \
                              .Device(tensorflow::DEVICE_CPU)                  \
                              .TypeConstraint<T>("T")                          \
                              .TypeConstraint<Row>("Row"),                     \
                          PooledLookupOp<T, Row>);                             \
  REGISTER_KERNEL_BUILDER(Name("TfrecWeightGradients")                         \
                              .Device(tensorflow::DEVICE_CPU)                  \
                              .TypeConstraint<T>("T")                          \
                              .TypeConstraint<Row>("Row"),                     \
                          WeightGradientsOp<T, Row>)

REGISTER(float, int32_t);
REGISTER(float, int64_t);
REGISTER(tensorflow::bfloat16, int32_t);
REGISTER(tensorflow::bfloat16, int64_t);
#undef REGISTER

}  // namespace tfrec
