"""The folds, one module each: how rows become totals. Nothing else in compute/ knows one by name."""

from __future__ import annotations

from featurestore.compute.folds.decayed import DecayedFold
from featurestore.compute.folds.extreme import ExtremeFold
from featurestore.compute.folds.fading import FadingFold
from featurestore.compute.folds.first import FirstFold
from featurestore.compute.folds.fold import AdditiveFold, Fold, InvertibleFold, RunningFold, ScopedFold, Segments, Span
from featurestore.compute.folds.last import LastFold
from featurestore.compute.folds.sums import SumFold

__all__ = [
    "AdditiveFold",
    "DecayedFold",
    "ExtremeFold",
    "FadingFold",
    "FirstFold",
    "Fold",
    "InvertibleFold",
    "LastFold",
    "RunningFold",
    "ScopedFold",
    "Segments",
    "Span",
    "SumFold",
]
