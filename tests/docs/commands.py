"""Every command that the pages name: how it is run, or why it is not.

A command of a page is covered by a run that has all of its words, and perhaps more. Words in capitals (``SOURCE``, ``[NAME]``),
``...`` and those with a shell's variable stand for any. So ``make demo`` is covered by a run of it on fewer events, and
``make bench SIZE=50m`` by no other size.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.docs.pages import INLINE, blocks, name_of, pages, prose, read, sessions

PROGRAMS = ("make", "featurestore", "python", "dagster", "evidently", "pip", "systemctl")
PLACEHOLDER = re.compile(r"\[?[A-Z][A-Z_]*\]?|\.\.\.|.*\$.*", re.DOTALL)
HEREDOC = re.compile(r"<<'(\w+)'")


@dataclass(frozen=True)
class Run:
    """A command as it is run, with folders of the test run in braces.

    Attributes:
        command: Words, after the program's own.
        prints: Patterns of lines that it must print, in this order, on either stream.
        exits: Its exit code; ``None``: it serves until it is stopped, and ``answers`` says where it must answer first.
        answers: Path on the port ``{port}`` of loopback, and a text of the page there.
        within_s: What it may take on a busy machine.
        covers: Further commands of the pages that this one runs on the way.
        environment: Variables to set.
    """

    command: str
    prints: tuple[str, ...] = ()
    exits: int | None = 0
    answers: tuple[str, str] | None = None
    within_s: int = 300
    covers: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def is_of(self, command: str) -> bool:
        """Whether it runs a command of a page."""
        return any(_has(words, command) for words in (self.command, *self.covers))


SHOP, JOURNEY, FILMS, REFUNDS = "--root {shop}", "--root {completejourney}", "--root {movielens}", "--root {refunds}"
YEAR = {"dagster/asset_partition_range_start": "2016-01", "dagster/asset_partition_range_end": "2016-12"}
DEMO = (r"events +[\d,]+ committed, \d+ quarantined", r"training set +[\d,]+ rows x \d+ features", "Next")

# In this order: later ones read what earlier ones have made.
RUNS = (
    Run("make", prints=("make demo +Ten years in one command",)),
    Run("make install"),
    Run(
        "make demo EVENTS=20000 MONTHS=2016-01:2017-06 ROOT={shop}",
        prints=(r"shop, 2016-01 to 2017-06, in \d+ s", *DEMO),
        covers=("featurestore demo", "featurestore demo --months 2015-11:2016-10", "make demo MONTHS="),
    ),
    Run(
        "make demo DATA=completejourney ROOT={completejourney}",
        prints=(r"completejourney, 2017-01 to 2017-12, in \d+ s", *DEMO),
    ),
    Run(
        "make demo DATA=movielens MONTHS=2015-11:2016-10 ROOT={movielens}",
        prints=(r"movielens, 2015-11 to 2016-10, in \d+ s", *DEMO),
    ),
    Run(
        "make ui DATA=movielens ROOT={movielens} PORT={port}",
        exits=None,
        answers=("/", "Dagster"),
        covers=("python -m featurestore_pipelines.ui --root ... --definitions ...",),
    ),
    Run(
        "featurestore init trade --from {shop}/landing/events --into {own} --timezone Asia/Shanghai",
        prints=("about +user_id", "trade.py"),
        covers=(
            "featurestore init NAME --from FILES",
            "featurestore init orders --from exports/",
            "featurestore init orders --from exports/*.csv --time created_at --key customer_id --timezone Europe/Berlin",
        ),
    ),
    Run(
        "featurestore up {own}",
        prints=("trade: .* added", "user_activity|3 views", "audit of 2016-01 to 2017-05", "Next"),
        covers=("featurestore up",),
    ),
    Run(
        "featurestore ui --root {own}/store --module {own}/trade.py --port {port}",
        exits=None,
        answers=("/", "Dagster"),
        covers=("featurestore ui", "featurestore ui --root ROOT --module MODULE", "featurestore ui --port 3001"),
    ),
    Run("evidently ui --workspace {shop}/reports/evidently --port {port}", exits=None, answers=("/", "Evidently")),
    Run("featurestore --version", prints=(r"featurestore \d+\.\d+\.\d+",)),
    Run("featurestore --help", prints=("ten-year windows at the cost of six-month ones", "verify")),
    Run("featurestore audit --help", prints=("Score features against their own past",)),
    Run("featurestore apply featurestore.shop --root {new}", prints=("sku_demand",)),
    Run("featurestore remove warehousing_v1 --root {new}", prints=("remove service warehousing_v1",)),
    Run("featurestore apply featurestore.shop --dry-run --root {new}", prints=("add service warehousing_v1",)),
    Run("featurestore apply {own}/trade.py --dry-run --root {own}/store", covers=("featurestore apply orders.py --dry-run",)),
    Run("featurestore ingest events {shop}/landing/events/2016-01.parquet " + SHOP, prints=(r"0 added, [\d,]+ duplicates",)),
    Run("featurestore quarantine events " + SHOP, prints=("events: .* in quarantine",)),
    Run("featurestore materialize --view sku_demand " + SHOP),
    Run("featurestore verify --sample 0.1 " + SHOP, prints=("none failed",)),
    Run("featurestore get {spine} --features routing_v1 --out {out}/rows.parquet " + SHOP, prints=(r"2 rows x \d\d features",)),
    Run("featurestore publish routing_v1 " + SHOP, prints=("routing_v1 is published as of 2017-06-30",)),
    Run("featurestore vacuum " + SHOP, prints=(r"\d+ files, .* deleted",)),
    Run("featurestore doctor --dry-run " + SHOP, prints=("nothing is damaged",)),
    Run("featurestore upgrade --dry-run " + SHOP, prints=("Nothing to upgrade",)),
    Run("featurestore status --json " + SHOP, prints=(r'"timezone": "Asia/Shanghai"',)),
    Run("featurestore ingest events " + REFUNDS, prints=("2018-04",)),
    Run("featurestore materialize " + REFUNDS),
    Run("featurestore audit --month 2018-04 --page " + REFUNDS, prints=("page: ",)),
    Run("featurestore alerts --markdown " + REFUNDS, prints=(r"\*\*",)),
    Run("featurestore recalibrate return_prior " + REFUNDS, prints=("return_prior: promoted",)),
    Run("featurestore rollback return_prior " + REFUNDS, prints=("return_prior: .* is champion again",)),
    Run("featurestore acknowledge sku_returns:return_rate_90d --note expected " + REFUNDS),
    Run("featurestore status " + REFUNDS, prints=("Sources", "Views", "Open drifts")),
    Run(
        "dagster job execute -m definitions -j backfill --tags " + shlex.quote(json.dumps(YEAR)),
        prints=("RUN_SUCCESS",),
        environment={"FEATURESTORE_ROOT": "{backfilled}", "DAGSTER_HOME": "{backfilled}"},
    ),
    Run("python -m docs.reference --check"),
    Run("make bench SIZE=100k", prints=("100,000 events", "10 y windows / 6 months")),
    Run("python -m tests.power_cuts 10", covers=("python -m tests.power_cuts 400",)),
    Run("python -m tests.lake.log_damages 12", covers=("python -m tests.lake.log_damages 600",)),
    Run("make bench-drift QUICK=1", prints=("false episodes", "CPU")),
)

# Patterns of commands that are not run, with the reason.
EXCEPTIONS = {
    r"make (test|check|commands)": "CI runs the first two before these, and the third is what runs these",
    r"make bench( SIZE=(1m|10m|50m).*)?": "minutes to hours; SIZE=100k goes the same way",
    r"python -m tests\.power_cuts_image( .*)?": "mounts images as root; python -m tests.power_cuts makes worse cuts without",
    r"make bench-200m": "hours and a hundred GB",
    r"make bench-drift( ONLY=.*)?": "hours; QUICK=1 goes the same way",
    r"python -m docs\.(pictures .*|peak_day)": "draws the pages' pictures anew; tests/pipelines/test_browser.py goes the same way",
    r"cd /srv/featurestore && make install|useradd .*|install -.*|systemctl .*|runuser .*": "changes the machine",
    r"env --default-signal=INT \.venv/bin/dagster api grpc .*": "a supervisor's; tests/pipelines/service.py starts the same process",
    r"python -m featurestore_pipelines\.webserver": "a service; tests/pipelines/test_webserver.py starts it, nginx in front",
    r"dagster dev": "named to say that it is no service",
    r"dagster asset wipe": "asks before it deletes what Dagster knows of an asset",
    r"cat deploy/dagster\.postgres\.yaml .*|cat >> /etc/featurestore\.env .*": "changes the machine",
    r"\.venv/bin/pip install .*": "installs a driver that only a PostgreSQL server makes useful",
}


def documented() -> Iterator[tuple[str, str]]:
    """Yield ``(page, command)`` of all commands in inline code and shell blocks, but those of sessions, which run as they stand."""
    for page in pages():
        text = read(page)
        for block in blocks(text):
            if block.language in ("sh", "bash", "console") and block not in sessions(text):
                yield from ((name_of(page), command) for command in commands_of(block.text))
        for code in INLINE.findall(prose(text)):
            program, _, rest = code.partition(" ")
            if program in PROGRAMS and (rest or program == "make"):
                yield name_of(page), code


def commands_of(block: str) -> list[str]:
    """Cut a shell block into its commands: comments and loops gone, continued lines and here-documents in one piece.

    >>> commands_of("make demo    # ten years\\nfor y in 1 2; do\\n  time ls \\\\\\n  -l $y\\ndone")
    ['make demo', 'ls -l $y']
    """
    found: list[str] = []
    lines = iter(block.splitlines())
    for line in lines:
        command = _without_comment(line)
        if heredoc := HEREDOC.search(command):
            command += "\n" + "\n".join(iter(lambda: next(lines), heredoc[1]))
        while command.endswith("\\"):
            command = command[:-1].rstrip() + " " + _without_comment(next(lines))
        if command and not re.match(r"for |done$", command):
            found.append(command.removeprefix("time "))
    return found


def is_excepted(command: str) -> bool:
    """Whether a command stands in the list of exceptions."""
    return any(re.fullmatch(pattern, command, re.DOTALL) for pattern in EXCEPTIONS)


def _without_comment(line: str) -> str:
    return re.sub(r"(^|\s)#.*$", "", line).strip()


def _has(run: str, command: str) -> bool:
    wanted, words = shlex.split(command), set(shlex.split(run.replace("{shop}", "data/shop")))
    return run.split()[0] == wanted[0] and all(word in words or PLACEHOLDER.fullmatch(word) for word in wanted)
