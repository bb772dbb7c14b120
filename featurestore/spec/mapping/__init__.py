"""Mappings: how files of a foreign shape become events of a source."""

from __future__ import annotations

from featurestore.spec.mapping.mapping import Mapping

__all__ = ["Mapping"]
