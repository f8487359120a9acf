// An array that may be absent.
#ifndef TFREC_MODELS_NATIVE_OPTIONAL_ARRAY_H_
#define TFREC_MODELS_NATIVE_OPTIONAL_ARRAY_H_

#include <cstdint>

namespace tfrec {

// An array, or none. An empty array is present: its pointer may be null, as that of TensorFlow's
// empty tensors is, so the pointer does not distinguish the two.
template <typename T>
class OptionalArray {
 public:
  OptionalArray() = default;
  explicit OptionalArray(T* data) : data_(data), is_present_(true) {}

  explicit operator bool() const { return is_present_; }
  T& operator[](int64_t i) const { return data_[i]; }
  T* data() const { return data_; }

 private:
  T* data_ = nullptr;
  bool is_present_ = false;
};

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_OPTIONAL_ARRAY_H_
