"""How much each finding speaks for or against: weights of evidence that add up, bounded where data are thin, calibrated.

A weight is a log10 likelihood ratio: how much more often owners that hide a covered cluster show a finding than owners that
do not. The weights of an owner's findings are added to the prior log10 odds; the sum is the probability. They were fitted
together (`fit_weights`), so that findings that come together are not counted twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from thresher.sources import read_table

Floats = NDArray[np.float64]
UNKNOWN = -1
"""The level of a finding that could not be looked for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a screening can find: the step that finds it, how strengths become levels, and what to ask for next.

    ``combine`` says how the findings of an owner's entities become one: their ``sum`` or their ``max``.
    """

    finding: str
    step: str
    combine: str
    unit: str
    edges: tuple[float, ...]
    title: str
    next_record: str

    def level(self, strength: Floats) -> NDArray[np.int64]:
        """The level of each strength: 0 where nothing was found, one more for each edge reached; NaN is `UNKNOWN`."""
        reached = np.searchsorted(np.asarray(self.edges), strength, side="right")
        return np.where(np.isnan(strength), UNKNOWN, reached)


@cache
def all_findings() -> dict[str, Finding]:
    """Every finding by its id."""
    return {
        row["finding"]: Finding(
            row["finding"],
            row["step"],
            row["combine"],
            row["unit"],
            tuple(float(edge) for edge in row["edges"].split("|")),
            row["title"],
            row["next_record"],
        )
        for row in read_table("thresher.screening", "findings.csv")
    }


class Weight(NamedTuple):
    """What one level of a finding adds to the log10 odds, how often hiders and others show it, how many owners bear it out."""

    log10_likelihood_ratio: float
    share_of_hiders: float
    share_of_others: float
    owners: int


@cache
def weights() -> dict[tuple[str, int], Weight]:
    """The fitted weights, by finding and level."""
    return {
        (row["finding"], int(row["level"])): Weight(
            float(row["log10_likelihood_ratio"]),
            float(row["share_of_hiders"]),
            float(row["share_of_others"]),
            int(row["owners"]),
        )
        for row in read_table("thresher.screening", "weights.csv")
    }


def likelihood_bound(owners: Floats) -> Floats:
    """The largest log10 likelihood ratio, either way, that so many owners with a finding can bear out: log10(1 + n).

    After the empirical bounds of Vergeer et al. 2016 (doi 10.1016/j.scijus.2016.06.003): with one more owner of the other
    kind the ratio could not have been larger.
    """
    return np.log10(1.0 + owners)


def fit_weights(
    levels: NDArray[np.int64], hides: NDArray[np.bool_], most_level: Sequence[int], *, penalty: float
) -> list[list[Weight]]:
    """Weights of evidence from owners whose truth is known.

    A logistic regression on the levels, where a finding that could not be looked for adds nothing and each further level
    adds something of its own; the classes are balanced, so that what is fitted is the likelihood ratio and not the share of
    hiders. The sum of squares of the steps, times ``penalty``, is added to the mean loss. What was looked for and not found
    never speaks against an owner, what was found never for it, and more of it never less than less of it.

    Parameters
    ----------
    levels
        Shape (owners, findings).
    hides
        Shape (owners,).
    most_level
        The highest level of each finding.
    penalty
        Chosen by cross-validation over jurisdictions.

    Returns
    -------
    For each finding its weights from level 0 up.
    """
    columns = []
    for at, most in enumerate(most_level):
        known = levels[:, at] >= 0
        columns += [np.where(known & (levels[:, at] == 0), 1.0, 0.0)]
        columns += [np.where(known & (levels[:, at] >= step), 1.0, 0.0) for step in range(1, most + 1)]
    design = np.stack(columns, axis=1)
    first = np.concatenate([[True] + [False] * most for most in most_level])
    side = np.where(hides, 1.0, -1.0)
    share = np.where(hides, 0.5 / hides.sum(), 0.5 / (~hides).sum())

    def loss(steps: Floats) -> tuple[float, Floats]:
        margin = side * (design @ steps)
        slope = -side * share / (1.0 + np.exp(margin))
        return (
            float(share @ np.logaddexp(0.0, -margin) + penalty * steps @ steps),
            design.T @ slope + 2.0 * penalty * steps,
        )

    bounds = [(None, 0.0) if is_first else (0.0, None) for is_first in first]
    steps = minimize(loss, np.zeros(len(first)), jac=True, method="L-BFGS-B", bounds=bounds).x / np.log(10.0)
    result, start = [], 0
    for at, most in enumerate(most_level):
        totals = np.append(steps[start], np.cumsum(steps[start + 1 : start + most + 1]))
        start += most + 1
        seen = [levels[:, at] == level for level in range(most + 1)]
        known = levels[:, at] >= 0
        # a level is borne out by those who show it and by those who show less of the same
        owners = np.array([seen[0].sum(), *np.cumsum([one.sum() for one in seen[1:]])], dtype=float)
        bound = likelihood_bound(owners)
        totals = np.clip(totals, -bound, bound)
        totals[1:] = np.maximum.accumulate(totals[1:])
        result.append(
            [
                Weight(
                    float(totals[level]),
                    float((one & hides).sum() / max((known & hides).sum(), 1)),
                    float((one & ~hides).sum() / max((known & ~hides).sum(), 1)),
                    int(owners[level]),
                )
                for level, one in enumerate(seen)
            ]
        )
    return result


def log10_odds(levels: Mapping[str, int], prior_log10_odds: float) -> float:
    """The prior log10 odds and the weights of what is known, added up."""
    return prior_log10_odds + sum(
        weights()[finding, level].log10_likelihood_ratio for finding, level in levels.items() if level >= 0
    )


def probability_of(log10_of_odds: float) -> float:
    """The probability for log10 odds."""
    return float(1.0 / (1.0 + 10.0**-log10_of_odds))


def cllr(log10_likelihood_ratios: Floats, hides: NDArray[np.bool_]) -> float:
    """The cost of log likelihood ratios in bits (Brümmer and du Preez 2006, doi 10.1016/j.csl.2005.08.001).

    0 for perfect evidence, 1 for evidence that says nothing (all ratios 1), above 1 for evidence that misleads. Both classes
    weigh the same.
    """
    nats = np.asarray(log10_likelihood_ratios, dtype=float) * np.log(10.0)
    of_hiders = np.logaddexp(0.0, -nats[hides]).mean()
    of_others = np.logaddexp(0.0, nats[~hides]).mean()
    return float((of_hiders + of_others) / (2.0 * np.log(2.0)))
