"""The size and the cost of a recipe's model."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class RecipeDescription:
    """The size and the cost of a recipe's model; printed, a table a person can read.

    Args:
        name: str, the recipe's.
        tables: dict from a table's name to (rows, columns).
        table_parameters: int.
        dense_parameters: int, all other weights.
        table_bytes: int, memory of the tables.
        slot_bytes: int, memory of the optimizers' state.
        dense_bytes: int, memory of all other weights.
        ids: float, ids that an example looks up.
        lookup_bytes: float, what an example reads of the tables.
        update_bytes: float, what a training step reads and writes of rows and state beside, for
            each example, where no id is repeated in the batch.
        flops: int, multiplications and additions of matrix products in a forward pass of one
            example.
        batch_size: int, examples a training step.
        flops_per_second: float, of large matrix products on this machine.
        bytes_per_second: float, of rows read at random on this machine.
    """

    name: str
    tables: dict[str, tuple[int, int]]
    table_parameters: int
    dense_parameters: int
    table_bytes: int
    slot_bytes: int
    dense_bytes: int
    ids: float
    lookup_bytes: float
    update_bytes: float
    flops: int
    batch_size: int
    flops_per_second: float
    bytes_per_second: float

    @property
    def training_flops(self) -> int:
        """Those of a training step for each example: two more products for each of the forward."""
        return 3 * self.flops

    @property
    def lookup_seconds(self) -> float:
        """What lookups and updates of rows take of a step, at this machine's speed of memory."""
        moved = self.lookup_bytes + self.update_bytes
        return self.batch_size * moved / self.bytes_per_second

    @property
    def dense_seconds(self) -> float:
        """What matrix products take of a step, at this machine's speed of large ones."""
        return self.batch_size * self.training_flops / self.flops_per_second

    @property
    def lookup_share(self) -> float:
        """The part of lookups and updates in the two together."""
        return self.lookup_seconds / (self.lookup_seconds + self.dense_seconds)

    def __str__(self):
        largest = sorted(self.tables.items(), key=lambda item: -item[1][0])[:5]
        lines = [
            f"{self.name}: {len(self.tables)} tables, "
            f"{self.table_parameters + self.dense_parameters:,} parameters",
            f"  parameters of tables        {self.table_parameters:,}",
            f"  other parameters            {self.dense_parameters:,}",
            f"  memory of tables            {_size(self.table_bytes)}",
            f"  memory of optimizers' state {_size(self.slot_bytes)}",
            f"  memory of other weights     {_size(self.dense_bytes)}",
            f"  ids an example              {self.ids:g}",
            f"  read of tables an example   {_size(self.lookup_bytes)}",
            f"  moved by its update         {_size(self.update_bytes)}",
            f"  FLOPs an example            {self.flops:,} forward, {self.training_flops:,} in "
            "training (matrix products)",
            f"  a step of {self.batch_size:,} on this machine, at "
            f"{self.flops_per_second / 1e9:.0f} GFLOP/s and {self.bytes_per_second / 1e9:.1f} GB/s "
            "of random rows:",
            f"    lookups and updates       {1e3 * self.lookup_seconds:.3g} ms, "
            f"{self.lookup_share:.0%} of the two",
            f"    matrix products           {1e3 * self.dense_seconds:.3g} ms, "
            f"{1 - self.lookup_share:.0%}",
            "  largest tables              "
            + ", ".join(f"{name} {rows:,} x {dim}" for name, (rows, dim) in largest),
        ]
        return "\n".join(lines)


def _size(number):
    units = ["B", "kB", "MB"]
    while units and number >= 1000:
        units, number = units[1:], number / 1000
    return f"{number:,.4g} {units[0] if units else 'GB'}"
