"""The files of a mapping: which there are, how they are written, and how they are joined."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from featurestore.errors import DefinitionError, did_you_mean
from featurestore.spec.csv_format import Csv
from featurestore.spec.mapping.place import Place

DELIVERY = "{delivery}"
COLUMN_TYPES = ("int64", "int32", "double", "string", "bool")
"""What columns of files may be declared as, so that expressions can read them."""
_CSV_KEYS = tuple(name for name in inspect.signature(Csv).parameters)
_KEYS = ("glob", "types", "optional", "required", "parts", *_CSV_KEYS)
_WILD = re.compile(r"\*\*/|\*|\?|\{delivery\}")
_WILDCARDS = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]", DELIVERY: "(?P<delivery>[^/]+?)"}


@dataclass(frozen=True)
class ForeignFiles:
    """One kind of files of a delivery.

    Args:
        name: What the mapping calls it.
        glob: Names of the files: ``* ? **`` and ``{delivery}``, compared with as many last parts of a path as it has itself.
        csv: How they are written, if they are CSV; ``None``: as the event source says.
        types: Column to type, of those that expressions read as other than texts.
        optional: Columns that they may lack, or all their rows have NULL.
        required: Whether a delivery is incomplete without one.
        parts: Files of this kind that a delivery has, at least.
    """

    name: str
    glob: str
    csv: Csv | None = None
    types: tuple[tuple[str, str], ...] = ()
    optional: tuple[str, ...] = ()
    required: bool = True
    parts: int = 1
    at: str = field(default="", compare=False)

    def takes(self, name: str) -> re.Match[str] | None:
        """Compare a file's path, with slashes, with the pattern."""
        parts = PurePosixPath(self.glob).parts
        tail = name if "**/" in self.glob else "/".join(PurePosixPath(name).parts[-len(parts) :])
        return re.fullmatch(_expression(self.glob), tail, re.DOTALL)


@dataclass(frozen=True)
class Join:
    """Rows of other files that belong to each row: ``on`` are pairs of columns, compared as texts unless of one type."""

    left: str
    right: str
    on: tuple[tuple[str, str], ...]
    at: str = field(default="", compare=False)


def files_of(place: Place, name: str) -> ForeignFiles:
    """Read one entry of ``sources``.

    Raises:
        DefinitionError: it is none, or says of CSV what cannot be.
    """
    found = place.keys(_KEYS)
    csv = {key: found[key].value for key in _CSV_KEYS if key in found}
    try:
        spelling = Csv(**csv) if csv else None  # type: ignore[arg-type]
    except DefinitionError as error:
        raise place.fail(str(error)) from error
    types = found["types"].entries() if "types" in found else {}
    glob = found["glob"].text() if "glob" in found else "*"
    if glob.count(DELIVERY) > 1 or ("{" in glob.replace(DELIVERY, "")):
        raise found["glob"].fail(f"{glob!r} has braces of another kind than {DELIVERY}, or that twice.")
    return ForeignFiles(
        name,
        glob,
        spelling,
        tuple((column, item.word(COLUMN_TYPES)) for column, item in types.items()),
        found["optional"].texts() if "optional" in found else (),
        found["required"].flag() if "required" in found else True,
        found["parts"].whole(least=1) if "parts" in found else 1,
        at=place.path,
    )


def join_of(place: Place, sources: Collection[str]) -> Join:
    """Read one entry of ``joins``; ``on`` is a column of both, a list of such, or a table of left columns to right ones.

    Raises:
        DefinitionError: it is none, or names a source that there is not.
    """
    found = place.keys(("left", "right", "on"), required=("left", "right", "on"))
    for side in ("left", "right"):
        if found[side].text() not in sources:
            raise found[side].fail(f"there is no source {found[side].value!r}.{did_you_mean(found[side].text(), sources)}")
    on = found["on"]
    if isinstance(on.value, dict):
        pairs = tuple((left, item.text()) for left, item in on.entries().items())
    else:
        pairs = tuple((column, column) for column in on.texts())
    if not pairs or found["left"].value == found["right"].value:
        raise place.fail("a join needs two sources, and columns on which they are equal.")
    return Join(found["left"].text(), found["right"].text(), pairs, at=place.path)


def _expression(pattern: str) -> str:
    pieces = []
    at = 0
    for found in _WILD.finditer(pattern):
        pieces += [re.escape(pattern[at : found.start()]), _WILDCARDS[found[0]]]
        at = found.end()
    return "".join([*pieces, re.escape(pattern[at:])])
