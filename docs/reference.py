"""Write the parts of the documentation that the code knows better: API, command line, tables of measurements.

    python -m docs.reference            writes them anew
    python -m docs.reference --check    shows the difference and exits with 1 when there is one

A generated part stands between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``; what is around it is written by hand.
"""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import typer

import featurestore
from benchmarks.monitors.bar import distances
from benchmarks.record import read_record
from benchmarks.sections import SECTIONS
from benchmarks.table import cells, render
from featurestore import errors
from featurestore.cli.app import app
from featurestore.drift.recalibration.fitters import FITTERS
from featurestore.spec.functions import FUNCTIONS

ROOT = Path(__file__).resolve().parents[1]
COMMAND = "python -m docs.reference"
WIDTH = 110
SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises):$")
ITEM = re.compile(r"^    (\w+): (.*)$")
EXAMPLE = re.compile(r"^>>>.*(?:\n.+)*", re.MULTILINE)

DEFINITIONS = (
    "Entity",
    "EventSource",
    "Csv",
    "Mapping",
    "Bounds",
    "FeatureView",
    "Derived",
    "Outcome",
    "JoinedView",
    "FeatureService",
    "Calibration",
)
AGGREGATIONS = (
    *("Count", "Sum", "Mean", "Var", "Std", "Trend", "Min", "Max", "First", "Last", "Recency"),
    *("Distinct", "Quantile", "Profile", "Decayed"),
)
WINDOWS = ("Offset", "YearBefore", "SeasonWindow")
REPORTS = ("DoctorReport", "Damage")
DRIFT = ("monitor_drift", "DriftPolicy", "retail_season")
STORE = "FeatureStore"


def pages() -> dict[Path, dict[str, Callable[[], str]]]:
    """List the pages that have generated parts, and what writes each."""
    return {
        ROOT / "docs" / "api.md": {
            "definitions": lambda: _objects(DEFINITIONS),
            "aggregations": lambda: _objects(AGGREGATIONS),
            "windows": lambda: _objects(WINDOWS),
            "functions": _functions,
            "fitters": _fitters,
            "store": _store,
            "reports": lambda: _objects(REPORTS),
            "drift": lambda: _objects(DRIFT),
            "errors": _errors,
        },
        ROOT / "docs" / "command-line.md": {"summary": _summary, "commands": _commands},
        ROOT / "docs" / "benchmarks.md": {"engine": _engine, "monitor": _monitor},
    }


def renewed(page: Path) -> str:
    """Return a page with its generated parts written anew.

    Raises:
        ValueError: the page lacks the place of a part.
    """
    text = page.read_text(encoding="utf-8")
    for name, write in pages()[page].items():
        place = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        found = place.search(text)
        if found is None:
            raise ValueError(f"{page.name} has no place for {name!r}: write <!-- begin {name} --> and <!-- end {name} -->.")
        written = write().strip()
        text = "".join((text[: found.end(1)], "\n", written, "\n\n", text[found.start(2) :]))
    return text


def difference(page: Path) -> str:
    """Return what would change in a page, as a unified diff; empty when it is as the code has it."""
    lines = [text.splitlines(keepends=True) for text in (page.read_text(encoding="utf-8"), renewed(page))]
    return "".join(difflib.unified_diff(*lines, f"{page.name}, committed", f"{page.name}, from the code"))


def main() -> None:
    """Write the pages, or show how they differ."""
    if "--check" in sys.argv[1:]:
        if found := "".join(difference(page) for page in pages()):
            sys.exit(f"{found}\nThe pages are behind the code. Renew them: {COMMAND}")
        return
    for page in pages():
        page.write_text(renewed(page), encoding="utf-8")


def _objects(names: Iterable[str]) -> str:
    return "\n\n".join(_object(name, getattr(featurestore, name), level=3) for name in names)


def _object(name: str, found: Any, *, level: int) -> str:
    source = Path(inspect.getsourcefile(found) or "").relative_to(ROOT)
    place = f"\n\n[{source}](../{source})" if level == 3 else ""
    return f"{'#' * level} {name}\n\n```py\n{_signature(name, found)}\n```\n\n{_markdown(inspect.getdoc(found) or '')}{place}"


def _signature(name: str, found: Any) -> str:
    """Write a signature, on one line where it fits."""
    signature = inspect.signature(found)
    parts, is_keyword = [], False
    for parameter in signature.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not is_keyword:
            parts.append("*")
            is_keyword = True
        default = "" if parameter.default is parameter.empty else f" = {_default(parameter.default)}"
        parts.append(f"{parameter.name}: {parameter.annotation}{default}")
    returned = signature.return_annotation
    arrow = "" if returned in (signature.empty, None, "None") else f" -> {returned}"
    line = f"{name}({', '.join(parts)}){arrow}"
    return line if len(line) <= WIDTH else f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){arrow}"


def _default(value: Any) -> str:
    if callable(value):
        return str(value.__name__)
    text = repr(value)
    return text if len(text) <= 40 and "(" not in text[1:] else f"{type(value).__name__}()".replace("mappingproxy()", "{}")


def _markdown(docstring: str) -> str:
    """Turn a docstring into Markdown: sections into lists, examples into blocks, double backticks into single ones."""
    out: list[str] = []
    section = ""
    for line in docstring.splitlines():
        if heading := SECTION.match(line):
            section = heading[1]
            out += [f"**{section.replace('Args', 'Arguments')}**", ""]
        elif section and line and not line.startswith(" "):
            section = ""
            out.append(line)
        elif item := ITEM.match(line) if section not in ("", "Returns", "Yields") else None:
            out.append(f"- `{item[1]}`: {item[2]}")
        else:
            out.append(line.removeprefix("    ") if section in ("Returns", "Yields") else re.sub(r"^ {8}", "  ", line))
    text = "\n".join(out).replace("``", "`")
    return re.sub(r"\n{3,}", "\n\n", EXAMPLE.sub(lambda found: f"```pycon\n{found[0].strip()}\n```\n", text)).strip()


def _store() -> str:
    store = featurestore.FeatureStore
    verbs = {name: found for name, found in vars(store).items() if not name.startswith("_")}
    parts = [f"```py\n{_signature(STORE, store)}\n```\n\n{_markdown(inspect.getdoc(store) or '')}"]
    rows = [(f"[`.{name}`](#{name})", _first_line(found)) for name, found in verbs.items()]
    parts.append(_table(("verb", "what it does"), rows))
    for name, found in verbs.items():
        if isinstance(found, property):
            parts.append(f"### {name}\n\n{_markdown(inspect.getdoc(found) or '')}")
        else:
            parts.append(_object(name, found, level=3).rpartition("\n\n[")[0])
    return "\n\n".join(parts)


def _first_line(found: Any) -> str:
    return (inspect.getdoc(found) or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")


def _functions() -> str:
    rows = [(f"`{name}({', '.join(families)})`", result) for name, (families, result) in sorted(FUNCTIONS.items())]
    return _table(("function", "gives"), rows)


def _fitters() -> str:
    modules = {name: sys.modules[found.fit.__module__] for name, found in FITTERS.items()}
    rows = [
        (f"`{name}`", _summary_of(modules[name]), ", ".join(found.inputs), ", ".join(f"`{loss}`" for loss in found.losses))
        for name, found in FITTERS.items()
    ]
    return _table(("`fit=`", "what it fits", "`inputs=`, in this order", "`loss=`"), rows)


def _summary_of(module: ModuleType) -> str:
    return (module.__doc__ or "").split("\n\n")[0].replace("\n", " ").rstrip(".").replace("``", "`")


def _errors() -> str:
    doc = inspect.getdoc(errors) or ""
    tree = "\n".join(line.removeprefix("    ") for line in doc.splitlines() if line.startswith("    "))
    return f"```text\n{tree}\n```"


def _listed() -> dict[str, Any]:
    return dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def _usage(name: str, command: Any) -> str:
    words = [f"featurestore {name}"]
    for item in command.params:
        if item.param_type_name == "argument":
            words.append(item.name.upper() if item.required else f"[{item.name.upper()}]")
        elif item.required:
            words.append(_given(item))
    return " ".join(words)


def _summary() -> str:
    rows = [(f"[`{_usage(name, command)}`](#{name})", command.help or "") for name, command in _listed().items()]
    return _table(("command", "what it does"), [(usage, " ".join(text.split())) for usage, text in rows])


def _commands() -> str:
    parts = []
    for name, command in _listed().items():
        rows = [(_option(item), _explained(item)) for item in command.params if not _is_shared(item)]
        table = f"\n\n{_table(('given', 'meaning'), rows)}" if rows else ""
        parts.append(f"## {name}\n\n`{_usage(name, command)}`\n\n{command.help}{table}")
    return "\n\n".join(parts)


def _is_shared(item: Any) -> bool:
    """Whether an option is that of all commands; the page says once what it does."""
    return item.opts == ["--json"] or (item.opts == ["--root"] and item.envvar is not None)


def _option(item: Any) -> str:
    if item.param_type_name == "argument":
        return f"`{item.name.upper()}`"
    return f"`{item.opts[0]}`" if item.is_flag else f"`{_given(item)}`"


def _given(item: Any) -> str:
    name = str(item.opts[0])
    return f"{name} {name.lstrip('-').replace('-', '_').upper()}"


def _explained(item: Any) -> str:
    text = item.help or ""
    has_default = item.default not in (None, False, ()) and not callable(item.default) and not item.required
    return text + (f" By default `{item.default}`." if has_default and "by default" not in text else "")


def _engine() -> str:
    return _compact(render(read_record(ROOT / "benchmarks" / "results" / "50m.json"), SECTIONS))


def _monitor() -> str:
    record = read_record(ROOT / "benchmarks" / "results" / "drift.json")
    rows = [cells(row) for row in distances(record["scores"])]
    return _table(("what", "target", "measured", "", "note"), [(*row[:4], row[5]) for row in rows])


def _compact(table: str) -> str:
    return re.sub(r"([<>]=) ", "\\1\u00a0", re.sub(r" +\|", " |", re.sub(r"-{4,}", "---", table)))


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    return "\n".join(_lines(tuple(header), rows))


def _lines(header: tuple[str, ...], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield "|" + "---|" * len(header)
    yield from (f"| {' | '.join(_cell(text) for text in row)} |" for row in rows)


def _cell(text: str) -> str:
    """Keep a bound on one line, and a bar of the text apart from those of the table."""
    return text.replace("= ", "=\u00a0").replace("|", "\\|") if text[:1] in "<>" else text.replace("|", "\\|")


if __name__ == "__main__":
    main()
