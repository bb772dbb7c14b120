"""JSON files of a store: written whole, read with an error that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from featurestore.errors import StoreError
from featurestore.lake.storage import STORAGE


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file: a reader sees the old content or the new one, also after a power cut."""
    STORAGE.overwrite(path, json_bytes(value))


def read_json(path: Path) -> Any:
    """Return the value that a JSON file holds.

    Raises:
        StoreError: it is missing or is not JSON.
    """
    return parse_json(path, STORAGE.get(path).content)


def json_bytes(value: Any) -> bytes:
    """Render a JSON value as indented UTF-8 text with a newline at its end."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def parse_json(path: Path, content: bytes) -> Any:
    """Return the value that the content of a JSON file stands for; ``path`` names the file in errors.

    Raises:
        StoreError: it is not JSON.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path} cannot be read as JSON ({error}). Restore it from a backup.") from error
