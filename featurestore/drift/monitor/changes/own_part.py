"""What a series has of its own, as a low-rank correction of the covariance that it shares with others: the kernel of the fit."""

from __future__ import annotations

import numpy as np


def own_part(gram: np.ndarray, weights: np.ndarray, amplitudes: np.ndarray, *, years: int) -> np.ndarray:
    """Return ``y' K^-1 y + log det K - log det B^-1`` of ``K = B^-1 + W G W'``, without ever building K -> [F, amplitudes].

    All that is needed of the months are the products of ``y`` and of the columns of ``W`` with each other, under ``B``.

    Args:
        gram: [F, 1 + years + w, 1 + years + w] those products: of the values, of the season in each year, of the other columns.
        weights: [F, w] diagonal of G for the other columns, which are eliminated first.
        amplitudes: Candidates of how much the season's size varies from year to year; G is their square for the years.
        years: Number of years.

    Two months with ``B`` = 1, values 1 and 3. The second may be a one-off of variance 4, so ``K`` is diagonal, 1 and 5:
    ``y' K^-1 y`` is 1 / 1 + 9 / 5 = 2.8, and ``log det K`` is log 5 = 1.609:

    >>> values, season, one_off = [1.0, 3.0], [0.0, 0.0], [0.0, 1.0]
    >>> columns = np.array([values, season, one_off])
    >>> own_part((columns @ columns.T)[None], np.array([[4.0]]), np.array([0.0]), years=1).round(3)
    array([[4.409]])

    The same from a season that is in the second month alone and whose size varies by 2; by 0, ``K`` is 1 and 1, so 1 + 9:

    >>> columns = np.array([values, one_off])
    >>> own_part((columns @ columns.T)[None], np.zeros((1, 0)), np.array([0.0, 2.0]), years=1).round(3)
    array([[10.   ,  4.409]])
    """
    shared = gram[:, : 1 + years, : 1 + years]
    determinant = np.zeros(len(gram))
    if weights.shape[1]:
        roots = np.sqrt(weights)
        inner = np.eye(roots.shape[1]) + gram[:, 1 + years :, 1 + years :] * roots[:, :, None] * roots[:, None, :]
        across = gram[:, : 1 + years, 1 + years :] * roots[:, None, :]
        shared = shared - across @ np.linalg.solve(inner, across.transpose(0, 2, 1))
        determinant = np.linalg.slogdet(inner)[1]
    alone = shared[:, 0, 0] + determinant
    if not amplitudes.any():
        return np.repeat(alone[:, None], len(amplitudes), axis=1)
    values, basis = np.linalg.eigh(shared[:, 1:, 1:])
    explained = np.square((shared[:, :1, 1:] @ basis)[:, 0])[:, None, :]
    scale = np.square(amplitudes)[None, :, None]
    values = np.maximum(values, 0.0)[:, None, :]
    return np.asarray(alone[:, None] + (np.log1p(scale * values) - scale * explained / (1 + scale * values)).sum(axis=2))
