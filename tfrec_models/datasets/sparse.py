"""A sparse column of a log: its table, and how a value becomes an id."""

import dataclasses
import numbers

IDS = ("integer", "hash", "vocabulary", "hex")


@dataclasses.dataclass(frozen=True)
class Sparse:
    """A column of values or lists of values, and how it becomes one of the sparse features.

    A value becomes an id by

        "integer":    the integer as it is; 0 to num_ids - 1
        "hash":       Fingerprint64(value) mod num_ids
        "vocabulary": 1, 2, .. for the values seen at least min_count times; 0 for any other
        "hex":        the hexadecimal number (of at most 8 digits) or integer, mod num_ids

    Fingerprint64 is FarmHash's, which `tf.fingerprint` and `tf.strings.to_hash_bucket_fast`
    compute, of a string's UTF-8 bytes. An integer is hashed and looked up as its decimal string,
    so that a column of 7 in one file and of "7" in another gives the same ids.

    Args:
        name: str, the feature, and the column unless `cross` is given.
        ids: str, as above. Not with `like` or `cross`.
        num_ids: int, rows of the table. "integer": learned by `Schema.fit` where not given;
            "vocabulary": the most that are kept, the frequent ones first, with 0 among them.
        min_count: int, how often a value must be seen in one pass of `Schema.fit` to be given an
            id of its own. For "vocabulary". Defaults to 1.
        like: str, another sparse feature, whose ids and table this one shares.
        cross: pair of str, two single-valued sparse features; the pair of their values is hashed
            to `num_ids` ids.
        is_list: bool or None, whether each row holds a list of values, which gives a bag. None:
            yes where `separator`, `max_length` or a list column says so.
        separator: str, splits a column of text into lists, such as "|"; an empty text has none.
            Columns of lists stay as they are.
        max_length: int, the most values a bag keeps: the last ones.
        missing: what a null is: None an error, "drop" nothing (a single value then gives an empty
            bag), an int an id. A null list is an empty bag unless `missing` is None.
        weights: str, a column with a number for each id.

    Raises:
        ValueError: if an argument is out of range, or does not go with the others.

    Example:

    >>> from tfrec_models.datasets import Sparse
    >>> Sparse("seen_items", like="item_id", max_length=50).is_list
    True
    """

    name: str
    ids: str | None = None
    num_ids: int | None = None
    min_count: int = 1
    like: str | None = None
    cross: tuple[str, str] | None = None
    is_list: bool | None = None
    separator: str | None = None
    max_length: int | None = None
    missing: int | str | None = None
    weights: str | None = None

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"Sparse: name must be a non-empty str, received {self.name!r}.")
        ways = [way for way in ("ids", "like", "cross") if getattr(self, way) is not None]
        if len(ways) != 1:
            self._refuse(f"exactly one of ids, like and cross must be given, received {ways}")
        if self.ids is not None and self.ids not in IDS:
            self._refuse(f"ids must be one of {list(IDS)}, received {self.ids!r}")
        for argument, least in (("num_ids", 1), ("min_count", 1), ("max_length", 1)):
            self._check_integer(argument, least)
        if self.like is not None and self.num_ids is not None:
            self._refuse("num_ids is that of the feature named by like; leave it out")
        if (self.ids in ("hash", "hex") or self.cross is not None) and self.num_ids is None:
            self._refuse("num_ids must be given: the rows of the table")
        if self.min_count != 1 and self.ids != "vocabulary":
            self._refuse(f"min_count goes with ids='vocabulary', received ids={self.ids!r}")
        if self.cross is not None:
            self._check_cross()
        if self.missing not in (None, "drop"):
            self._check_integer("missing", 0)
        if self.separator is not None and not (isinstance(self.separator, str) and self.separator):
            self._refuse(f"separator must be a non-empty str, received {self.separator!r}")
        lists = [name for name in ("separator", "max_length") if getattr(self, name) is not None]
        if self.is_list not in (None, True, False) or (lists and self.is_list is False):
            self._refuse(
                f"is_list must be None, True or False, and not False with {lists or 'others'}, "
                f"received {self.is_list!r}"
            )
        if lists and self.is_list is None:
            object.__setattr__(self, "is_list", True)

    def _check_cross(self):
        pair = self.cross
        if isinstance(pair, str) or len(pair) != 2 or not all(isinstance(p, str) for p in pair):
            self._refuse(f"cross must be a pair of names of sparse features, received {pair!r}")
        object.__setattr__(self, "cross", tuple(pair))
        for argument in ("is_list", "separator", "max_length", "weights"):
            if getattr(self, argument):
                self._refuse(f"{argument} does not go with cross")
        object.__setattr__(self, "is_list", False)

    def _check_integer(self, argument, least):
        value = getattr(self, argument)
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
            self._refuse(f"{argument} must be an integer of at least {least}, received {value!r}")
        object.__setattr__(self, argument, int(value))

    def _refuse(self, message):
        raise ValueError(f"Sparse {self.name!r}: {message}.")
