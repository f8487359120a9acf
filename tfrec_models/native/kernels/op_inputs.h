// What the operations share: threads, the bags among their inputs, and access to variables.
#ifndef TFREC_MODELS_NATIVE_OP_INPUTS_H_
#define TFREC_MODELS_NATIVE_OP_INPUTS_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bags.h"
#include "optional_array.h"
#include "parallel.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/resource_mgr.h"
#include "tensorflow/core/framework/resource_var.h"
#include "tensorflow/core/util/work_sharder.h"

namespace tfrec {

inline int64_t ThreadsOf(tensorflow::OpKernelContext* ctx) {
  return ctx->device()->tensorflow_cpu_worker_threads()->num_threads;
}

// The only input of a list that has one or none.
template <typename T>
OptionalArray<const T> ArrayOf(const tensorflow::OpInputList& list) {
  if (list.size() == 0) return OptionalArray<const T>();
  return OptionalArray<const T>(list[0].flat<T>().data());
}

inline ParallelFor ParallelForOf(tensorflow::OpKernelContext* ctx) {
  const auto* threads = ctx->device()->tensorflow_cpu_worker_threads();
  return [threads](int64_t items, int64_t cost, const Work& work) {
    tensorflow::Shard(threads->num_threads, threads->workers, items, cost, work);
  };
}

// Reads the inputs `rows` and `row_splits` (a list of one or none) of an operation.
template <typename Row>
absl::Status ReadBags(tensorflow::OpKernelContext* ctx, int64_t num_features, Bags<Row>* bags) {
  const tensorflow::Tensor* rows;
  TF_RETURN_IF_ERROR(ctx->input("rows", &rows));
  tensorflow::OpInputList splits;
  TF_RETURN_IF_ERROR(ctx->input_list("row_splits", &splits));
  bags->rows = rows->flat<Row>().data();
  bags->num_rows_named = rows->NumElements();
  bags->splits = ArrayOf<int64_t>(splits);
  bags->num_bags = splits.size() ? splits[0].NumElements() - 1 : bags->num_rows_named;
  bags->num_features = num_features;
  constexpr int64_t kLimit = std::numeric_limits<int32_t>::max();
  if (bags->num_rows_named >= kLimit || bags->num_bags >= kLimit) {
    return absl::InvalidArgumentError("A batch must have fewer than 2**31 - 1 ids and bags.");
  }
  if (bags->num_bags < 0 || !bags->IsValid()) {
    return absl::InvalidArgumentError(
        "row_splits must rise from 0 to the number of rows, for as many bags of each feature.");
  }
  return absl::OkStatus();
}

// Reads the input `weights`, a list of one or none.
inline absl::Status ReadWeights(tensorflow::OpKernelContext* ctx, int64_t num_rows_named,
                                OptionalArray<const float>* weights) {
  tensorflow::OpInputList list;
  TF_RETURN_IF_ERROR(ctx->input_list("weights", &list));
  if (list.size() && list[0].NumElements() != num_rows_named) {
    return absl::InvalidArgumentError("There must be as many weights as rows.");
  }
  *weights = ArrayOf<float>(list);
  return absl::OkStatus();
}

inline absl::Status RowOutsideTable(int64_t num_rows) {
  return absl::InvalidArgumentError(
      absl::StrCat("A row is outside the table, whose rows run from 0 to ", num_rows - 1, "."));
}

// A variable looked up, with its type and rank checked. Hold its lock before touching `tensor`.
inline absl::Status LookupVariable(tensorflow::OpKernelContext* ctx, int input,
                                   tensorflow::core::RefCountPtr<tensorflow::Var>* variable) {
  return LookupResource(ctx, HandleFromInput(ctx, input), variable);
}

inline absl::Status CheckVariable(const tensorflow::Tensor& tensor, tensorflow::DataType dtype,
                                  int rank) {
  if (tensor.dtype() != dtype || tensor.dims() != rank) {
    return absl::InvalidArgumentError(absl::StrCat(
        "Expected a variable of ", tensorflow::DataTypeString(dtype), " and rank ", rank,
        ", received ", tensorflow::DataTypeString(tensor.dtype()), " of shape ",
        tensor.shape().DebugString(), "."));
  }
  return absl::OkStatus();
}

// Makes a variable's memory its own, so that its rows can be written in place: a tensor that
// somebody has read from it must not change. Dense reads from here on copy, as after any scatter.
// The caller holds the variable's lock alone.
inline absl::Status OwnMemory(tensorflow::OpKernelContext* ctx, tensorflow::Var* variable) {
  tensorflow::Tensor* tensor = variable->tensor();
  if (!tensor->RefCountIsOne()) {
    tensorflow::Tensor copy;
    TF_RETURN_IF_ERROR(ctx->allocate_temp(tensor->dtype(), tensor->shape(), &copy));
    // An empty tensor has no memory to copy from.
    if (tensor->TotalBytes()) std::memcpy(copy.data(), tensor->data(), tensor->TotalBytes());
    *tensor = copy;
  }
  variable->copy_on_read_mode.store(true);
  return absl::OkStatus();
}

// Locks several variables for writing, always in the same order.
class WriteLocks {
 public:
  explicit WriteLocks(const std::vector<tensorflow::core::RefCountPtr<tensorflow::Var>>& vars) {
    std::vector<decltype(vars[0]->mu())> mutexes;
    for (const auto& variable : vars) mutexes.push_back(variable->mu());
    std::sort(mutexes.begin(), mutexes.end());
    mutexes.erase(std::unique(mutexes.begin(), mutexes.end()), mutexes.end());
    for (auto* mutex : mutexes) {
      locks_.push_back(std::make_unique<tensorflow::mutex_lock>(*mutex));
    }
  }

 private:
  std::vector<std::unique_ptr<tensorflow::mutex_lock>> locks_;
};

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_OP_INPUTS_H_
