// The optimizers' formulas for one row. Each is that of the Python class of the same name, whose
// documentation has it in symbols.
#ifndef TFREC_MODELS_NATIVE_ROW_RULES_H_
#define TFREC_MODELS_NATIVE_ROW_RULES_H_

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace tfrec {

// What a rule is given: the learning rate of the step, and the constants it names `settings`. Before
// it, `l2` times the weights is added to the gradient, and `decay` times the weights taken from them.
struct Step {
  float learning_rate;
  const float* settings;
  float l2 = 0, decay = 0;
};

constexpr int kMaxSlots = 3;

// Of each rule: how many slots it has, how many settings, and whether a slot has one number a
// row. `slots[s]` points at the row's part of slot s; `g` is its summed gradient.
struct Sgd {
  static constexpr int kSlots = 0, kSettings = 0;
  static constexpr bool kRowWiseSlot = false;
  template <typename T>
  static void Apply(const Step& step, const float* __restrict g, int64_t dim, T* __restrict w,
                    float* const*) {
    const float rate = step.learning_rate;
    for (int64_t d = 0; d < dim; ++d) w[d] = static_cast<T>(static_cast<float>(w[d]) - rate * g[d]);
  }
};

template <bool kNesterov>
struct Momentum {
  static constexpr int kSlots = 1, kSettings = 1;
  static constexpr bool kRowWiseSlot = false;
  template <typename T>
  static void Apply(const Step& step, const float* __restrict g, int64_t dim, T* __restrict w,
                    float* const* slots) {
    const float rate = step.learning_rate, momentum = step.settings[0];
    float* __restrict velocity = slots[0];
    for (int64_t d = 0; d < dim; ++d) {
      velocity[d] = momentum * velocity[d] - rate * g[d];
      const float ahead = kNesterov ? momentum * velocity[d] - rate * g[d] : velocity[d];
      w[d] = static_cast<T>(static_cast<float>(w[d]) + ahead);
    }
  }
};

struct Adagrad {
  static constexpr int kSlots = 1, kSettings = 1;
  static constexpr bool kRowWiseSlot = false;
  template <typename T>
  static void Apply(const Step& step, const float* __restrict g, int64_t dim, T* __restrict w,
                    float* const* slots) {
    const float rate = step.learning_rate, epsilon = step.settings[0];
    float* __restrict sum = slots[0];
    for (int64_t d = 0; d < dim; ++d) {
      sum[d] += g[d] * g[d];
      w[d] = static_cast<T>(static_cast<float>(w[d]) - rate * g[d] / (std::sqrt(sum[d]) + epsilon));
    }
  }
};

// Always in the same sixteen sums, so that the compiler may use wide registers and the result
// does not depend on which.
inline float SumOfSquares(const float* g, int64_t dim) {
  constexpr int kLanes = 16;
  float sums[kLanes] = {};
  int64_t d = 0;
  for (; d + kLanes <= dim; d += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) sums[lane] += g[d + lane] * g[d + lane];
  }
  for (int lane = 0; d < dim; ++d, ++lane) sums[lane] += g[d] * g[d];
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
  }
  return sums[0];
}

struct RowWiseAdagrad {
  static constexpr int kSlots = 1, kSettings = 1;
  static constexpr bool kRowWiseSlot = true;
  template <typename T>
  static void Apply(const Step& step, const float* __restrict g, int64_t dim, T* __restrict w,
                    float* const* slots) {
    const float epsilon = step.settings[0];
    float* sum = slots[0];
    *sum += SumOfSquares(g, dim) / static_cast<float>(dim);
    const float rate = step.learning_rate / (std::sqrt(*sum) + epsilon);
    for (int64_t d = 0; d < dim; ++d) w[d] = static_cast<T>(static_cast<float>(w[d]) - rate * g[d]);
  }
};

// Settings: 1 - beta_1, 1 - beta_2, epsilon; the learning rate has the bias correction in it.
template <bool kAmsgrad>
struct LazyAdam {
  static constexpr int kSlots = kAmsgrad ? 3 : 2, kSettings = 3;
  static constexpr bool kRowWiseSlot = false;
  template <typename T>
  static void Apply(const Step& step, const float* __restrict g, int64_t dim, T* __restrict w,
                    float* const* slots) {
    const float rate = step.learning_rate;
    const float first_share = step.settings[0], second_share = step.settings[1];
    const float epsilon = step.settings[2];
    float* __restrict first = slots[0];
    float* __restrict second = slots[1];
    float* __restrict largest = kAmsgrad ? slots[2] : nullptr;
    for (int64_t d = 0; d < dim; ++d) {
      first[d] += (g[d] - first[d]) * first_share;
      second[d] += (g[d] * g[d] - second[d]) * second_share;
      float below = second[d];
      if (kAmsgrad) below = largest[d] = std::max(second[d], largest[d]);  // Keeps NaN.
      w[d] = static_cast<T>(static_cast<float>(w[d]) -
                            rate * first[d] / (std::sqrt(below) + epsilon));
    }
  }
};

// With the usual power of one half. Settings: l1, l2, beta, l2 shrinkage.
struct Ftrl {
  static constexpr int kSlots = 2, kSettings = 4;
  static constexpr bool kRowWiseSlot = false;
  template <typename T>
  static void Apply(const Step& step, const float* __restrict g, int64_t dim, T* __restrict w,
                    float* const* slots) {
    const float rate = step.learning_rate, l1 = step.settings[0];
    if (rate == 0) return;  // The formula divides by it.
    const float l2 = 2 * (step.settings[1] + step.settings[2] / (2 * rate));
    const float shrinkage = 2 * step.settings[3];
    float* __restrict sum = slots[0];
    float* __restrict linear = slots[1];
    for (int64_t d = 0; d < dim; ++d) {
      const float weight = static_cast<float>(w[d]);
      const float grown = sum[d] + g[d] * g[d];
      const float scale = std::sqrt(grown) / rate;
      const float growth = scale - std::sqrt(sum[d]) / rate;
      linear[d] += g[d] + shrinkage * weight - growth * weight;
      sum[d] = grown;
      const float clipped = std::min(std::max(linear[d], -l1), l1);
      // Nothing holds an element without curvature: it never had a gradient, and stays.
      if (scale + l2 != 0) w[d] = static_cast<T>((clipped - linear[d]) / (scale + l2));
    }
  }
};

}  // namespace tfrec

#endif  // TFREC_MODELS_NATIVE_ROW_RULES_H_
