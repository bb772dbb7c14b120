"""READY: mappings of public data sets, each with the source whose events it makes.

Each module has ``MAPPING``, which the YAML file beside it says, and ``SOURCE``; copy the YAML to change it. None of the data is here.
"""

from __future__ import annotations

from pathlib import Path

from featurestore.spec.mapping import Mapping

NAMES = ("olist", "online_retail_ii", "rees46", "retailrocket")
"""Modules below this one."""


def read_ready(name: str) -> Mapping:
    """Read the mapping of a YAML file of this folder."""
    return Mapping.read(Path(__file__).with_name(f"{name}.yaml"))
