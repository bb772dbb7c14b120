"""Settings of a project: where its store is, which module defines it, which files its sources have."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featurestore.errors import DefinitionError, did_you_mean
from featurestore.lake.storage import STORAGE

SETTINGS = "featurestore.toml"
_KEYS = ("root", "module", "files")


@dataclass(frozen=True)
class Settings:
    """What a project's settings say.

    Args:
        root: The store's directory.
        module: File of the definitions, or the name of an importable module.
        files: Source to paths, folders and patterns of its files; those of a source that is not here come from its landing folder.
    """

    root: Path
    module: str
    files: Mapping[str, tuple[str, ...]]


def read_settings(folder: Path) -> Settings | None:
    """Read the settings of a project; ``None`` where a folder has none.

    Raises:
        DefinitionError: they are no TOML, or say something else.
    """
    path = folder / SETTINGS
    if not STORAGE.exists(path):
        return None
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DefinitionError(f"{path} cannot be read as TOML: {error}.") from error
    for key in said:
        if key not in _KEYS:
            raise DefinitionError(f"{path} says {key!r}.{did_you_mean(key, _KEYS)} It has root, module and [files].")
    root, module, files = _text(path, said, "root"), _text(path, said, "module"), said.get("files", {})
    is_right = isinstance(files, dict) and all(map(_is_texts, files.values()))
    if not is_right:
        raise DefinitionError(f'{path} says [files] {files!r}. Write a list of paths for each source: events = ["in/*.csv"].')
    return Settings(
        folder / root,
        str(folder / module) if module.endswith(".py") else module,
        {source: tuple(str(folder / path) for path in paths) for source, paths in files.items()},
    )


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _text(path: Path, said: Mapping[str, Any], key: str) -> str:
    value = said.get(key)
    if not isinstance(value, str) or not value:
        example = "store" if key == "root" else "shop.py"
        raise DefinitionError(f'{path} says {key} = {value!r}. Write a text, such as {key} = "{example}".')
    return value
