"""The timeline of detection of one case under one programme: survival, what catches first and when, compute done by then,
false alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thresher.arrays import Array
from thresher.countermeasures.channels import PHASES, channels, who_knows
from thresher.countermeasures.competing_risks import detected_by_cause, expected_share_done, survival, undetected
from thresher.countermeasures.detection import TRAIN_END, Hazards, hazards
from thresher.countermeasures.hiding import Hiding
from thresher.countermeasures.parameters import LEAK_MODEL, leak_rates
from thresher.countermeasures.programmes import Programme, cost_usd_per_year

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
POINTS = 121
"""Times at which the curves are given."""
DETECTED = (0.1, 0.5, 0.9)
"""The chances of having been detected for which times are given."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One countermeasure: the chance that it is the first to detect by the end of training, and by the end of all; the chance
    by the end of training if it were alone, and when it would have the chances of ``DETECTED`` then (years, infinite if
    never); false leads a year (mean, 5% and 95%) and the share of leads that is followed."""

    countermeasure: str
    first_by_finish: float
    first_by_end: float
    alone_by_finish: float
    alone_years: tuple[float, ...]
    false_leads_per_year: tuple[float, float, float]
    followed: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """What the draws say of one case under one programme.

    ``undetected`` has the quantiles of ``SHARES`` of the chance at each of ``years`` (shape (quantiles, times)),
    ``mean_undetected`` its mean, which is the chance of it; ``first`` the mean chance of having been detected first by each
    countermeasure, cumulated. ``finish`` are quantiles over the draws of the chance to finish training undetected,
    ``finish_mean`` the chance. ``detected_years`` are the times by which detection has the chances of ``DETECTED``, infinite
    where it never has. ``share_done`` is the expected share of training that is done, if detection ends it.
    """

    programme: str
    way: Hiding
    years: np.ndarray
    undetected: np.ndarray
    mean_undetected: np.ndarray
    first: Mapping[str, np.ndarray]
    phase_ends_years: tuple[float, ...]
    finish: tuple[float, ...]
    finish_mean: float
    end_mean: float
    detected_years: tuple[float, ...]
    expected_years: float
    share_done: float
    causes: tuple[Cause, ...]
    leaks: Mapping[str, tuple[float, float]]
    knows: Mapping[str, float]
    purchases: float
    chips_per_purchase: float
    false_leads_per_year: float
    capacity: float
    followed_usd_per_year: float
    cost_usd_per_year: float
    burden_usd_per_year: float

    @property
    def overloaded(self) -> bool:
        """Whether there are more leads than can be followed: then more of a noisy channel could in life lower detection."""
        return self.false_leads_per_year > self.capacity


def timeline(case: Mapping[str, Array], way: Hiding, programme: Programme, p: Mapping[str, Array]) -> Timeline:
    """Work out the timeline of one case; ``case`` as `detection.hazards` takes it."""
    found = hazards(case, programme, p)
    v = found.frailty_variance
    ends = found.starts + found.lengths
    years = np.linspace(0.0, float(np.median(ends[-1])), POINTS)
    countermeasures = np.asarray([row["countermeasure"] for row in channels().values()])
    names = list(dict.fromkeys(countermeasures.tolist()))
    grouped = np.stack([found.rates[countermeasures == name].sum(axis=0) for name in names])
    by_time = np.stack([undetected(time, grouped, found.starts, found.lengths, v) for time in years])
    first = np.stack([detected_by_cause(time, grouped, found.starts, found.lengths, v).mean(axis=-1) for time in years])
    finish = _chance(found, TRAIN_END)
    mean = by_time.mean(axis=1)
    leads = {name: found.false_leads[countermeasures == name].sum(axis=0) for name in names}
    total = found.false_leads.sum(axis=0)
    followed_usd = np.minimum(total, programme.settings["investigations"]) * p["investigations_false_usd"]
    knows = who_knows({name: value[0, 0] for name, value in case.items()}, p)
    lot = float(np.median(case["chips_per_purchase"]))
    return Timeline(
        programme.name, way, years, np.quantile(by_time, SHARES, axis=1), mean,
        dict(zip(names, first.T, strict=True)),
        tuple(float(np.median(end)) for end in ends),
        tuple(map(float, np.quantile(finish, SHARES))), float(finish.mean()), float(_chance(found, len(PHASES)).mean()),
        tuple(_time_of(1.0 - share, mean, years) for share in DETECTED),
        float(np.trapezoid(mean, years)),
        float(expected_share_done(TRAIN_END - 1, grouped, found.lengths, v).mean()),
        tuple(_cause(at, names, grouped, found, countermeasures, leads, first, years) for at in range(len(names))),
        leaks_by_model(case, programme, p), {name: float(np.median(knows[name])) for name in ("fully", "partly", "not")},
        float(np.median(case["route_bought"] * case["chips"] / case["chips_per_purchase"])), lot,
        float(total.mean()), float(programme.settings["investigations"]), float(followed_usd.mean()),
        *(float(np.mean(cost_usd_per_year(programme.settings, p, kind))) for kind in ("cost", "burden")),
    )  # fmt: skip


def _chance(found: Hazards, phases: int) -> np.ndarray:
    """The chance of being undetected at the end of so many phases, draw by draw."""
    total = (found.rates * found.lengths)[:, :phases].sum(axis=(0, 1))
    return np.asarray(survival(total, found.frailty_variance))


def _time_of(unseen: float, mean: np.ndarray, years: np.ndarray) -> float:
    """When the mean chance of being undetected has fallen so far; infinite where it never does."""
    return float(np.interp(-unseen, -mean, years)) if mean[-1] <= unseen else np.inf


def _cause(
    at: int, names: Sequence[str], grouped: np.ndarray, found: Hazards, of: np.ndarray, leads: Mapping[str, np.ndarray],
    first: np.ndarray, years: np.ndarray,
) -> Cause:  # fmt: skip
    alone = grouped[at : at + 1]
    by_time = np.stack(
        [undetected(t, alone, found.starts, found.lengths, found.frailty_variance).mean() for t in years]
    )
    ends = found.starts[TRAIN_END - 1] + found.lengths[TRAIN_END - 1]
    by_finish = detected_by_cause(ends, grouped, found.starts, found.lengths, found.frailty_variance)[at]
    own = leads[names[at]]
    mine = np.flatnonzero((of == names[at]) & (found.false_leads.mean(axis=1) > 0.0))
    weight = found.false_leads[mine]
    followed = float(np.sum(found.followed[mine] * weight) / np.sum(weight)) if len(mine) else 1.0
    low, high = np.quantile(own, (0.05, 0.95))
    return Cause(
        names[at], float(by_finish.mean()), float(first[-1, at]),
        float(1.0 - _chance(replace(found, rates=alone), TRAIN_END).mean()),
        tuple(_time_of(1.0 - share, by_time, years) for share in DETECTED),
        (float(own.mean()), float(low), float(high)), followed,
    )  # fmt: skip


def leaks_by_model(
    case: Mapping[str, Array], programme: Programme, p: Mapping[str, Array]
) -> dict[str, tuple[float, float]]:
    """The chance that leaks alone give a case away by the end of training, by each published way of counting: central 90% of
    the draws.

    With no programme and no frailty: what the models say of the same people and the same time, as they were published.
    """
    members: dict[str, dict[str, Any]] = {
        name: {LEAK_MODEL: -1.0, "leak_rate": rate} for name, rate in leak_rates().items()
    }
    members["identification"] = {LEAK_MODEL: 0.5, "ensemble_grimes": 0.0, "ensemble_insider": 0.0}
    members["insider"] = {LEAK_MODEL: 2.0}
    found = {}
    nothing = dict.fromkeys(programme.settings, 0.0) | {"investigations": programme.settings["investigations"]}
    bare = replace(programme, settings=nothing, assumptions={})
    talking = list(channels()).index("leaks")
    for name, member in members.items():
        draws = dict(p) | {key: np.full_like(np.asarray(p["leak_rate"]), value) for key, value in member.items()}
        draws["frailty_variance"] = np.zeros_like(p["leak_rate"])
        own = hazards(case, bare, draws)
        chance = 1.0 - _chance(replace(own, rates=own.rates[talking : talking + 1]), TRAIN_END)
        low, high = np.quantile(chance, (0.05, 0.95))
        found[name] = (float(low), float(high))
    return found
