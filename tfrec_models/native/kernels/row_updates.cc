// Applies an optimizer's rule to the rows of a table that a batch touches.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "cores.h"
#include "large_pages.h"
#include "op_inputs.h"
#include "row_gradients_input.h"
#include "sort_keys.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"

namespace tfrec {

using tensorflow::OpInputList;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;

REGISTER_OP("TfrecUpdateRows")
    .Input("table: resource")
    .Input("slots: num_slots * resource")
    .Input("rows: Row")
    .Input("starts: num_starts * int32")
    .Input("places: num_starts * int32")
    .Input("scales: num_scales * float")
    .Input("upstream: G")
    .Input("learning_rate: float")
    .Input("decay: float")
    .Attr("T: {float, bfloat16}")
    .Attr("G: {float, bfloat16}")
    .Attr("Row: {int32, int64}")
    .Attr("num_slots: int >= 0")
    .Attr("num_starts: int >= 0")
    .Attr("num_scales: int >= 0")
    .Attr(
        "rule: {'sgd', 'momentum', 'nesterov', 'adagrad', 'row_wise_adagrad', 'lazy_adam', "
        "'amsgrad', 'ftrl'}")
    .Attr("settings: list(float)")
    .Attr("l2: float = 0")
    .SetIsStateful()
    .SetShapeFn(tensorflow::shape_inference::NoOutputs)
    .Doc(R"(
Updates distinct rows of a table and of an optimizer's slots, in place.

slots: (num_rows, dim) float32, for 'row_wise_adagrad' (num_rows,).
rows: (n,), distinct.
starts, places, scales: as TfrecTransposeBags gives them; without them each row's gradient is one
  row of `upstream`.
settings: the rule's constants, in the order that row_rules.h says.
l2: what times the weights is added to the gradient.
decay: what times the weights is taken from these before the rule.
)");

template <typename T, typename Row>
class UpdateRowsOp : public OpKernel {
 public:
  explicit UpdateRowsOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    std::string rule;
    int num_slots;
    OP_REQUIRES_OK(ctx, ctx->GetAttr("rule", &rule));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("settings", &settings_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("num_slots", &num_slots));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("l2", &l2_));
    OP_REQUIRES_OK(ctx, ctx->GetAttr("G", &gradient_dtype_));
    bool fits = false;
    auto use = [&](auto of) {
      using Rule = decltype(of);
      fits = num_slots == Rule::kSlots && settings_.size() == Rule::kSettings;
      slot_rank_ = Rule::kRowWiseSlot ? 1 : 2;
      if (gradient_dtype_ == tensorflow::DT_FLOAT) {
        update_ = &UpdateRowsOp::Update<Rule, float>;
      } else {
        update_ = &UpdateRowsOp::Update<Rule, tensorflow::bfloat16>;
      }
    };
    if (rule == "sgd") use(Sgd());
    if (rule == "momentum") use(Momentum<false>());
    if (rule == "nesterov") use(Momentum<true>());
    if (rule == "adagrad") use(Adagrad());
    if (rule == "row_wise_adagrad") use(RowWiseAdagrad());
    if (rule == "lazy_adam") use(LazyAdam<false>());
    if (rule == "amsgrad") use(LazyAdam<true>());
    if (rule == "ftrl") use(Ftrl());
    OP_REQUIRES(ctx, fits, absl::InvalidArgumentError("Wrong number of slots or settings."));
  }

  void Compute(OpKernelContext* ctx) override {
    OpInputList slots;
    const Tensor* rows;
    OP_REQUIRES_OK(ctx, ctx->input_list("slots", &slots));
    OP_REQUIRES_OK(ctx, ctx->input("rows", &rows));
    // The table, then the slots: the order of the inputs.
    std::vector<tensorflow::core::RefCountPtr<tensorflow::Var>> variables(1 + slots.size());
    for (size_t i = 0; i < variables.size(); ++i) {
      OP_REQUIRES_OK(ctx, LookupVariable(ctx, i, &variables[i]));
    }
    WriteLocks locks(variables);
    Target<T> target = {};
    OP_REQUIRES_OK(ctx, Open(ctx, variables, &target));
    const int64_t num_table_rows = variables[0]->tensor()->dim_size(0);
    OP_REQUIRES_OK(ctx, CheckRows(ctx, *rows, num_table_rows));
    const Tensor *learning_rate, *decay;
    OP_REQUIRES_OK(ctx, ctx->input("learning_rate", &learning_rate));
    OP_REQUIRES_OK(ctx, ctx->input("decay", &decay));
    OP_REQUIRES(ctx, learning_rate->NumElements() == 1 && decay->NumElements() == 1,
                absl::InvalidArgumentError("learning_rate and decay must be scalars."));
    const Step step = {learning_rate->flat<float>()(0), settings_.data(), l2_,
                       decay->flat<float>()(0)};
    OP_REQUIRES_OK(ctx, (this->*update_)(ctx, target, *rows, step));
  }

 private:
  absl::Status Open(OpKernelContext* ctx,
                    const std::vector<tensorflow::core::RefCountPtr<tensorflow::Var>>& variables,
                    Target<T>* target) {
    const Tensor& table = *variables[0]->tensor();
    TF_RETURN_IF_ERROR(CheckVariable(table, tensorflow::DataTypeToEnum<T>::value, 2));
    for (size_t i = 1; i < variables.size(); ++i) {
      const Tensor& slot = *variables[i]->tensor();
      TF_RETURN_IF_ERROR(CheckVariable(slot, tensorflow::DT_FLOAT, slot_rank_));
      if (slot.dim_size(0) != table.dim_size(0) ||
          (slot_rank_ == 2 && slot.dim_size(1) != table.dim_size(1))) {
        return absl::InvalidArgumentError("A slot must have the shape of its table.");
      }
    }
    for (size_t i = 0; i < variables.size(); ++i) {
      TF_RETURN_IF_ERROR(OwnMemory(ctx, variables[i].get()));
      const Tensor& owned = *variables[i]->tensor();
      large_pages_.Move(owned.data(), owned.TotalBytes());
    }
    target->table = variables[0]->tensor()->template flat<T>().data();
    target->dim = variables[0]->tensor()->dim_size(1);
    for (size_t i = 1; i < variables.size(); ++i) {
      target->slots[i - 1] = variables[i]->tensor()->template flat<float>().data();
    }
    return absl::OkStatus();
  }

  // Rows must lie in the table and be distinct: each is written by one thread. Rising rows, as
  // those of a lookup's gradient are, need no more than one comparison each.
  static absl::Status CheckRows(OpKernelContext* ctx, const Tensor& rows, int64_t num_table_rows) {
    const Row* numbers = rows.flat<Row>().data();
    const int64_t count = rows.NumElements();
    const RowOrder order = OrderOf(numbers, count, num_table_rows);
    if (order == kOutside) return RowOutsideTable(num_table_rows);
    if (order == kRising || AreDistinct(numbers, count, ThreadsOf(ctx), ParallelForOf(ctx))) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError("The rows of an update must be distinct.");
  }

  template <typename Rule, typename G>
  absl::Status Update(OpKernelContext* ctx, const Target<T>& target, const Tensor& rows,
                      const Step& step) {
    RowGradients<G> gradients;
    int64_t num_rows;
    TF_RETURN_IF_ERROR(ReadRowGradients(ctx, &gradients, &num_rows));
    if (num_rows != rows.NumElements() || gradients.dim != target.dim) {
      return absl::InvalidArgumentError("The gradient must have a row for each row updated.");
    }
    const Row* numbers = rows.flat<Row>().data();
    const int64_t occurrences = gradients.starts ? gradients.starts[num_rows] : num_rows;
    const int64_t cost =
        (target.dim / 2 + 50) * (1 + occurrences / std::max<int64_t>(num_rows, 1));
    ParallelForOf(ctx)(num_rows, cost, [&](int64_t first, int64_t last) {
      UpdateRows<Rule>(target, numbers, gradients, step, first, last);
    });
    return absl::OkStatus();
  }

  LargePages large_pages_;
  std::vector<float> settings_;
  float l2_;
  tensorflow::DataType gradient_dtype_;
  int slot_rank_;
  absl::Status (UpdateRowsOp::*update_)(OpKernelContext*, const Target<T>&, const Tensor&,
                                        const Step&);
};

#define REGISTER(T, Row)                                      \
  REGISTER_KERNEL_BUILDER(Name("TfrecUpdateRows")             \
                              .Device(tensorflow::DEVICE_CPU) \
                              .TypeConstraint<T>("T")         \
                              .TypeConstraint<Row>("Row"),    \
                          UpdateRowsOp<T, Row>)

REGISTER(float, int32_t);
REGISTER(float, int64_t);
REGISTER(tensorflow::bfloat16, int32_t);
REGISTER(tensorflow::bfloat16, int64_t);
#undef REGISTER

}  // namespace tfrec
