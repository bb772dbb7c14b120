"""The command line: the commands, and what becomes of an error."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import featurestore
from featurestore.cli import definitions, demo, doctor, drift, project, quarantine, screen, store, streams, ui, upgrade
from featurestore.errors import FeatureStoreError

app = typer.Typer(
    name="featurestore",
    help="A long-horizon feature store: ten-year windows at the cost of six-month ones, and a drift audit that knows the calendar.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# Options without which a command does nothing, for its line of usage.
REQUIRED = {
    "get": "--features FEATURES --out FILE [OPTIONS]",
    "acknowledge": "--note WHY [OPTIONS]",
    "init": "--from FILES [OPTIONS]",
}
for command in (
    project.init,
    project.up,
    ui.ui,
    demo.demo,
    definitions.apply,
    definitions.remove,
    store.ingest,
    quarantine.quarantine,
    store.materialize,
    store.verify,
    store.get,
    store.publish,
    drift.audit,
    drift.alerts,
    drift.acknowledge,
    drift.recalibrate,
    drift.rollback,
    store.status,
    store.vacuum,
    doctor.doctor,
    upgrade.upgrade,
):
    app.command(options_metavar=REQUIRED.get(command.__name__, "[OPTIONS]"))(command)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        screen.say(f"featurestore {featurestore.__version__}")
        raise typer.Exit


@app.callback()
def featurestore_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Exits with 0; 1 after an error of the library, whose message is on stderr; 2 when the command line itself is wrong;
    141 when nobody reads its results any more.

    Args:
        arguments: What follows the program's name; what the process was called with by default.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    streams.prepare()
    try:
        app(given, prog_name="featurestore")
    except FeatureStoreError as error:
        screen.show_error(error, as_json="--json" in given)
        sys.exit(1)
    except OSError as error:  # typer's own words, such as a command's help
        streams.end_unheard(error)
    finally:
        streams.flush()
