"""Fields that every embedding table has."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import keras

from tfrec_models._checks.arguments import check_positive
from tfrec_models.embeddings.id_policy import ID_POLICIES, POLICIES
from tfrec_models.embeddings.managed_ids import ManagedIds
from tfrec_models.embeddings.table_initializer import start_of

_TORCHREC_DTYPES = {"FP32": "float32", "FP16": "float16", "BF16": "bfloat16"}


@dataclasses.dataclass(frozen=True)
class BaseEmbeddingConfig:
    """What every embedding table has: see `EmbeddingBagConfig` for the fields."""

    num_embeddings: int
    embedding_dim: int
    name: str = ""
    data_type: str | None = None
    feature_names: Sequence[str] = ()
    weight_init_max: float | None = None
    weight_init_min: float | None = None
    init_fn: str | Callable | None = None
    id_policy: str | ManagedIds = "error"

    def __post_init__(self):
        set_field = object.__setattr__
        for argument in ("num_embeddings", "embedding_dim"):
            described = f"{argument} of table {self.name!r}"
            set_field(self, argument, check_positive(described, getattr(self, argument)))
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(
                f"An embedding table needs a name (a non-empty str), received {self.name!r}."
            )
        if isinstance(self.feature_names, str) or not all(
            isinstance(feature, str) for feature in self.feature_names
        ):
            raise ValueError(
                f"feature_names of table {self.name!r} must be a list of str, received "
                f"{self.feature_names!r}."
            )
        features = tuple(self.feature_names) or (self.name,)
        for name in (self.name, *features):
            if name.encode(errors="replace").decode() != name:
                raise ValueError(
                    f"Names of tables and features must be valid Unicode, received {name!r}."
                )
        if len(set(features)) < len(features):
            raise ValueError(
                f"feature_names of table {self.name!r} must be distinct, received "
                f"{list(features)}. A feature is looked up in a table once."
            )
        set_field(self, "feature_names", features)
        # TorchRec's DataType, and dtypes, have names.
        data_type = getattr(self.data_type, "name", self.data_type)
        set_field(self, "data_type", _TORCHREC_DTYPES.get(data_type, data_type))
        if self.data_type not in (None, "float32", "float16", "bfloat16", "float64"):
            raise ValueError(
                f"data_type of table {self.name!r} must be None, 'float32', 'float16', 'bfloat16' "
                f"or 'float64', received {self.data_type!r}."
            )
        self._check_policy()
        if self.init_fn is not None:
            set_field(self, "init_fn", keras.initializers.get(self.init_fn))
        self._check_start()
        low, high = self.init_range()
        if low > high:
            raise ValueError(
                f"weight_init_min of table {self.name!r} must not exceed weight_init_max, "
                f"received {low} and {high}."
            )

    def _check_policy(self):
        policy = self.id_policy
        if policy == "managed":
            policy = ManagedIds()
        elif isinstance(policy, Mapping):
            policy = keras.saving.deserialize_keras_object(policy)
        object.__setattr__(self, "id_policy", policy)
        if policy not in ID_POLICIES and not self.is_managed:
            raise ValueError(
                f"id_policy of table {self.name!r} must be one of {[*ID_POLICIES, 'managed']} or a "
                f"ManagedIds, received {policy!r}."
            )

    def _check_start(self):
        if self.is_managed and start_of(self, math.inf) is None:
            raise ValueError(
                f"init_fn of table {self.name!r} must be a random or constant initializer of Keras "
                "with managed ids, because rows start afresh one by one; received "
                f"{self.init_fn!r}."
            )

    @property
    def is_managed(self):
        """Whether any integer is an id, which is given a row in training."""
        return isinstance(self.id_policy, ManagedIds)

    @property
    def row_policy(self):
        """The name of the policy for what is no row: of managed ids, the unknown ones."""
        return self.id_policy.unknown if self.is_managed else self.id_policy

    @property
    def num_rows(self):
        """Rows the table takes up: `num_embeddings`, and one more under the "oov" policy."""
        return self.num_embeddings + POLICIES[self.row_policy].extra_rows

    def init_range(self):
        """Returns the smallest and the largest initial value."""
        bound = self.num_embeddings**-0.5
        low = -bound if self.weight_init_min is None else self.weight_init_min
        high = bound if self.weight_init_max is None else self.weight_init_max
        return float(low), float(high)

    def get_config(self):
        config = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        config["feature_names"] = list(self.feature_names)
        if self.init_fn is not None:
            config["init_fn"] = keras.initializers.serialize(self.init_fn)
        if self.is_managed:
            config["id_policy"] = keras.saving.serialize_keras_object(self.id_policy)
        return config

    @classmethod
    def from_config(cls, config):
        return cls(**config)
