"""Training across devices and machines, and surviving a kill."""

from tfrec_models.distribute.checkpoint import TrainingCheckpoint, training_variables

__all__ = ["TrainingCheckpoint", "training_variables"]
