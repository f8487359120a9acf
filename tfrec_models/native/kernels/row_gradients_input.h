// Reads a table's gradient from an operation's inputs.
#ifndef TFREC_MODELS_NATIVE_ROW_GRADIENTS_INPUT_H_
#define TFREC_MODELS_NATIVE_ROW_GRADIENTS_INPUT_H_

#include "op_inputs.h"
#include "sum_rows.h"

namespace tfrec {

// The inputs `starts`, `places`, `scales` and `upstream`, checked so that nothing outside them is
// ever read. Without starts there are no places: each row's gradient is a row of `upstream`.
template <typename G>
absl::Status ReadRowGradients(const tensorflow::Tensor& upstream, const tensorflow::Tensor* starts,
                              const tensorflow::Tensor* places, const tensorflow::Tensor* scales,
                              RowGradients<G>* gradients, int64_t* num_rows) {
  if (upstream.dims() != 2) return absl::InvalidArgumentError("upstream must be a matrix.");
  *gradients = {nullptr, nullptr, nullptr, upstream.flat<G>().data(), upstream.dim_size(1)};
  *num_rows = upstream.dim_size(0);
  if (!starts) return absl::OkStatus();
  const int64_t occurrences = places->NumElements();
  *num_rows = starts->NumElements() - 1;
  gradients->starts = starts->flat<int32_t>().data();
  gradients->places = places->flat<int32_t>().data();
  if (scales) gradients->scales = scales->flat<float>().data();
  bool fine = *num_rows >= 0 && gradients->starts[0] == 0 &&
              gradients->starts[*num_rows] == occurrences &&
              (!scales || scales->NumElements() == occurrences);
  for (int64_t k = 0; k < *num_rows; ++k) fine &= gradients->starts[k] < gradients->starts[k + 1];
  const uint32_t most = static_cast<uint32_t>(upstream.dim_size(0));
  for (int64_t i = 0; i < occurrences; ++i) {
    fine &= static_cast<uint32_t>(gradients->places[i]) < most;
  }
  if (!fine) {
    return absl::InvalidArgumentError("starts, places and scales must be those of the upstream.");
  }
  return absl::OkStatus();
}

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_ROW_GRADIENTS_INPUT_H_
