"""Entities: who or what a feature is about."""

from __future__ import annotations

from dataclasses import dataclass

from featurestore.errors import DefinitionError
from featurestore.spec.names import checked_column, checked_name


@dataclass(frozen=True, init=False)
class Entity:
    """Who or what a feature is about, with its key column or columns.

    Args:
        name: Lower-case identifier.
        key: A column or a tuple of columns; int64 or string in the sources that feed it.

    >>> Entity("user_category", key=("user_id", "category")).keys
    ('user_id', 'category')
    """

    name: str
    keys: tuple[str, ...]
    description: str

    def __init__(self, name: str, *, key: str | tuple[str, ...], description: str = "") -> None:
        keys = (key,) if isinstance(key, str) else tuple(key)
        if not keys or len(set(keys)) != len(keys):
            raise DefinitionError(f"Entity {name!r} has the key {key!r}; give one column or several different ones.")
        if len({str(column).lower() for column in keys}) != len(keys):
            raise DefinitionError(
                f"Entity {name!r} has the key {key!r}, columns of which differ only in their case; rename one."
            )
        if "as_of" in keys:
            raise DefinitionError(
                f"Entity {name!r} has the key 'as_of', the name of the column in spines and answers that says when. Name the key "
                "otherwise; join_keys= of a view names the source's column."
            )
        object.__setattr__(self, "name", checked_name(name, "an entity"))
        object.__setattr__(self, "keys", tuple(checked_column(column, f"entity {name!r}") for column in keys))
        object.__setattr__(self, "description", description)
