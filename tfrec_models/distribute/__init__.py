"""Training across devices and machines, with exact resume after a kill."""

from tfrec_models.distribute.checkpoint import TrainingCheckpoint, training_variables
from tfrec_models.distribute.cluster import multi_worker_strategy
from tfrec_models.distribute.fit import fit
from tfrec_models.distribute.servers.fit_on_servers import fit_on_servers
from tfrec_models.distribute.servers.server_cluster import run_server, server_strategy

__all__ = [
    "TrainingCheckpoint",
    "fit",
    "fit_on_servers",
    "multi_worker_strategy",
    "run_server",
    "server_strategy",
    "training_variables",
]
