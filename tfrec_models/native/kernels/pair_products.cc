// DLRM's interaction of a training step: dot products of all pairs of vectors.

#include <cstdint>

#include "cores.h"
#include "op_inputs.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace tfrec {

using tensorflow::OpKernel;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::shape_inference::InferenceContext;

REGISTER_OP("TfrecPairProducts")
    .Input("dense: T")
    .Input("sparse: T")
    .Output("products: T")
    .Attr("T: {float, bfloat16}")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->Matrix(InferenceContext::kUnknownDim, InferenceContext::kUnknownDim));
      return absl::OkStatus();
    })
    .Doc(R"(
The dense vectors, then the dot products of every two of dense and sparse vectors, row by row.

dense: (batch, dim).
sparse: (batch, num_sparse, dim).
products: (batch, dim + num_sparse * (num_sparse + 1) / 2).
)");

REGISTER_OP("TfrecPairProductsGradient")
    .Input("dense: T")
    .Input("sparse: T")
    .Input("upstream: T")
    .Output("dense_gradient: T")
    .Output("sparse_gradient: T")
    .Attr("T: {float, bfloat16}")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(0));
      c->set_output(1, c->input(1));
      return absl::OkStatus();
    })
    .Doc("The gradients of the inputs of TfrecPairProducts.");

// The vectors among an operation's inputs, checked.
template <typename T>
struct PairInputs {
  const Tensor *dense, *sparse;
  int64_t batch, num_sparse, dim;

  absl::Status Read(OpKernelContext* ctx) {
    TF_RETURN_IF_ERROR(ctx->input("dense", &dense));
    TF_RETURN_IF_ERROR(ctx->input("sparse", &sparse));
    if (dense->dims() != 2 || sparse->dims() != 3 || dense->dim_size(0) != sparse->dim_size(0) ||
        dense->dim_size(1) != sparse->dim_size(2)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "Expected dense (batch, dim) and sparse (batch, num_sparse, dim), received shapes ",
          dense->shape().DebugString(), " and ", sparse->shape().DebugString(), "."));
    }
    batch = dense->dim_size(0), dim = dense->dim_size(1), num_sparse = sparse->dim_size(1);
    return absl::OkStatus();
  }

  int64_t width() const { return dim + num_sparse * (num_sparse + 1) / 2; }
  // Roughly the nanoseconds of an example.
  int64_t cost() const { return (num_sparse + 1) * (num_sparse + 1) * (dim / 8 + 4) / 2 + 100; }
};

template <typename T>
class PairProductsOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    PairInputs<T> in;
    OP_REQUIRES_OK(ctx, in.Read(ctx));
    Tensor* products;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, {in.batch, in.width()}, &products));
    const T* dense = in.dense->template flat<T>().data();
    const T* sparse = in.sparse->template flat<T>().data();
    T* out = products->flat<T>().data();
    ParallelForOf(ctx)(in.batch, in.cost(), [&](int64_t first, int64_t last) {
      PairProducts(dense, sparse, in.num_sparse, in.dim, first, last, out);
    });
  }
};

template <typename T>
class PairProductsGradientOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    PairInputs<T> in;
    OP_REQUIRES_OK(ctx, in.Read(ctx));
    const Tensor* upstream;
    OP_REQUIRES_OK(ctx, ctx->input("upstream", &upstream));
    OP_REQUIRES(ctx, upstream->NumElements() == in.batch * in.width(),
                absl::InvalidArgumentError("upstream must have the shape of the products."));
    Tensor *dense_gradient, *sparse_gradient;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, in.dense->shape(), &dense_gradient));
    OP_REQUIRES_OK(ctx, ctx->allocate_output(1, in.sparse->shape(), &sparse_gradient));
    const T* dense = in.dense->template flat<T>().data();
    const T* sparse = in.sparse->template flat<T>().data();
    const T* given = upstream->flat<T>().data();
    T* dense_out = dense_gradient->flat<T>().data();
    T* sparse_out = sparse_gradient->flat<T>().data();
    ParallelForOf(ctx)(in.batch, 2 * in.cost(), [&](int64_t first, int64_t last) {
      PairGradients(dense, sparse, given, in.num_sparse, in.dim, first, last, dense_out,
                    sparse_out);
    });
  }
};

#define REGISTER(T)                                                                          \
  REGISTER_KERNEL_BUILDER(                                                                   \
      Name("TfrecPairProducts").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"),       \
      PairProductsOp<T>);                                                                    \
  REGISTER_KERNEL_BUILDER(                                                                   \
      Name("TfrecPairProductsGradient").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"), \
      PairProductsGradientOp<T>)

REGISTER(float);
REGISTER(tensorflow::bfloat16);
#undef REGISTER

}  // namespace tfrec
