"""The timeline of detection of one case under one programme: survival, what catches first and when, compute done by then,
false alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import brentq

from thresher.arrays import Array
from thresher.countermeasures.channels import PHASES, channels, who_knows
from thresher.countermeasures.competing_risks import detected_by_cause, expected_share_done, survival, undetected
from thresher.countermeasures.detection import TRAIN_END, Hazards, assumed_alone, hazards
from thresher.countermeasures.drivers import Driver, drivers
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
    """One countermeasure: the chance that it is the first to detect by the end of training, with the central 90% of the
    draws, and by the end of all; the chance by the end of training if it were alone, when it would have the chances of
    ``DETECTED`` then (years, infinite if never) and how long it would take on average to that or to the end of all; false
    leads a year (mean, 5% and 95%) and the share of leads that is followed."""

    countermeasure: str
    first_by_finish: float
    first_by_finish_span: tuple[float, float]
    first_by_end: float
    alone_by_finish: float
    alone_years: tuple[float, ...]
    alone_expected_years: float
    false_leads_per_year: tuple[float, float, float]
    followed: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """What the draws say of one case under one programme.

    ``undetected`` has the quantiles of ``SHARES`` of the chance at each of ``years`` (shape (quantiles, times)),
    ``mean_undetected`` its mean, which is the chance of it; ``first`` the mean chance of having been detected first by each
    countermeasure, cumulated. ``finish`` are quantiles over the draws of the chance to finish training undetected,
    ``finish_mean`` the chance. ``detected_years`` are the times by which detection has the chances of ``DETECTED``, infinite
    where it never has; ``first_by_channel`` the chance that each channel is the first by the end of training. ``share_done``
    is the expected share of training that is done, if detection ends it.
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
    first_by_channel: Mapping[str, float]
    drivers: tuple[Driver, ...]
    leaks: Mapping[str, tuple[float, float]]
    knows: Mapping[str, float]
    purchases: float
    chips_per_purchase: float
    false_leads_per_year: tuple[float, float, float]
    capacity: float
    followed_usd_per_year: float
    cost_usd_per_year: float
    burden_usd_per_year: float

    @property
    def overloaded(self) -> bool:
        """Whether there are more leads than can be followed: then more of a noisy channel could in life lower detection."""
        return self.false_leads_per_year[0] > self.capacity


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
    total = found.false_leads.sum(axis=0)
    followed_usd = np.minimum(total, programme.settings["investigations"]) * p["investigations_false_usd"]
    knows = who_knows({name: value[0, 0] for name, value in case.items()}, assumed_alone(p, programme))
    through_training = detected_by_cause(ends[TRAIN_END - 1], found.rates, found.starts, found.lengths, v).mean(axis=-1)
    return Timeline(
        programme=programme.name,
        way=way,
        years=years,
        undetected=np.quantile(by_time, SHARES, axis=1),
        mean_undetected=by_time.mean(axis=1),
        first=dict(zip(names, first.T, strict=True)),
        phase_ends_years=tuple(float(np.median(end)) for end in ends),
        finish=tuple(map(float, np.quantile(finish, SHARES))),
        finish_mean=float(finish.mean()),
        end_mean=float(_chance(found, len(PHASES)).mean()),
        detected_years=_times_of_detection(grouped, found),
        expected_years=float(np.mean(_expected_years(grouped, found))),
        share_done=float(expected_share_done(TRAIN_END - 1, grouped, found.lengths, v).mean()),
        causes=tuple(_cause(at, names, grouped, found, countermeasures) for at in range(len(names))),
        first_by_channel=dict(zip(channels(), through_training.tolist(), strict=True)),
        drivers=drivers(finish, {**_of_the_plan(case), **p}),
        leaks=leaks_by_model(case, programme, p),
        knows={name: float(np.median(knows[name])) for name in ("fully", "partly", "not")},
        purchases=float(np.median(case["route_bought"] * case["chips"] / case["chips_per_purchase"])),
        chips_per_purchase=float(np.median(case["chips_per_purchase"])),
        false_leads_per_year=_median_and_most(total),
        capacity=float(programme.settings["investigations"]),
        followed_usd_per_year=float(followed_usd.mean()),
        cost_usd_per_year=float(np.mean(cost_usd_per_year(programme.settings, p))),
        burden_usd_per_year=float(np.mean(cost_usd_per_year(programme.settings, p, "burden"))),
    )


def _of_the_plan(case: Mapping[str, Array]) -> dict[str, np.ndarray]:
    """What of the plan itself differs from draw to draw, where it does."""
    columns = {f"{name} of the plan": np.ravel(case[name]) for name in ("sites", "people", "duration_days")}
    return {name: values for name, values in columns.items() if values.size > 1}


def _times_of_detection(rates: np.ndarray, found: Hazards) -> tuple[float, ...]:
    """The times by which the chance of having been detected, over all draws, comes to each of ``DETECTED``; infinite if never."""

    def left(time: float, unseen: float) -> float:
        return float(undetected(time, rates, found.starts, found.lengths, found.frailty_variance).mean()) - unseen

    longest = float((found.starts[-1] + found.lengths[-1]).max())
    wanted = [1.0 - share for share in DETECTED]
    return tuple(brentq(left, 0.0, longest, args=(one,)) if left(longest, one) <= 0.0 else np.inf for one in wanted)


def _expected_years(rates: np.ndarray, found: Hazards) -> np.ndarray:
    """The expected time until detection or the end of all, in every draw."""
    phases = range(len(PHASES))
    done = [expected_share_done(phase, rates, found.lengths, found.frailty_variance) for phase in phases]
    years: np.ndarray = np.sum(np.asarray(done) * found.lengths, axis=0)
    return years


def _chance(found: Hazards, phases: int) -> np.ndarray:
    """The chance of being undetected at the end of so many phases, draw by draw."""
    total = (found.rates * found.lengths)[:, :phases].sum(axis=(0, 1))
    return np.asarray(survival(total, found.frailty_variance))


def _cause(at: int, names: Sequence[str], grouped: np.ndarray, found: Hazards, of: np.ndarray) -> Cause:
    alone, mine = grouped[at : at + 1], of == names[at]
    training, everything = (found.starts[phase] + found.lengths[phase] for phase in (TRAIN_END - 1, len(PHASES) - 1))
    first, in_all = (
        detected_by_cause(end, grouped, found.starts, found.lengths, found.frailty_variance)[at]
        for end in (training, everything)
    )
    leads = found.false_leads[mine]
    waiting = leads.sum()
    low, high = np.quantile(first, (0.05, 0.95))
    return Cause(
        countermeasure=names[at],
        first_by_finish=float(first.mean()),
        first_by_finish_span=(float(low), float(high)),
        first_by_end=float(in_all.mean()),
        alone_by_finish=float(1.0 - _chance(replace(found, rates=alone), TRAIN_END).mean()),
        alone_years=_times_of_detection(alone, found),
        alone_expected_years=float(np.mean(_expected_years(alone, found))),
        false_leads_per_year=_median_and_most(leads.sum(axis=0)),
        followed=float((found.followed[mine] * leads).sum() / waiting) if waiting > 0.0 else 1.0,
    )


def _median_and_most(values: np.ndarray) -> tuple[float, float, float]:
    """The median of draws, and the ends of their middle nine tenths."""
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    return float(middle), float(low), float(high)


def leaks_by_model(
    case: Mapping[str, Array], programme: Programme, p: Mapping[str, Array]
) -> dict[str, tuple[float, float]]:
    """The chance that leaks alone give a case away by the end of training, by each published way of counting: central 90% of
    the draws.

    With no programme, no compartments, no exemption and no frailty: what the models say of the same people and the same time,
    as they were published.
    """
    members: dict[str, dict[str, Any]] = {
        name: {LEAK_MODEL: -1.0, "leak_rate": rate} for name, rate in leak_rates().items()
    }
    members["identification"] = {LEAK_MODEL: 0.5, "ensemble_grimes": 0.0, "ensemble_insider": 0.0}
    members["insider"] = {LEAK_MODEL: 2.0}
    found = {}
    nothing = dict.fromkeys(programme.settings, 0.0) | {"investigations": programme.settings["investigations"]}
    bare = replace(programme, settings=nothing, assumptions={})
    talking = [list(channels()).index(name) for name in ("leaks", "identification")]
    for name, member in members.items():
        draws = dict(p) | {key: np.full_like(np.asarray(p["leak_rate"]), value) for key, value in member.items()}
        draws["frailty_variance"] = np.zeros_like(p["leak_rate"])
        own = hazards(case, bare, draws)
        chance = 1.0 - _chance(replace(own, rates=own.rates[talking]), TRAIN_END)
        low, high = np.quantile(chance, (0.05, 0.95))
        found[name] = (float(low), float(high))
    return found
