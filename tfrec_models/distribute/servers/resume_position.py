"""Resume position of a parameter-server run."""


def resume_position(position, steps_per_epoch, directory):
    """The position to continue at.

    A run killed after the last step of an epoch continues with the next: an epoch without a step
    has no loss, and a callback would take the 0 of empty metrics for the best of all.

    Args:
        position: dict, that of a checkpoint.
        steps_per_epoch: int, that of this run.
        directory: where the checkpoint is, for the error.

    Returns:
        dict with "epoch", "step" and "stopped", and the number of all "steps" before.

    Raises:
        ValueError: if the position lies beyond the last step of an epoch.
    """
    epoch, step = position["epoch"], position["step"]
    if step > steps_per_epoch:
        raise ValueError(
            f"The run in {directory} was saved after step {step} of an epoch, but "
            f"steps_per_epoch is {steps_per_epoch}. Give the steps_per_epoch that it had, or "
            "another directory."
        )
    # `fit` counts no steps, nor did this library's first checkpoints: their epochs are taken to
    # have been as long as those of this run.
    steps = position.get("steps", epoch * steps_per_epoch + step)
    if step == steps_per_epoch:
        epoch, step = epoch + 1, 0
    return {"epoch": epoch, "step": step, "stopped": position["stopped"], "steps": steps}
