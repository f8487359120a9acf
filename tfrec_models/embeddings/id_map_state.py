"""The variables of an id map, read and written element by element.

Through their handles, which under MirroredStrategy are those of the replica that asks: each replica
keeps its copy, and all make the same changes.
"""

import tensorflow as tf

from tfrec_models.embeddings.id_map_layout import BUCKET_ROWS


class Elements:
    """The elements of a variable of shape `(n,)`.

    Args:
        variable: `tf.Variable`.
    """

    def __init__(self, variable):
        self.variable = variable

    def get(self, numbers):
        """Returns the elements of these numbers."""
        return tf.gather(self.variable, numbers)

    def put(self, numbers, values):
        """Writes elements."""
        tf.raw_ops.ResourceScatterUpdate(
            resource=self.variable.handle, indices=numbers, updates=values
        )

    def add(self, numbers, values):
        """Adds to elements, as often as they are named."""
        tf.raw_ops.ResourceScatterAdd(
            resource=self.variable.handle, indices=numbers, updates=values
        )

    def raise_to(self, numbers, values):
        """Writes values that are larger than what is there."""
        tf.raw_ops.ResourceScatterMax(
            resource=self.variable.handle, indices=numbers, updates=values
        )


class Slots:
    """A variable of shape `(buckets, BUCKET_ROWS)`, with a number for each slot.

    Args:
        variable: `tf.Variable`.
    """

    def __init__(self, variable):
        self.variable = variable

    def of_buckets(self, buckets):
        """Returns those of all slots of some buckets, `(n, BUCKET_ROWS)`."""
        return tf.gather(self.variable, buckets)

    def get(self, slots):
        """Returns those of some slots."""
        return tf.gather_nd(self.variable, _places(slots))

    def put(self, slots, values):
        """Writes those of some slots."""
        tf.raw_ops.ResourceScatterNdUpdate(
            ref=self.variable.handle, indices=_places(slots), updates=values
        )

    def add(self, slots, values):
        """Adds to those of some slots, as often as they are named."""
        tf.raw_ops.ResourceScatterNdAdd(
            ref=self.variable.handle, indices=_places(slots), updates=values
        )


class IdMapState:
    """All variables of an id map.

    Args:
        ids: `tf.Variable` int64, the id that each slot belongs to, where it is filled.
        used: int32, the step that each slot was used in last.
        uses: int32, how often, or None.
        filled: int32 (buckets,), how many slots of each bucket are filled.
        reach: int32 (buckets,), how many buckets the ids that begin at each may lie in.
        cells: int32, the sketches' counts, or None.
        tallies: int64 (6 tables,), see `id_map_stock`.
        step: int64 (1,), how many batches were admitted.
    """

    def __init__(self, *, ids, used, uses, filled, reach, cells, tallies, step):
        self.ids, self.used = Slots(ids), Slots(used)
        self.uses = None if uses is None else Slots(uses)
        self.filled, self.reach = Elements(filled), Elements(reach)
        self.cells = None if cells is None else Elements(cells)
        self.tallies, self.step = Elements(tallies), Elements(step)

    def occupy(self, slots, ids, step, uses):
        """Gives slots to ids.

        Args:
            slots: int64 tensor (n,).
            ids: int64 tensor (n,).
            step: scalar int32 tensor.
            uses: int32 tensor (n,), how often each was used.
        """
        self.ids.put(slots, ids)
        self.used.put(slots, tf.fill(tf.shape(slots), step))
        if self.uses is not None:
            self.uses.put(slots, uses)


def _places(slots):
    return tf.stack([slots // BUCKET_ROWS, slots % BUCKET_ROWS], axis=-1)
