"""Which inputs of a ranker belong to the request, and which to each candidate."""

import dataclasses

from tfrec_models._checks.arguments import check_integer


@dataclasses.dataclass(frozen=True)
class Level:
    """The inputs that have one row for each request, or one for each candidate.

    Args:
        row: str, what has a row: "request" or "candidate".
        features: list of str, in the order of the model's features.
        dense: list of int, columns of the dense features, in their order.
    """

    row: str
    features: list
    dense: list

    @property
    def dense_name(self):
        """The input with the dense columns."""
        return f"{self.row}_dense_features"

    @property
    def packed(self):
        """The inputs with the bags, as `names.PACKED` has them."""
        return {part: f"{self.row}_{part}" for part in ("values", "lengths", "weights")}


@dataclasses.dataclass(frozen=True)
class Levels:
    """Both levels of one ranker.

    Args:
        request, candidate: `Level`.
    """

    request: Level
    candidate: Level

    @classmethod
    def of(cls, features, num_dense, request_features, request_dense, dense_names=()):
        """Returns the levels that a user declares by what belongs to the request, if anything does.

        Args:
            features: list of str, all features of the model.
            num_dense: int, the number of dense columns.
            request_features: list of str, or None for none; those of dense columns count as their
                numbers in `request_dense`.
            request_dense: list of int, or None for none.
            dense_names: list of str, the names of the dense columns, where they have any.

        Raises:
            ValueError: on unknown names or columns, on one named twice, and where nothing is left
                to distinguish candidates.
        """
        dense_names = list(dense_names)
        named = _checked_features(request_features, features, dense_names)
        chosen = [name for name in named if name not in dense_names]
        columns = _checked_columns(request_dense, num_dense)
        columns += [dense_names.index(name) for name in named if name in dense_names]
        _refuse_repeated("request_dense", columns)
        if not chosen and not columns:
            return None
        levels = cls(
            Level("request", *_split(features, num_dense, chosen, columns, True)),
            Level("candidate", *_split(features, num_dense, chosen, columns, False)),
        )
        if not levels.candidate.features and not levels.candidate.dense:
            raise ValueError(
                "request_features and request_dense name all inputs of the model, received "
                f"{list(chosen)} and {list(columns)}: nothing would distinguish candidates. Leave "
                "out what belongs to the candidates."
            )
        return levels


def _split(features, num_dense, chosen, columns, is_request):
    return (
        [name for name in features if (name in chosen) == is_request],
        [column for column in range(num_dense) if (column in columns) == is_request],
    )


def _checked_features(names, features, dense_names):
    names = [] if names is None else names
    is_list = isinstance(names, (list, tuple))
    if not is_list or not all(isinstance(name, str) for name in names):
        raise ValueError(f"request_features must be a list of str, received {names!r}.")
    _refuse_repeated("request_features", names)
    unknown = [name for name in names if name not in [*features, *dense_names]]
    if unknown:
        hint = "" if dense_names else " Name dense columns by their numbers in request_dense."
        raise ValueError(
            f"request_features must be features of the model, {[*features, *dense_names]}, "
            f"received {unknown}.{hint}"
        )
    return names


def _checked_columns(columns, num_dense):
    expected = f"a list of distinct columns of dense_features, from 0 to {num_dense - 1}"
    try:
        columns = [] if columns is None else columns
        columns = [check_integer("request_dense", column, 0) for column in columns]
        if any(column >= num_dense for column in columns):
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(f"request_dense must be {expected}, received {columns!r}.") from None
    return columns


def _refuse_repeated(argument, items):
    repeated = [item for item in dict.fromkeys(items) if items.count(item) > 1]
    if repeated:
        raise ValueError(f"{argument} must name each once, received {repeated} more than once.")
