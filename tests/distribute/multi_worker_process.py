"""What one of two workers does for test_multi_worker.py; not a test by itself.

One pair of processes does it all: starting one is most of the time.
"""

import pathlib
import sys

from tests.distribute import interrupted_run
from tfrec_models import distribute


def main(directory):
    strategy = distribute.multi_worker_strategy(timeout_seconds=180)
    # TensorFlow must not have made a tensor before the strategy is there.
    import numpy as np

    from tests.support.data import as_form, dataset_with_repeated_ids
    from tests.support.training import trained
    from tfrec_models import xla_disabled

    found = {}
    with xla_disabled():
        for optimizer, form in PAIRS.items():
            model = trained(as_form(form, dataset_with_repeated_ids(8)), optimizer, strategy)
            uneven = as_form(form, dataset_with_repeated_ids(9))
            found[f"{form}/predicted"] = model.predict(uneven, verbose=0)
            found[f"{form}/loss"] = model.evaluate(uneven, verbose=0)[0]
            for number, variable in enumerate(model.weights):
                found[f"{optimizer}/{number}"] = variable.numpy()
            if form == "kjt":
                found["native"] = native_operations(strategy, model, uneven)
        managed = trained_on_managed_ids(strategy)
        found |= {f"managed/{number}": v.numpy() for number, v in enumerate(managed.weights)}
    rank = strategy.cluster_resolver.task_id
    np.savez(f"{directory}/found_{rank}.npz", **found)

    interrupted_run.train(strategy, f"{directory}/whole", f"{directory}/whole.npz")
    try:
        # The chief alone sees the checkpoints.
        interrupted_run.train(strategy, f"{directory}/{['whole', 'unseen'][rank]}", "")
    except ValueError as error:
        pathlib.Path(directory, f"refused_{rank}").write_text(str(error))
    # The chief dies while it saves; what happens to the other is the test.
    kill_at_save = 3 if rank == 0 else None
    interrupted_run.train(strategy, f"{directory}/killed", f"{directory}/lost.npz", kill_at_save)


def trained_on_managed_ids(strategy=None):
    """A model whose tables have fewer rows than there are ids, after twenty steps."""
    from tests.support.data import dataset
    from tests.support.models import make_dlrm
    from tests.support.training import trained

    tables = {"num_embeddings": 6, "id_policy": "managed"}
    return trained(dataset(8), "adagrad", strategy, make=lambda: make_dlrm(**tables))


def native_operations(strategy, model, batches):
    """The native kernels in a training step of this process, as it is traced."""
    import tensorflow as tf

    iterator = iter(strategy.experimental_distribute_dataset(batches))
    step = tf.function(lambda: strategy.run(model.train_step, args=(next(iterator),)))
    graph = step.get_concrete_function().graph.as_graph_def()
    inside = [node for function in graph.library.function for node in function.node_def]
    names = {node.op for node in [*graph.node, *inside]}
    return sorted(name for name in names if name.startswith("Tfrec"))


# Each optimizer is trained with features in another form.
PAIRS = {"sgd": "dict", "adagrad": "kjt", "row_wise": "packed", "lazy_adam": "ids"}

if __name__ == "__main__":
    main(sys.argv[1])
