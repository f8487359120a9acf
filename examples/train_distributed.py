"""Trains DLRM on one device, several devices, several machines or parameter servers.

One script for all: start it in the same way on every machine, with the same flags. What is
trained on follows from TF_CONFIG and the devices that are there, or from --strategy:

  one           one device. The default where TF_CONFIG is not set and there is at most one GPU.
  mirrored      all GPUs of this machine, each with a copy of the model (MirroredStrategy). The
                default where there are several. --cpu-devices 2 shows it on a machine without.
  host          as mirrored, but with one copy of the variables, in the host's memory, for tables
                too large for one GPU: each step reads the rows of its batch and the dense weights
                from there (CentralStorageStrategy). Never the default. Keras's metrics are wrong
                under it, and its Dropout fails; weights and predictions are right.
  multi-worker  all machines in TF_CONFIG's "worker" list, each with copies of the model
                (MultiWorkerMirroredStrategy). The default where TF_CONFIG has no "ps" list.
  servers       tables in pieces on the machines of TF_CONFIG's "ps" list, for tables larger than
                one machine (ParameterServerStrategy). The default where TF_CONFIG has one.

The same script resumes: it writes checkpoints to --checkpoints, and started again after a kill,
a crash or a reboot it continues at the step of the last one and ends with the same weights. With
several machines all must see that directory, and all are started again; those that survived have
ended by themselves with an error a few seconds after the other died.

On two machines, 10.0.0.1 and 10.0.0.2, sharing /mnt/run:

  TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]},
              "task": {"type": "worker", "index": 0}}' \\
      python examples/train_distributed.py --checkpoints /mnt/run/checkpoints

and on the second the same with "index": 1.

With parameter servers every process has the same TF_CONFIG cluster, {"chief": [...], "worker":
[...], "ps": [...]}, and its own task. Workers and servers serve until they are killed. A worker
that died is started again by itself; if a server dies, all are started again.

The data is the generated click log of train_dlrm.py, whose best reachable AUC is known. Batches
are global: --batch-size is divided among all replicas.
"""

import argparse
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras  # noqa: E402, the line above must come first
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig  # noqa: E402
from tfrec_models.datasets import INT_FEATURE_COUNT, ClickLog  # noqa: E402
from tfrec_models.distribute import (  # noqa: E402
    TrainingCheckpoint,
    fit,
    fit_on_servers,
    multi_worker_strategy,
    run_server,
    server_strategy,
    training_variables,
)
from tfrec_models.metrics import auc  # noqa: E402
from tfrec_models.optimizers import CompositeOptimizer, LazyAdam  # noqa: E402

EMBEDDING_DIM = 16
LEARNING_RATE = 0.006
STRATEGIES = ("one", "mirrored", "host", "multi-worker", "servers")


def main():
    options = parse_arguments()
    if options.cpu_devices:
        split_cpu(options.cpu_devices)
    name = options.strategy or chosen_strategy()
    print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}, strategy: {name}", flush=True)
    if name == "servers":
        train_on_servers(options)
    else:
        train_mirrored(options, make_strategy(name, options), shows_metrics=name != "host")


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--checkpoints",
        required=True,
        metavar="DIRECTORY",
        help="where checkpoints are written and looked for; one directory for each run, seen by "
        "all machines",
    )
    parser.add_argument("--strategy", choices=STRATEGIES, help="default: as described above")
    parser.add_argument(
        "--cpu-devices",
        type=int,
        metavar="N",
        help="split the CPU into N devices, to try 'mirrored' and 'host' without GPUs",
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=300,
        metavar="SECONDS",
        help="how long to wait for the other machines at the start (default: %(default)s)",
    )
    parser.add_argument("--epochs", type=int, default=2, help="in all (default: %(default)s)")
    parser.add_argument(
        "--batch-size",
        type=int,
        default=1024,
        help="examples a step, over all replicas (default: %(default)s)",
    )
    parser.add_argument(
        "--save-every",
        type=int,
        default=100,
        metavar="STEPS",
        help="steps between checkpoints (default: %(default)s); a kill costs at most so many, "
        "which are done again",
    )
    parser.add_argument(
        "--train-rows",
        type=int,
        default=400_000,
        metavar="ROWS",
        help="training rows of the generated log (default: %(default)s)",
    )
    parser.add_argument(
        "--output", metavar="PATH", help="save the trained model there; must end in .keras"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of weights and data (default: %(default)s)"
    )
    options = parser.parse_args()
    for name in ("epochs", "batch_size", "save_every", "train_rows"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    if options.output and not options.output.endswith(".keras"):
        parser.error(f"--output must end in .keras, not {options.output!r}")
    return options


def chosen_strategy():
    cluster = json.loads(os.environ.get("TF_CONFIG", "{}")).get("cluster", {})
    if "ps" in cluster:
        return "servers"
    if cluster:
        return "multi-worker"
    return "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 else "one"


def make_strategy(name, options):
    """The strategy comes first: TensorFlow wants to know its cluster before any tensor."""
    if name == "multi-worker":
        return multi_worker_strategy(timeout_seconds=options.wait)
    cpus = [device.name for device in tf.config.list_logical_devices("CPU")]
    devices = cpus if options.cpu_devices else None
    if name == "mirrored":
        return tf.distribute.MirroredStrategy(devices)
    if name == "host":
        return tf.distribute.experimental.CentralStorageStrategy(devices, "CPU:0")
    return tf.distribute.get_strategy()


def split_cpu(devices):
    (cpu,) = tf.config.list_physical_devices("CPU")
    configuration = [tf.config.LogicalDeviceConfiguration()] * devices
    tf.config.set_logical_device_configuration(cpu, configuration)


def train_mirrored(options, strategy, shows_metrics):
    keras.utils.set_random_seed(options.seed)
    log = ClickLog(num_train=options.train_rows, seed=options.seed)
    is_chief = strategy.extended.should_checkpoint
    with strategy.scope():
        model = make_model(log.table_sizes)
        compile_model(model)
    fit(
        model,
        log.dataset("train", options.batch_size),
        options.checkpoints,
        epochs=options.epochs,
        save_every=options.save_every,
        validation_data=log.dataset("validation", options.batch_size) if shows_metrics else None,
        # One line an epoch, on the chief alone.
        verbose=2 if is_chief and shows_metrics else 0,
    )
    # Every worker takes part in predict, and each gets all predictions, in order.
    logits = model.predict(log.dataset("test", options.batch_size), verbose=0)
    if is_chief:
        report(log, model, logits, options)


def train_on_servers(options):
    """Serves if TF_CONFIG says "ps" or "worker"; the chief trains, for tables of any size."""
    if json.loads(os.environ.get("TF_CONFIG", "{}")).get("task", {}).get("type") != "chief":
        run_server()
    cut = tf.distribute.experimental.partitioners.MinSizePartitioner(256 << 10, max_shards=16)
    strategy = server_strategy(cut, timeout_seconds=options.wait)
    keras.utils.set_random_seed(options.seed)
    log = ClickLog(num_train=options.train_rows, seed=options.seed)
    # Workers read files: the generator of the click log is Python, which only runs here.
    data = os.path.join(options.checkpoints, "data")
    log.dataset("train", options.batch_size).save(data)
    with strategy.scope():
        model = make_model(log.table_sizes)
        compile_model(model)
    fit_on_servers(
        model,
        lambda: tf.data.Dataset.load(data).shuffle(100),
        epochs=options.epochs,
        steps_per_epoch=-(-options.train_rows // options.batch_size),
        validation_dataset_fn=lambda: log.dataset("validation", options.batch_size),
        checkpoint_directory=options.checkpoints,
        save_every=options.save_every,
        verbose=2,
    )
    # The checkpoint is one machine's too. Where the tables do not fit into one, evaluate above.
    alone = make_model(log.table_sizes)
    alone.build()
    compile_model(alone)
    TrainingCheckpoint(training_variables(alone), options.checkpoints).restore()
    logits = alone.predict(log.dataset("test", options.batch_size), verbose=0)
    report(log, alone, logits, options)


def make_model(table_sizes):
    tables = [
        EmbeddingBagConfig(
            name=f"t_{feature}",
            num_embeddings=size,
            embedding_dim=EMBEDDING_DIM,
            feature_names=[feature],
        )
        for feature, size in table_sizes.items()
    ]
    return DLRM(
        embedding_bag_collection=EmbeddingBagCollection(tables=tables),
        dense_in_features=INT_FEATURE_COUNT,
        dense_arch_layer_sizes=[64, EMBEDDING_DIM],
        over_arch_layer_sizes=[64, 32, 1],
    )


def compile_model(model):
    model.compile(
        CompositeOptimizer(LazyAdam(LEARNING_RATE), keras.optimizers.Adam(LEARNING_RATE)),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.AUC(from_logits=True, name="auc")],
    )


def report(log, model, logits, options):
    labels = log.labels("test")
    reached = auc(labels, logits[:, 0].astype(np.float64))
    print(f"Held-out rows: {len(labels):,}, predictions: {len(logits):,}")
    print(f"  AUC of DLRM         {reached:.4f}")
    print(f"  best reachable AUC  {auc(labels, log.probabilities('test')):.4f}")
    if options.output:
        model.save(options.output)
        print(f"Model: {options.output}")


if __name__ == "__main__":
    main()
