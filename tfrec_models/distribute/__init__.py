"""Training across devices and machines, and surviving a kill."""

from tfrec_models.distribute.checkpoint import TrainingCheckpoint, training_variables
from tfrec_models.distribute.cluster import multi_worker_strategy
from tfrec_models.distribute.fit import fit

__all__ = ["TrainingCheckpoint", "fit", "multi_worker_strategy", "training_variables"]
