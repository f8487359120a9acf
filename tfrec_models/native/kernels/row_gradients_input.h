// Reads a table's gradient from an operation's inputs.
#ifndef TFREC_MODELS_NATIVE_ROW_GRADIENTS_INPUT_H_
#define TFREC_MODELS_NATIVE_ROW_GRADIENTS_INPUT_H_

#include <cstdint>

#include "cores.h"
#include "op_inputs.h"

namespace tfrec {

// Reads the inputs `starts`, `places`, `scales` (lists of one or none) and `upstream`, checked so
// that nothing outside them is ever read. Without starts there are no places: each row's gradient
// is a row of `upstream`.
template <typename G>
absl::Status ReadRowGradients(tensorflow::OpKernelContext* ctx, RowGradients<G>* gradients,
                              int64_t* num_rows) {
  tensorflow::OpInputList starts, places, scales;
  const tensorflow::Tensor* upstream;
  TF_RETURN_IF_ERROR(ctx->input_list("starts", &starts));
  TF_RETURN_IF_ERROR(ctx->input_list("places", &places));
  TF_RETURN_IF_ERROR(ctx->input_list("scales", &scales));
  TF_RETURN_IF_ERROR(ctx->input("upstream", &upstream));
  if (upstream->dims() != 2) return absl::InvalidArgumentError("upstream must be a matrix.");
  gradients->starts = ArrayOf<int32_t>(starts);
  gradients->places = ArrayOf<int32_t>(places);
  gradients->scales = ArrayOf<float>(scales);
  gradients->upstream = upstream->flat<G>().data();
  gradients->dim = upstream->dim_size(1);
  *num_rows = upstream->dim_size(0);
  if (!gradients->starts) {
    if (scales.size() == 0) return absl::OkStatus();
    return absl::InvalidArgumentError("scales must come with starts and places.");
  }
  const int64_t occurrences = places[0].NumElements();
  *num_rows = starts[0].NumElements() - 1;
  if ((scales.size() && scales[0].NumElements() != occurrences) ||
      !AreValid(*gradients, *num_rows, occurrences, upstream->dim_size(0))) {
    return absl::InvalidArgumentError("starts, places and scales must be those of the upstream.");
  }
  return absl::OkStatus();
}

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_ROW_GRADIENTS_INPUT_H_
