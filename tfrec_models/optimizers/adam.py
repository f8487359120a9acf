"""Adam that walks the whole of a table at every step."""

import keras
import tensorflow as tf

from tfrec_models.optimizers.base_row_optimizer import working_dtype
from tfrec_models.optimizers.lazy_adam import LazyAdam


@keras.saving.register_keras_serializable("tfrec_models")
class Adam(LazyAdam):
    """Adam of all rows of a table: that of PyTorch's and Keras's dense gradients.

    Take it to repeat results that were published with a dense Adam, on tables of some thousand
    rows. Rows without a gradient move too: their moments decay, and with `l2` they shrink, so that
    rows which are rarely looked up stay near zero. A step costs what the table is large, where one
    of `LazyAdam` costs what the batch is large. `keras.optimizers.Adam` squares the gradients of an
    id that occurs twice one by one; here they are added first.

    With `g` the sum of a row's gradients in the batch, 0 for a row that is not in it, and `t` the
    number of the step, from 1:

    ```
    g += l2 * w
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g ** 2
    w -= learning_rate * sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t) * m / (sqrt(v) + epsilon)
    ```

    Paper: [Kingma and Ba, 2014](https://arxiv.org/abs/1412.6980).

    Args:
        learning_rate: float, a `keras.optimizers.schedules.LearningRateSchedule` or a callable.
        beta_1: float, decay of the first moment.
        beta_2: float, decay of the second moment.
        epsilon: float, added after the square root, as in `LazyAdam`.
        amsgrad: bool, divide by the largest second moment so far.
        check_finite: bool, raise before updating if a gradient is not finite.
        **kwargs: `l2` and the arguments of every Keras optimizer, as in `RowWiseAdagrad`.

    Raises:
        ValueError: As `RowWiseAdagrad`.

    Example:

    >>> import tensorflow as tf
    >>> from tfrec_models.optimizers import Adam
    >>> table = tf.Variable(tf.ones((3, 2)))
    >>> repeated = tf.IndexedSlices(tf.ones((2, 2)), [1, 1], [3, 2])
    >>> _ = Adam(learning_rate=0.25, l2=0.5).apply_gradients([(repeated, table)])
    >>> table.numpy().round(4).tolist()
    [[0.75, 0.75], [0.75, 0.75], [0.75, 0.75]]
    """

    def update_sparse(self, gradient, variable, learning_rate):
        """Applies a sparse gradient as the dense one it stands for."""
        self.reset_reused(variable, gradient.indices)
        values = tf.cast(gradient.values, working_dtype(variable))
        dense = tf.math.unsorted_segment_sum(values, gradient.indices, variable.shape[0])
        self.update_rows(None, dense, variable, learning_rate)
