"""Resuming `fit` at the position of a checkpoint."""

import keras

from tfrec_models.distribute.epoch_data import skip


class Resume(keras.callbacks.Callback):
    """Takes `fit` to the position of a checkpoint, then writes checkpoints.

    The last of all callbacks, so that it saves what the others have done.
    """

    def __init__(self, data, position, checkpoint, save_every, is_chief):
        super().__init__()
        self._data = data
        self._position = position
        self._checkpoint = checkpoint
        self._save_every = save_every
        self._is_chief = is_chief
        self._epoch = None
        self._fast_forward = None

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._data.begin(epoch)
        if epoch == self._position["epoch"] and self._position["step"]:
            self._fast_forward = FastForward(self.model, self._position["step"])

    def on_train_batch_end(self, batch, logs=None):
        if self._fast_forward is not None:
            if self._fast_forward.left == 0:
                self._fast_forward = None
                # What other callbacks did to the rate in this epoch was done before the checkpoint
                # already.
                self._checkpoint.restore()
            return
        before = batch + 1 - self.model.steps_per_execution
        if self._save_every and (batch + 1) // self._save_every > before // self._save_every:
            self._save(self._epoch, batch + 1)

    def on_epoch_end(self, epoch, logs=None):
        if self._fast_forward is not None:
            raise ValueError(
                f"The epoch ended {self._fast_forward.left} batches before the step at which the "
                "run was interrupted. Give fit the dataset that it was given before."
            )
        self._save(epoch + 1, 0)

    def end(self):
        """Restores the model's train function, whatever happened."""
        if self._fast_forward is not None:
            self._fast_forward.end()

    def _save(self, epoch, step):
        if self._is_chief:
            stopped = bool(self.model.stop_training)
            position = {**self._position, "epoch": epoch, "step": step, "stopped": stopped}
            self._checkpoint.save(position)


class FastForward:
    """A train function that reads batches without training on them."""

    def __init__(self, model, steps):
        self.left = steps
        self._model = model
        self._train_function = model.train_function
        if steps % model.steps_per_execution:
            raise ValueError(
                f"The run was saved after step {steps} of an epoch, which is no multiple of "
                f"steps_per_execution={model.steps_per_execution}. Compile as it was before."
            )
        model.train_function = self

    def __call__(self, iterator):
        steps = self._model.steps_per_execution
        skip(iterator, steps)
        self.left -= steps
        if self.left == 0:
            self.end()
        return {}

    def end(self):
        self._model.train_function = self._train_function
