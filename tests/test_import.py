"""What `import featurestore` costs, and what it offers."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from types import ModuleType

import featurestore as fs

HEAVY = (
    "dagster",
    "deltalake",
    "duckdb",
    "evidently",
    "matplotlib",
    "pandas",
    "polars",
    "rich",
    "scipy",
    "sklearn",
    "sqlglot",
    "typer",
)
CPU_SECONDS = 0.6
TRIES = 5  # the least of some is the cost; the rest is the machine's other work

IMPORT = f"""
import resource, sys
import featurestore
usage = resource.getrusage(resource.RUSAGE_SELF)
loaded = sorted(name for name in {HEAVY!r} if name in sys.modules)
print(usage.ru_utime + usage.ru_stime, *loaded)
"""


def _import_once() -> list[str]:
    return subprocess.run([sys.executable, "-c", IMPORT], check=True, capture_output=True, text=True).stdout.split()


def test_importing_loads_no_heavy_library() -> None:
    assert _import_once()[1:] == []


def test_importing_takes_little_cpu() -> None:
    assert min(float(_import_once()[0]) for _ in range(TRIES)) <= CPU_SECONDS


def test_all_names_everything_that_is_public_and_nothing_else() -> None:
    # Listed once: what is loaded when it is first asked for brings modules along, which are no names of ours.
    names = {name for name in dir(fs) if not name.startswith("_") and not isinstance(getattr(fs, name), ModuleType)}
    assert names - {"annotations"} == set(fs.__all__) - {"__version__"}


def test_every_error_is_public_and_is_a_feature_store_error() -> None:
    from featurestore import errors

    names = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert names <= set(fs.__all__)
    assert all(issubclass(getattr(fs, name), fs.FeatureStoreError) for name in names)


def test_the_version_is_the_distributions() -> None:
    assert fs.__version__ == version("featurestore")
