"""Where a source's files land: a folder, or a folder and the names that files in it have, with the date in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from featurestore.errors import DefinitionError, did_you_mean

DATE, MONTH = "{date}", "{month}"
_YEAR_DIGITS, _MONTH_DIGITS, _DAY_DIGITS = r"(?:19|20|21|22)\d\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_TIME_DIGITS = r"(?:\d{4}|\d{6})?"
# Year and month behind each other, with one sign between them, or as year=2024/month=1.
_IN_WORDS = rf"year={_YEAR_DIGITS}/month=(?:{_MONTH_DIGITS}|[1-9])"
_MONTH_FORM = rf"(?<!\d)(?:{_YEAR_DIGITS}[-_/]?{_MONTH_DIGITS}|{_IN_WORDS})(?!\d)"
# The same, perhaps with the day behind the same sign, and the time of day behind that.
_DATE_FORM = (
    rf"(?<!\d)(?:{_YEAR_DIGITS}(?P<sign>[-_/]?){_MONTH_DIGITS}(?:(?P=sign){_DAY_DIGITS}{_TIME_DIGITS})?|{_IN_WORDS})(?!\d)"
)
_FOUND = re.compile(_DATE_FORM)
_WILD = re.compile(r"\*\*/|\*|\?")
_WILDCARDS = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]", DATE: f"(?P<date>{_DATE_FORM})", MONTH: f"(?P<date>{_MONTH_FORM})"}
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


@dataclass(frozen=True)
class LandingPlace:
    """What ``landing=`` says.

    Args:
        folder: The folder that is listed, relative to the store's root; ``None``: ``landing/<source>``.
        pattern: Names of files below it, relative, with ``{date}`` or ``{month}``; ``None``: any name.
    """

    folder: str | None = None
    pattern: str | None = None

    @classmethod
    def parse(cls, landing: str | None) -> LandingPlace:
        """Read ``landing=``: without ``{date}`` a folder, every character of it itself; with it, folders up to the first pattern.

        >>> LandingPlace.parse("landing/orders/dt={date}/*.parquet")
        LandingPlace(folder='landing/orders', pattern='dt={date}/*.parquet')
        >>> LandingPlace.parse("dt={date}/*.parquet")
        LandingPlace(folder=None, pattern='dt={date}/*.parquet')
        """
        if landing is not None and not isinstance(landing, str):  # in a damaged registry
            raise DefinitionError(f"landing is {landing!r}; expected a text. Restore the registry from a backup.")
        if landing is None or not (DATE in landing or MONTH in landing):
            return cls(landing)
        parts = landing.split("/")
        first = next(i for i, part in enumerate(parts) if DATE in part or MONTH in part or _WILD.search(part))
        return cls("/".join(parts[:first]) or None, "/".join(parts[first:]))

    def takes(self, name: str) -> bool:
        """Tell whether a file of this name, relative to the folder, with slashes, is one of the source's."""
        return self.pattern is None or re.fullmatch(_expression(self.pattern), name, re.DOTALL) is not None

    def month_of(self, name: str) -> str | None:
        """Return the month of the date in a file's name, such as ``2024-08``: the one at ``{date}``, or else the first."""
        if self.pattern is None:
            found = _FOUND.search(name)
            return None if found is None else _month(found[0])
        match = re.fullmatch(_expression(self.pattern), name, re.DOTALL)
        return None if match is None else _month(match["date"])


def date_in(name: str) -> str | None:
    """Return the digits of the first date in a file's name, such as ``20240831``; ``None`` without one.

    >>> date_in("dt=2024-08-31/part-0.csv"), date_in("orders.csv")
    ('20240831', None)
    """
    found = _FOUND.search(name)
    return None if found is None else re.sub(r"\D", "", found[0])


def checked_landing(landing: object, source: str) -> str | None:
    """Return ``landing=`` as a text.

    Args:
        landing: A text, a path, or ``None``.
        source: Name of the source, for errors.

    Raises:
        DefinitionError: it is something else, an address, a place that is not below the store, or a pattern with braces that say
            something else, or with two dates.
    """
    if landing is None:
        return None
    text = landing.as_posix() if isinstance(landing, Path) else landing
    said = f"Source {source!r} has landing={landing!r}"
    if not isinstance(text, str):
        raise DefinitionError(f"{said}; give a folder below the store as a text, such as 'landing/{source}'.")
    if _ADDRESS.match(text):
        raise DefinitionError(
            f"{said}, an address. Files are read from this machine's file system: give a folder below the store."
        )
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or text.startswith("~") or not path.parts:
        raise DefinitionError(
            f"{said}, which is no folder below the store. Give one, such as 'landing/{source}'; that folder may itself be a link to "
            "where the files arrive."
        )
    words = re.findall(r"\{\w*\}", text)
    wrong = next((word for word in words if word not in (DATE, MONTH)), None)
    if wrong is not None or len(words) > 1:
        hint = "" if wrong is None else did_you_mean(wrong, [DATE, MONTH])
        raise DefinitionError(f"{said}; a pattern has {DATE} or {MONTH} once, and * ? ** besides.{hint}")
    return text


def _expression(pattern: str) -> str:
    pieces = []
    at = 0
    for found in re.finditer(rf"{_WILD.pattern}|{re.escape(DATE)}|{re.escape(MONTH)}", pattern):
        pieces += [re.escape(pattern[at : found.start()]), _WILDCARDS[found[0]]]
        at = found.end()
    return "".join([*pieces, re.escape(pattern[at:])])


def _month(text: str) -> str:
    digits = re.sub(r"\D", " ", text).split()
    if len(digits) == 1:
        return f"{digits[0][:4]}-{digits[0][4:6]}"
    return f"{digits[0]}-{digits[1]:0>2}"
