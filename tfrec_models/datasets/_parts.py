"""The parts of a log that are converted one by one."""

import dataclasses

from tfrec_models.datasets._csv import CsvSource
from tfrec_models.datasets._opened import codec_of
from tfrec_models.datasets._parquet import ParquetSource

# As much of a source as one part has, in bytes, where it can be cut.
PART_BYTES = 1 << 26
# A record of a TFRecord file has a length and two checksums beside what it holds.
_LEAST_RECORD = 16


@dataclasses.dataclass(frozen=True)
class Part:
    """What becomes one file of a prepared log.

    Args:
        number: int, its place in the source's own order.
        file: int, the number of its file.
        start: int, the first byte of text, or row group of the source.
        stop: int or None, the end of them; None for a file that is converted as a whole.
        size: int, bytes in the source.
        max_rows: int or None, no more rows than this are in it; None where nothing tells.
    """

    number: int
    file: int
    start: int
    stop: int | None
    size: int
    max_rows: int | None

    @property
    def name(self):
        """The name of the file it becomes."""
        return f"part-{self.number:05d}.parquet"


def parts_of(source, files):
    """The parts of an opened source of files, as a list of `Part`."""
    if isinstance(source, ParquetSource):
        parts = _of_row_groups(source)
    elif isinstance(source, CsvSource):
        parts = [
            part for number, file in enumerate(files) for part in _of_text(source, number, file)
        ]
    else:
        parts = [
            (
                number,
                number,
                None,
                file.size,
                None if codec_of(file) else file.size // _LEAST_RECORD,
            )
            for number, file in enumerate(files)
        ]
    # A log without a row has one file without a row, so that it can be read.
    return [Part(number, *part) for number, part in enumerate(parts or [(0, 0, 0, 0, 0)])]


def _of_row_groups(source):
    parts, start = [], 0
    groups = source.row_groups
    for i, group in enumerate(groups):
        size = sum(g.num_bytes for g in groups[start : i + 1])
        is_last = i + 1 == len(groups) or groups[i + 1].file != group.file
        if is_last or size >= PART_BYTES:
            rows = sum(g.num_rows for g in groups[start : i + 1])
            parts.append((group.file, start, i + 1, size, rows))
            start = i + 1
    return parts


def _of_text(source, number, file):
    # A wrong header or compression is found before anything is converted.
    layout = source.layout(file)
    if layout is None:
        return []
    fields = len(layout.names)
    if codec_of(file):
        return [(number, 0, None, file.size, None)]
    edges = [*range(0, file.size, PART_BYTES), file.size]
    return [
        # Fields may be empty, but each is followed by a delimiter or a line end.
        (number, start, stop, stop - start, (stop - start) // fields + 1)
        for start, stop in zip(edges, edges[1:], strict=False)
    ]
