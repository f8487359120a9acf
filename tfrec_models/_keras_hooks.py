"""The few private parts of Keras this package relies on, all in one place.

Tested on Keras 3.12.4 and 3.15.1.
"""

from keras.src import tree


def register_tree_node(cls):
    """Lets Keras flatten instances of `cls` (which has tree_flatten and tree_unflatten)."""
    tree.register_tree_node_class(cls)
    return cls
