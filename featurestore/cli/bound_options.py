"""The option of the command line that raises or lowers a bound."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

import typer

from featurestore.errors import DefinitionError, did_you_mean
from featurestore.lake.bounds import Bounds

Bound = Annotated[
    list[str] | None,
    typer.Option("--bound", metavar="NAME=NUMBER", help="Another bound, such as line_bytes=67108864; may be repeated."),
]


def bounds_from(given: list[str] | None) -> Bounds | None:
    """Put what was given on the command line in place of the defaults; ``None`` where nothing was.

    Raises:
        DefinitionError: there is no such bound, or its value is none.
    """
    if not given:
        return None
    names = [field.name for field in fields(Bounds)]
    changes = {}
    for text in given:
        name, _, number = text.partition("=")
        if name not in names:
            raise DefinitionError(f"--bound {text!r} names no bound.{did_you_mean(name, names)} There are {', '.join(names)}.")
        if not number.isdecimal():
            raise DefinitionError(f"--bound {text!r} gives no whole number. Write {name}=67108864, say.")
        changes[name] = int(number)
    return Bounds(**changes)
