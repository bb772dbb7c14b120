"""Endings of files: the one table of what can be read and written, for events, spines and training sets alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from featurestore.errors import FeatureStoreError

PARQUET, CSV, JSON_LINES, ARROW = "Parquet", "CSV", "JSON lines", "Arrow IPC"
GZIP, ZSTD = "gzip", "zstd"
_FORMATS = {
    ".parquet": PARQUET,
    ".pq": PARQUET,
    ".csv": CSV,
    ".tsv": CSV,
    ".jsonl": JSON_LINES,
    ".ndjson": JSON_LINES,
    ".json": JSON_LINES,
    ".arrow": ARROW,
    ".feather": ARROW,
    ".ipc": ARROW,
}
_COMPRESSIONS = {".gz": GZIP, ".zst": ZSTD}
_COMPRESSED = (CSV, JSON_LINES)  # the others are compressed inside
KNOWN_ENDINGS = f"{', '.join(_FORMATS)}; CSV and JSON lines also with {' or '.join(_COMPRESSIONS)} behind"


@dataclass(frozen=True)
class Ending:
    """What a file's name says of its content.

    Args:
        format: ``PARQUET``, ``CSV``, ``JSON_LINES`` or ``ARROW``.
        compression: ``GZIP``, ``ZSTD`` or ``None``.
        delimiter: What separates the fields of a CSV that is written or has one way to be read: a tab for ``.tsv``.
    """

    format: str
    compression: str | None = None
    delimiter: str = ","


def ending_of(path: Path, error: type[FeatureStoreError]) -> Ending:
    """Return what a file's name says, in upper or lower case.

    Args:
        path: The file; it need not exist.
        error: What to raise.

    Raises:
        FeatureStoreError: the ending is unknown.

    >>> ending_of(Path("orders.CSV.gz"), FeatureStoreError)
    Ending(format='CSV', compression='gzip', delimiter=',')
    """
    name = path.name.lower()
    compression = next((each for suffix, each in _COMPRESSIONS.items() if name.endswith(suffix)), None)
    suffix = Path(name.rpartition(".")[0] if compression else name).suffix
    kind = _FORMATS.get(suffix)
    if kind is None or (compression and kind not in _COMPRESSED):
        ends = f"ends in {path.suffix!r}" if path.suffix else "has no ending"
        raise error(f"{path} has no known format: it {ends}. Name it by what it is: {KNOWN_ENDINGS}.")
    return Ending(kind, compression, "\t" if suffix == ".tsv" else ",")


def compression_of(path: Path) -> str:
    """Return DuckDB's word for how a text file is compressed: by itself it looks for none where a name has pattern characters.

    >>> compression_of(Path("orders[1].csv.gz")), compression_of(Path("orders.csv"))
    ('gzip', 'none')
    """
    return ending_of(path, FeatureStoreError).compression or "none"
