"""What an export says about itself, for clients and for people."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence

PATH = pathlib.Path("assets.extra", "tfrec_models.json")


@dataclasses.dataclass(frozen=True)
class Metadata:
    """What an export says of itself: the contents of its `assets.extra/tfrec_models.json`.

    Clients read the names of inputs and signatures from it, as `RequestWriter` does.

    Args:
        model: str, the class of the model.
        versions: dict from package to its version at the export.
        dense_in_features: int.
        num_outputs: int, the columns of logits and probabilities.
        names: dict from feature to its name in the signatures, in table order.
        is_weighted: bool, whether each id has a weight.
        padding_value: int, the id that pads the bags of `serving_rows`.
        tables: list of dict, one for each table: its rows, columns, features, id policy, dtype, and
            how far its rows are from the model's.
        accuracy_cost: dict with the differences in logits and probabilities that smaller tables
            and `compute_dtype` cause on the sample, or None where both are as in the model.
        signatures: list of str, the signatures of the export.
        request_features: list of str, the sparse features that `serving_candidates` takes once a
            request.
        request_dense: list of int, the columns of the dense features that it takes so.
        raw_columns: list of dict, the columns of the log that the raw signatures take: name in
            the log, name of the input, kind of its values and whether rows hold any number.
        compute_dtype: str, what the dense half computes in, or None for what the model does.

    Example:

    >>> import tempfile
    >>> from tfrec_models import DLRM, EmbeddingBagCollection, EmbeddingBagConfig
    >>> from tfrec_models.serving import Metadata, export
    >>> tables = EmbeddingBagCollection([EmbeddingBagConfig(100, 8, "item")])
    >>> path = export(DLRM(tables, 2, [8], [4, 1]), tempfile.mkdtemp())
    >>> metadata = Metadata.read(path)
    >>> metadata.names, metadata.dense_in_features
    ({'item': 'item'}, 2)
    """

    model: str
    versions: dict
    dense_in_features: int
    num_outputs: int
    names: dict
    is_weighted: bool
    padding_value: int
    tables: list
    accuracy_cost: dict | None = None
    # Those of exports from before this was written.
    signatures: Sequence[str] = ("serving_default", "serving_examples", "serving_rows")
    request_features: Sequence[str] = ()
    request_dense: Sequence[int] = ()
    raw_columns: Sequence[dict] = ()
    compute_dtype: str | None = None

    def write(self, version_path):
        """Writes it into an export."""
        path = pathlib.Path(version_path, PATH)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(dataclasses.asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, version_path):
        """Returns the metadata of an export.

        Raises:
            FileNotFoundError: if the directory holds no export of `tfrec_models.serving.export`.
            ValueError: if another version of this package wrote it, or something else.
        """
        path = pathlib.Path(version_path, PATH)
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is not there: {version_path} must be one version of a model, such as "
                "models/ranker/1, written by tfrec_models.serving.export."
            )
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{path} is not what tfrec_models.serving.export of this version writes: {error}. "
                "Export the model again, or read it with the version that wrote it."
            ) from error
