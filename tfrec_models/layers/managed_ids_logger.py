"""Callback that logs what tables with managed ids do."""

from typing import Any

import keras

from tfrec_models.embeddings.find_tables import tables_in


class ManagedIdsLogger(keras.callbacks.Callback):
    """Adds the numbers of an epoch's admissions to the logs of `fit`, table by table.

    For a table "t_user" the logs get, of the batches of this epoch:

    - "t_user/hits": ids that had a row, or were given one, each as often as it occurred.
    - "t_user/unknown": ids that had none.
    - "t_user/admitted": ids that were given a row.
    - "t_user/evicted": ids that lost their row.
    - "t_user/occupancy": the share of rows that belong to an id, after the epoch.

    `History`, the progress bar's last line, and `TensorBoard` and `CSVLogger` where they come later
    in the list of callbacks show them.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from tfrec_models import EmbeddingBagCollection, EmbeddingBagConfig, SimpleDeepFMNN
    >>> from tfrec_models.layers import ManagedIdsLogger
    >>> table = EmbeddingBagConfig(100, 4, "t_user", feature_names=["user"], id_policy="managed")
    >>> model = SimpleDeepFMNN(2, EmbeddingBagCollection([table]), 4, 4)
    >>> model.compile(keras.optimizers.SGD(), keras.losses.BinaryCrossentropy())
    >>> inputs = {
    ...     "dense_features": np.zeros((4, 2), "float32"),
    ...     "sparse_features": np.array([[7], [8], [7], [-1]]),
    ... }
    >>> history = model.fit(
    ...     inputs, np.zeros((4, 1)), callbacks=[ManagedIdsLogger()], verbose=0
    ... )
    >>> history.history["t_user/admitted"], history.history["t_user/occupancy"]
    ([3], [0.03])
    """

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes where the tallies stand."""
        self._before = self._tallies()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes what was added to the logs."""
        logs = {} if logs is None else logs
        for table, (counts, occupancy) in self._tallies().items():
            before = self._before.get(table, (dict.fromkeys(counts, 0), 0))[0]
            for name, count in counts.items():
                logs[f"{table}/{name}"] = count - before[name]
            logs[f"{table}/occupancy"] = occupancy

    def _tallies(self):
        return {
            table: tallies
            for layer in tables_in(self.model)
            for stack in layer.table_stacks
            if stack.id_map is not None
            for table, tallies in stack.id_map.tallies().items()
        }
