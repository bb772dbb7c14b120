"""A project: a module of definitions, what is written beside it, and the settings that say where its store and its files are.

    NAME.py             the definitions
    featurestore.toml   where the store is, which module defines it, which files each source has
    README.md           what to do next (NAME.md where there is a README already)

Paths in the settings are relative to their own folder, so that a project can be moved, and committed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from featurestore.errors import DefinitionError
from featurestore.lake.whole_file import make_folder, write_atomically
from featurestore.scaffold.module import Found, entity_of, module_text
from featurestore.scaffold.settings import SETTINGS


def project_files(folder: Path, found: Found, *, given: Sequence[str]) -> dict[Path, str]:
    """Write the texts of a project.

    Args:
        folder: Where it is going to be.
        found: What a look at its files has found.
        given: Paths, folders and patterns of its files, as they were given; relative ones from the working directory.

    Returns:
        Path to text.

    Raises:
        DefinitionError: a file of the project is there already.
    """
    readme = folder / "README.md"
    readme = folder / f"{found.name}.md" if readme.exists() else readme
    texts = {
        folder / f"{found.name}.py": module_text(found),
        folder / SETTINGS: _settings_text(folder, found, given),
        readme: _readme_text(found),
    }
    there = " and ".join(path.name for path in texts if path.exists())
    if there:
        raise DefinitionError(
            f"In {folder.absolute()} there is {there} already, and may have been changed by hand. Take another name or folder, or "
            "remove what is there first."
        )
    return texts


def write_project(texts: Mapping[Path, str]) -> None:
    """Write a project's files, each whole."""
    for path, text in texts.items():
        make_folder(path.parent)
        write_atomically(path, text.encode())


def _settings_text(folder: Path, found: Found, given: Sequence[str]) -> str:
    paths = [_near(folder, path) for path in given]
    lines = "".join(f"    {_toml(path)},\n" for path in paths)
    return (
        "# Read by `featurestore up` and `featurestore ui`, and by all commands in this folder where --root is not given.\n"
        f'root = "store"\nmodule = "{found.name}.py"\n\n'
        "# The files of each source; what lies in its landing folder below the store needs no line here.\n"
        f"[files]\n{found.source} = [\n{lines}]\n"
    )


def _near(folder: Path, path: str) -> str:
    """Write a path as seen from a folder; far ones stay absolute."""
    whole = Path(path).absolute()
    near = os.path.relpath(whole, folder.absolute())
    return whole.as_posix() if near.startswith(os.path.join("..", "..", "..")) else Path(near).as_posix()


def _toml(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in escaped) + '"'


def _readme_text(found: Found) -> str:
    roles = found.roles
    about = ", ".join(f"{entity_of(role.column)} (`{role.column}`)" for role in roles.keys)
    row = {role.column: found.columns[role.column].values[0] for role in roles.keys}
    keys = ", ".join(f"{json.dumps(key)}: [{json.dumps(value, ensure_ascii=False)}]" for key, value in row.items())
    spine = f'{{{keys}, "as_of": ["{roles.last:%Y-%m-%d}"]}}'
    return f"""# {found.name}

Features of {about}, from {found.files}; written by `featurestore init`.

```sh
featurestore up        # apply {found.name}.py, ingest what is new, materialize, audit
featurestore status    # what the store holds
featurestore ui        # the same in Dagster's user interface
```

A training set in Python, each row as of its own time:

```python
import featurestore as fs
import polars as pl

store = fs.FeatureStore("store")
spine = pl.DataFrame({spine})
pl.from_arrow(store.get_historical_features(spine, "{found.name}_v1")).glimpse()
```

| what | where |
|---|---|
| which features there are | `{found.name}.py`; windows and names cost nothing to change |
| where the store and the files are | `{SETTINGS}` |
| rows that were refused, and why | `featurestore quarantine SOURCE` |
"""
