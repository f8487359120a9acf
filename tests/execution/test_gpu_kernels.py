"""Every operation of a step and of an export has a kernel for GPUs, as far as TensorFlow lists it.

On a GPU the stock operations are the only ones. What the host reads and waits for is printed
(`pytest -rP`).
"""

import keras
import pytest
import tensorflow as tf

from tests.support.gpu_kernels import lists_gpu_kernels, on_gpu
from tests.support.serving import DENSE, DIM, FAMILIES, collection, forms
from tfrec_models import DLRM, execution, native
from tfrec_models.optimizers import CompositeOptimizer, RowWiseAdagrad
from tfrec_models.serving.signatures import Signatures

pytestmark = pytest.mark.skipif(not lists_gpu_kernels(), reason="TensorFlow without GPU kernels")

BATCH = 4


def dlrm(**table):
    return DLRM(collection(**table), DENSE, [DIM], [1])


def check(model, graphs):
    """Fails on what has no kernel, and prints what is counted, of graphs by name."""
    tables = [variable.value for variable in model.embedding_bag_collection.table_variables]
    for name, graph in graphs.items():
        found = on_gpu(graph, tables)
        print(f"{name}: {found}")
        assert found.without_kernel == [], name
        assert found.whole_reads == [], name


def steps(model, form, names=("fit", "predict")):
    """The graphs of steps for batches of any size in one form, which are not run."""
    model.compile(
        CompositeOptimizer(RowWiseAdagrad(0.1), keras.optimizers.SGD(0.1)),
        keras.losses.BinaryCrossentropy(from_logits=model.gives_logits),
    )
    inputs = forms(BATCH, model.embedding_bag_collection.is_weighted)[form]
    batches = tf.data.Dataset.from_tensors((inputs, tf.zeros((BATCH, model.num_outputs))))
    specs = batches.unbatch().batch(BATCH).element_spec
    model.build_before_trace(specs)
    functions = {"fit": (model.train_step, specs), "predict": (model.predict_step, specs[:1])}
    with native.native_disabled():
        return {
            f"{name}, {form}": tf.function(functions[name][0])
            .get_concrete_function(functions[name][1])
            .graph
            for name in names
        }


@pytest.mark.parametrize("form", forms(BATCH))
def test_every_input_form(form):
    """Steps of a DLRM whose tables lie in two variables."""
    model = dlrm()
    check(model, steps(model, form))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family):
    """A training step, and every signature of an export."""
    model = FAMILIES[family]()
    check(model, steps(model, "ragged", ["fit"]))
    with execution.portable():
        signatures = Signatures(model, padding_value=-1)
        traced = signatures.trace()
    check(model, {name: function.graph for name, function in traced.items()})


@pytest.mark.parametrize("id_policy", ["clip", "hash", "oov", "drop", "managed"])
def test_every_id_policy(id_policy):
    """A training step with ids outside their table."""
    model = dlrm(id_policy=id_policy)
    check(model, steps(model, "packed", ["fit"]))
