"""Detection of cases under programmes: hazards, leads and their triage combined; by the thousand, or in full for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from thresher.arrays import Array, evaluate_in_blocks
from thresher.countermeasures.channels import PHASES, channels, false_leads, phase_years, rates
from thresher.countermeasures.competing_risks import survival
from thresher.countermeasures.programmes import Programme, settings
from thresher.countermeasures.triage import share_followed_as_they_come, share_followed_by_yield
from thresher.errors import InputError

Columns = Mapping[str, Array]
TRIAGES = ("by_yield", "as_they_come")
TRAIN_END = PHASES.index("train") + 1


@dataclass(frozen=True, slots=True)
class Hazards:
    """What finds a case, channel by channel: rates a year of shape (channels, phases, ...), the length and start of each phase in
    years, leads a year that are false, the share of leads followed, and the variance of the shared frailty."""

    rates: np.ndarray
    lengths: np.ndarray
    starts: np.ndarray
    false_leads: np.ndarray
    followed: np.ndarray
    frailty_variance: np.ndarray


def programme_columns(programmes: Sequence[Programme]) -> dict[str, np.ndarray]:
    """Settings of programmes side by side, of shape (1, programmes, 1)."""
    return {name: np.asarray([one.settings[name] for one in programmes])[None, :, None] for name in settings()}


def with_assumptions(p: Columns, programmes: Sequence[Programme]) -> dict[str, Array]:
    """Draws with what each programme takes as certain put in their place."""
    assumed: dict[str, Array] = dict(p)
    for name in sorted({name for one in programmes for name in one.assumptions}):
        fixed = np.asarray([one.assumptions.get(name, np.nan) for one in programmes])[None, :, None]
        assumed[name] = np.where(np.isnan(fixed), np.asarray(p[name]), fixed)
    return assumed


def chance_undetected(
    cases: Columns, programmes: Sequence[Programme], p: Columns, *, triage: str = "by_yield", workers: int | None = None
) -> np.ndarray:
    """The chance that each case finishes training undetected under each programme, in every draw.

    Parameters
    ----------
    cases
        Columns of shape (cases, 1, 1) or (cases, 1, draws), see ``hiding.case_columns``.
    programmes
        What the state does.
    p
        Parameters of detection, arrays of shape (draws,).
    triage
        ``by_yield``, the best leads first; ``as_they_come``, all alike.

    Returns
    -------
    ndarray
        Of shape (cases, programmes, draws).
    """
    if triage not in TRIAGES:
        raise InputError("triage", f"one of {', '.join(TRIAGES)}", triage)
    s = programme_columns(programmes)
    assumed = with_assumptions(p, programmes)
    count = len(cases["chips"])
    draws = max(np.size(value) for value in p.values())

    def block(columns: Columns) -> dict[str, Array]:
        f = {name: columns[name] for name in cases}
        total = _cumulative_followed(f, s, assumed, triage)
        return {"undetected": survival(total, assumed["frailty_variance"]) + np.zeros((1, len(programmes), draws))}

    found = evaluate_in_blocks(block, dict(cases), count, workers, width=len(programmes) * draws)
    return found["undetected"]


def _cumulative_followed(f: Columns, s: Columns, p: Columns, triage: str) -> Array:
    """The cumulative hazard to the end of training, of the leads that are followed."""
    lengths = phase_years(f, p)
    by_channel = {name: through_training(by_phase, lengths) for name, by_phase in rates(f, s, p).items()}
    leads = false_leads(s, p)
    waiting = [name for name in by_channel if np.any(leads[name])]
    proof: Array = sum(hazard for name, hazard in by_channel.items() if name not in waiting)
    if not waiting:
        return proof
    if triage == "as_they_come":
        share = share_followed_as_they_come([leads[name] for name in waiting], s["investigations"])
        return proof + share * sum(by_channel[name] for name in waiting)
    shares = share_followed_by_yield(
        [by_channel[name] for name in waiting], [leads[name] for name in waiting], s["investigations"]
    )
    return proof + sum(share * by_channel[name] for share, name in zip(shares, waiting, strict=True))


def through_training(by_phase: Sequence[Array], lengths: Sequence[Array]) -> Array:
    """The cumulative hazard of rates by phase, to the end of training."""
    return sum(rate * length for rate, length in zip(by_phase[:TRAIN_END], lengths[:TRAIN_END], strict=True))


def assumed_alone(p: Columns, programme: Programme) -> dict[str, Array]:
    """Draws with what one programme takes as certain in their place, of shape (draws,) or (1,)."""
    return {name: np.reshape(value, -1) for name, value in with_assumptions(p, [programme]).items()}


def hazards(case: Columns, programme: Programme, p: Columns) -> Hazards:
    """Everything that finds one case under one programme, in every draw; leads followed by yield.

    ``case`` has columns of shape (1, 1, 1) or (1, 1, draws).
    """
    f = {name: np.asarray(value)[0, 0] for name, value in case.items()}
    s = programme.settings
    assumed = assumed_alone(p, programme)
    draws = max(np.size(value) for value in p.values())
    own = rates(f, s, assumed)
    full = np.asarray([[np.broadcast_to(rate, (draws,)) for rate in own[name]] for name in channels()])
    lengths = np.asarray([np.broadcast_to(length, (draws,)) for length in phase_years(f, assumed)])
    false = false_leads(s, assumed)
    leads = np.asarray([np.broadcast_to(false[name], (draws,)) for name in channels()])
    wanted = [through_training(list(by_phase), list(lengths)) for by_phase in full]
    followed = np.asarray(share_followed_by_yield(wanted, list(leads), np.full(draws, s["investigations"])))
    return Hazards(
        full * followed[:, None], lengths, np.cumsum(lengths, axis=0) - lengths, leads, followed,
        np.broadcast_to(assumed["frailty_variance"], (draws,)),
    )  # fmt: skip
