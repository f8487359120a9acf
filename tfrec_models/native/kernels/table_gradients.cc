// The gradient of a pooled lookup: which bags each row is in, and the sums over them.

#include <cstdint>

#include "cores.h"
#include "op_inputs.h"
#include "row_gradients_input.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "transpose_bags.h"

namespace tfrec {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::OpOutputList;
using tensorflow::Tensor;
using tensorflow::shape_inference::InferenceContext;

REGISTER_OP("TfrecTransposeBags")
    .Input("rows: Row")
    .Input("row_splits: num_splits * int64")
    .Input("weights: num_weights * float")
    .Output("rows_touched: Row")
    .Output("starts: int32")
    .Output("places: int32")
    .Output("scales: num_scales * float")
    .Attr("Row: {int32, int64}")
    .Attr("num_splits: int >= 0")
    .Attr("num_weights: int >= 0")
    .Attr("num_scales: int >= 0")
    .Attr("num_features: int >= 1")
    .Attr("mean: bool")
    .SetShapeFn([](InferenceContext* c) {
      for (int i = 0; i < c->num_outputs(); ++i) {
        c->set_output(i, c->Vector(InferenceContext::kUnknownDim));
      }
      return absl::OkStatus();
    })
    .Doc(R"(
The bags of each row, from the rows of each bag: the inputs of a pooled lookup.

rows_touched: (n,), each row that occurs once, rising.
starts: (n + 1,), where each row's occurrences begin in `places` and `scales`.
places: the bag of each occurrence, as a row of the lookup's output.
scales: with weights or mean, what each occurrence multiplies that bag's gradient by.
)");

REGISTER_OP("TfrecSumRows")
    .Input("starts: num_starts * int32")
    .Input("places: num_starts * int32")
    .Input("scales: num_scales * float")
    .Input("upstream: T")
    .Output("sums: T")
    .Attr("T: {float, bfloat16}")
    .Attr("num_starts: int >= 0")
    .Attr("num_scales: int >= 0")
    .SetShapeFn([](InferenceContext* c) {
      tensorflow::shape_inference::ShapeHandle upstream;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(c->num_inputs() - 1), 2, &upstream));
      c->set_output(0, c->Matrix(c->UnknownDim(), c->Dim(upstream, 1)));
      return absl::OkStatus();
    })
    .Doc("A table's gradient: for each touched row the sum over its occurrences, (n, dim).");

template <typename Row>
class TransposeBagsOp : public OpKernel {
 public:
  explicit TransposeBagsOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("num_features", &num_features_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("mean", &mean_));
  }

  void Compute(OpKernelContext* ctx) override {
    Bags<Row> bags;
    OptionalArray<const float> weights;
    OP_REQUIRES_OK(ctx, ReadBags(ctx, num_features_, &bags));
    OP_REQUIRES_OK(ctx, ReadWeights(ctx, bags.num_rows_named, &weights));
    const ParallelFor parallel_for = ParallelForOf(ctx);
    const TransposeBags<Row> transposed(bags, weights, mean_, ThreadsOf(ctx), parallel_for);
    OpOutputList scales;
    OP_REQUIRES_OK(ctx, ctx->output_list("scales", &scales));
    OP_REQUIRES(ctx, scales.size() == (transposed.has_scales() ? 1 : 0),
                absl::InvalidArgumentError("num_scales must be 1 with weights or mean, else 0."));
    Tensor *rows, *starts, *places, *scale = nullptr;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, {transposed.num_rows()}, &rows));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, {transposed.num_rows() + 1}, &starts));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(2, {transposed.num_occurrences()}, &places));
    if (scales.size()) {
      OP_REQUIRES_OK(ctx, scales.allocate(0, {transposed.num_occurrences()}, &scale));
    }
    RowsOut<Row> out = {};
    out.rows = rows->flat<Row>().data();
    out.starts = starts->flat<int32_t>().data();
    out.places = places->flat<int32_t>().data();
    if (scale) out.scales = scale->flat<float>().data();
    transposed.Write(out);
  }

 private:
  int64_t num_features_;
  bool mean_;
};

template <typename T>
class SumRowsOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    RowGradients<T> gradients;
    int64_t num_rows;
    OP_REQUIRES_OK(ctx, ReadRowGradients(ctx, &gradients, &num_rows));
    Tensor* sums;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, {num_rows, gradients.dim}, &sums));
    T* out = sums->flat<T>().data();
    ParallelForOf(ctx)(num_rows, gradients.dim + 50, [&](int64_t first, int64_t last) {
      SumRows(gradients, first, last, out);
    });
  }
};

REGISTER_KERNEL_BUILDER(
    Name("TfrecTransposeBags").Device(tensorflow::DEVICE_CPU).TypeConstraint<int32_t>("Row"),
    TransposeBagsOp<int32_t>);
REGISTER_KERNEL_BUILDER(
    Name("TfrecTransposeBags").Device(tensorflow::DEVICE_CPU).TypeConstraint<int64_t>("Row"),
    TransposeBagsOp<int64_t>);
REGISTER_KERNEL_BUILDER(
    Name("TfrecSumRows").Device(tensorflow::DEVICE_CPU).TypeConstraint<float>("T"),
    SumRowsOp<float>);
REGISTER_KERNEL_BUILDER(
    Name("TfrecSumRows").Device(tensorflow::DEVICE_CPU).TypeConstraint<tensorflow::bfloat16>("T"),
    SumRowsOp<tensorflow::bfloat16>);

}  // namespace tfrec
