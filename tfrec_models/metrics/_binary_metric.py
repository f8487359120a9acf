"""Base class of metrics of one score and one label an example."""

import keras
import tensorflow as tf

from tfrec_models._checks.arguments import check_positive


class BinaryMetric(keras.metrics.Metric):
    """Base of metrics over labels of 0 and 1: arguments, configuration and replicas.

    Args:
        from_logits: bool, whether scores are logits instead of probabilities.
        window: int, or None for all examples since the last reset.
        name: str.
        dtype: dtype of the result.
    """

    # Whether the states of workers who add to them in any order may be added up.
    adds_up = True

    def __init__(self, from_logits=False, window=None, name=None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        if not isinstance(from_logits, bool):
            raise TypeError(f"from_logits must be a bool, received {from_logits!r}.")
        if window is not None:
            check_positive("window", window)
        self.from_logits = from_logits
        self.window = window
        strategy = tf.distribute.get_strategy()
        on_servers = isinstance(strategy, tf.distribute.experimental.ParameterServerStrategy)
        if on_servers and (window is not None or not self.adds_up):
            raise ValueError(
                f"{type(self).__name__}{'' if window is None else ' with a window'} does not work "
                "under ParameterServerStrategy, whose workers add to its states in no fixed "
                "order. Compute it from predictions, with tfrec_models.metrics.auc for example."
            )
        self.num_replicas = strategy.num_replicas_in_sync

    def get_config(self):
        return {**super().get_config(), "from_logits": self.from_logits, "window": self.window}

    def merge_state(self, metrics):
        """Adds the states of other metrics of this class to this one's.

        Args:
            metrics: list of metrics of this class, with equal arguments and without a window.

        Raises:
            ValueError: if one has another class or other arguments, or a window.
        """
        mine = {**self.get_config(), "name": None}
        for other in metrics:
            if type(other) is not type(self) or {**other.get_config(), "name": None} != mine:
                raise ValueError(
                    f"merge_state takes metrics of this class and with these arguments, {self!r} "
                    f"with {mine}; received {other!r} with {other.get_config()}."
                )
            if self.window is not None:
                raise ValueError(
                    f"Windows cannot be merged: {self!r} does not know which of its examples "
                    "are newer than those of another. Merge metrics with window=None."
                )
            self.add_state_of(other)

    def add_state_of(self, other):
        """Adds the state of one metric."""
        for variable, added in zip(self.variables, other.variables, strict=True):
            variable.assign(variable + tf.convert_to_tensor(added))
