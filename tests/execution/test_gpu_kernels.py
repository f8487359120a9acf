"""Every operation of a step and of an export has a kernel for GPUs, as far as TensorFlow lists it.

On a GPU the stock operations are the only ones. What the host reads and waits for is printed
(`pytest -rP`).
"""

import keras
import pytest
import tensorflow as tf

from tests.support.gpu_kernels import lists_gpu_kernels, on_gpu
from tests.support.serving import FAMILIES, collection, forms
from tfrec_models import execution, native
from tfrec_models.optimizers import CompositeOptimizer, RowWiseAdagrad
from tfrec_models.serving.signatures import Signatures

pytestmark = pytest.mark.skipif(not lists_gpu_kernels(), reason="TensorFlow without GPU kernels")

BATCH = 4


def check(variables, graphs):
    """Fails on what has no kernel, and prints what is counted, of graphs by name."""
    tables = [variable.value for variable in variables]
    for name, graph in graphs.items():
        found = on_gpu(graph, tables)
        print(f"{name}: {found}")
        assert found.without_kernel == [], name
        assert found.whole_reads == [], name


def specs_of(inputs, labels):
    """The specs of batches of any size."""
    batches = tf.data.Dataset.from_tensors((inputs, tf.zeros((BATCH, labels))))
    return batches.unbatch().batch(BATCH).element_spec


def check_lookups(features, **table):
    """The training step and the lookup of a collection whose tables lie in two variables."""
    ebc, optimizer = collection(**table), RowWiseAdagrad(0.1)
    ebc.build()
    optimizer.build(ebc.table_variables)

    def train(inputs, _):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(ebc(inputs["sparse_features"], training=True).values()))
        variables = [variable.value for variable in ebc.table_variables]
        optimizer.apply(tape.gradient(loss, variables), variables)

    def answer(inputs, _):
        return ebc(inputs["sparse_features"], training=False).values()

    with native.native_disabled():
        check(
            ebc.table_variables,
            {
                function.__name__: tf.function(function)
                .get_concrete_function(*specs_of(features, 1))
                .graph
                for function in (train, answer)
            },
        )


@pytest.mark.parametrize("form", forms(BATCH))
def test_every_input_form(form):
    """Lookups, gradients and updates of tables."""
    check_lookups(forms(BATCH)[form])


def test_every_id_policy():
    """The same with ids outside their table; the map of managed ids is kept on the host."""
    for id_policy in ("clip", "hash", "oov", "drop"):
        check_lookups(forms(BATCH)["packed"], id_policy=id_policy)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family):
    """A step of training and of `predict`; of one family the signatures of an export."""
    model = FAMILIES[family]()
    model.compile(
        CompositeOptimizer(RowWiseAdagrad(0.1), keras.optimizers.SGD(0.1)),
        keras.losses.BinaryCrossentropy(from_logits=model.gives_logits),
    )
    tables = model.embedding_bag_collection
    specs = specs_of(forms(BATCH, tables.is_weighted)["ragged"], model.num_outputs)
    model.build_before_trace(specs)
    with native.native_disabled():
        graphs = {
            "fit": tf.function(model.train_step).get_concrete_function(specs).graph,
            "predict": tf.function(model.predict_step).get_concrete_function(specs[:1]).graph,
        }
    if tables.is_weighted:
        with execution.portable():
            # Graphs hold what they read weakly.
            signatures = Signatures(model, padding_value=-1)
            traced = signatures.trace()
        # Serialized examples are text, of which a GPU has none.
        del traced["serving_examples"]
        graphs.update({name: function.graph for name, function in traced.items()})
    check(tables.table_variables, graphs)
