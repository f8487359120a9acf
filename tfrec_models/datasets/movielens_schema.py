"""MovieLens' ratings, with the genres of each film as a bag, and their schema."""

import os

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from tfrec_models.datasets.schema import Schema
from tfrec_models.datasets.sparse import Sparse

_NO_GENRES = "(no genres listed)"


def movielens_schema(min_count: int = 1) -> Schema:
    """The schema of what `movielens_log` returns: a user, a film and the bag of its genres.

    All ids are vocabularies, learned by `Schema.fit`; users and films that it has not seen have
    id 0. There are no dense features.

    Args:
        min_count: int, how often a user or film must be seen to be given an id of its own.

    Example:

    >>> from tfrec_models.datasets import movielens_schema
    >>> movielens_schema().sparse_feature_names
    ['userId', 'movieId', 'genres']
    """
    return Schema(
        "liked",
        sparse=[
            Sparse("userId", ids="vocabulary", min_count=min_count),
            Sparse("movieId", ids="vocabulary", min_count=min_count),
            Sparse("genres", ids="vocabulary", separator="|"),
        ],
    )


def movielens_log(folder: str | os.PathLike, liked_from: float = 4.0) -> pa.Table:
    """Reads MovieLens' `ratings.csv` and `movies.csv` as one table of rows with labels.

    For MovieLens 20M, 25M, 32M and "latest", whose files have these names. The label is made of
    the rating, which is 0.5 to 5 stars:

        liked = 1 where rating >= liked_from, else 0

    Rows have the order of the ratings, user by user. To validate on what comes later, sort by
    `timestamp` and cut.

    Args:
        folder: path of the two files.
        liked_from: float, stars.

    Returns:
        `pa.Table` of `userId`, `movieId`, `timestamp` (int64), `rating` (float32), `liked` (int8)
        and `genres`, text with "|" between them, empty for a film without.

    Raises:
        FileNotFoundError: if a file is not there.
        ValueError: on a file that is not as these are, or a rating of a film that
            `movies.csv` does not have; names it.

    Example:

    >>> import pathlib, tempfile
    >>> from tfrec_models.datasets import movielens_log
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "ratings.csv").write_text(
    ...     "userId,movieId,rating,timestamp\\n1,2,3.5,1112486027\\n1,29,4.0,1112484676\\n"
    ... )
    >>> _ = (folder / "movies.csv").write_text(
    ...     'movieId,title,genres\\n2,Jumanji (1995),Adventure|Children\\n29,"City, The",Drama\\n'
    ... )
    >>> log = movielens_log(folder)
    >>> log["liked"].to_pylist(), log["genres"].to_pylist()
    ([0, 1], ['Adventure|Children', 'Drama'])
    """
    integers, text = pa.int64(), pa.string()
    ratings = _read(
        os.path.join(folder, "ratings.csv"),
        {"userId": integers, "movieId": integers, "rating": pa.float32(), "timestamp": integers},
    )
    movies = _read(os.path.join(folder, "movies.csv"), {"movieId": integers, "genres": text})
    genres = movies["genres"].combine_chunks()
    genres = pc.if_else(pc.equal(genres, _NO_GENRES), "", genres).dictionary_encode()
    films = pc.index_in(ratings["movieId"], value_set=movies["movieId"].combine_chunks())
    if films.null_count:
        unknown = ratings["movieId"].filter(films.is_null())[0].as_py()
        raise ValueError(
            f"{os.path.join(folder, 'movies.csv')} must have every film that is rated, received "
            f"ratings of movieId {unknown}, which it does not have; take both files of one release."
        )
    liked = pc.greater_equal(ratings["rating"], liked_from).cast(pa.int8())
    ratings = ratings.append_column("liked", liked)
    # As a dictionary, since 25 million rows have some 1,600 different texts.
    return ratings.append_column("genres", _taken(genres, films))


def _taken(dictionary_array, rows):
    chunks = [
        pa.DictionaryArray.from_arrays(
            dictionary_array.indices.take(chunk), dictionary_array.dictionary
        )
        for chunk in rows.chunks
    ]
    return pa.chunked_array(chunks, dictionary_array.type)


def _read(path, types):
    options = pyarrow.csv.ConvertOptions(column_types=types, include_columns=list(types))
    try:
        return pyarrow.csv.read_csv(path, convert_options=options)
    except (pa.ArrowException, KeyError) as error:
        raise ValueError(
            f"{path} must be MovieLens' file with the columns {list(types)}: {error}."
        ) from error
