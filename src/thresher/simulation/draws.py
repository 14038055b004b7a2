"""Draws of everything uncertain: low-discrepancy points of a unit cube, and the parameters that each stands for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from thresher.distributions import quantile
from thresher.errors import InputError
from thresher.learning.loss_laws import LossLaw, loss_law, loss_law_draws, model_loss_terms
from thresher.learning.posterior import Posterior, load_posterior
from thresher.learning.replica_families import FAMILIES, drift, replica_loss
from thresher.simulation.parameters import LAW, parameters, quantities
from thresher.sources import Quantity, read_yaml

FAMILY, ROW, MISFIT, LAW_ROW = "replica_family", "replica_cost", "replica_misfit", "loss_law"
"""The dimensions that stand for no single parameter: the structural choice, a row of its posterior, how far a run strays from the
family (a normal, in the row's own ``misfit``), and a row of the loss law."""
EDGE = 1e-9
"""Probabilities keep so far from 0 and 1, where a quantile may be infinite."""
MOST_DRAWS = 100_000
MOST_SEED = 2**32 - 1
KEPT = 4
"""Worlds that are kept for whoever asks for the same again."""
_SHAPE = ("replica_scale", "replica_size_exponent", "replica_token_exponent", "replica_growth")


@dataclass(frozen=True, slots=True)
class Group:
    """Dimensions that are held to account together, under a title."""

    name: str
    title: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Worlds:
    """Draws of the world: a row of ``unit`` each, and every parameter as a number or an array of as many."""

    unit: np.ndarray
    parameters: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.unit)

    @property
    def family(self) -> np.ndarray:
        """The place in ``FAMILIES`` of each draw's form of the replica penalty."""
        return np.broadcast_to(np.asarray(self.parameters[FAMILY], dtype=int), (len(self),))


@dataclass(frozen=True, slots=True)
class Drawn:
    """Which worlds: how many, from which seed, and from which posterior (None: the one that ships), told apart by its digest."""

    draws: int
    seed: int
    digest: str
    posterior: Posterior | None = field(compare=False, repr=False)


@cache
def _document() -> Mapping[str, Any]:
    text = files("thresher.simulation").joinpath("data", "uncertainty.yaml").read_text("utf-8")
    document: Mapping[str, Any] = read_yaml(text, "thresher/simulation/data/uncertainty.yaml")
    return document


@cache
def groups() -> tuple[Group, ...]:
    """What is drawn, by phenomenon."""
    return tuple(Group(name, row["title"], tuple(row["members"])) for name, row in _document()["groups"].items())


@cache
def dimensions() -> tuple[str, ...]:
    """The dimensions of the unit cube, in the order of the groups."""
    return tuple(member for group in groups() for member in group.members)


def check_draws(draws: int, seed: int) -> None:
    """Refuse a number of draws or a seed that makes no sense."""
    for name, value, least, most in (("--draws", draws, 1, MOST_DRAWS), ("--seed", seed, 0, MOST_SEED)):
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not number or not float(value).is_integer() or not least <= value <= most:
            raise InputError(name, f"a whole number from {least:,} to {most:,}", value)


def unit_points(draws: int, seed: int) -> np.ndarray:
    """Scrambled Sobol points (Owen 1998) of the unit cube, shape (draws, dimensions): the same for a seed, on any machine."""
    from scipy.stats import qmc  # noqa: PLC0415 - heavy, and only where draws are made

    sampler = qmc.Sobol(len(dimensions()), scramble=True, rng=np.random.default_rng(seed))
    points = sampler.random_base2(max(draws - 1, 0).bit_length())[:draws]
    return np.asarray(np.clip(points, EDGE, 1.0 - EDGE))


def draw_worlds(draws: int, seed: int, posterior: Posterior | None = None) -> Worlds:
    """Worlds drawn from every distribution; see ``worlds_at``.

    Those of one form of the penalty stand together, so that a block of rows needs but one form.
    """
    check_draws(draws, seed)
    unit = unit_points(draws, seed)
    return worlds_at(unit[np.argsort(unit[:, dimensions().index(FAMILY)], kind="stable")], posterior)


def drawn(draws: int, seed: int, posterior: Posterior | None) -> Drawn:
    """Worlds to draw; the digest is of everything that the posterior says."""
    held = load_posterior() if posterior is None else posterior
    digest = hashlib.sha256(repr(dict(held.weights)).encode())
    for family, numbers in held.draws.items():
        for name, values in numbers.items():
            digest.update(f"{family} {name} ".encode() + np.ascontiguousarray(values).tobytes())
    return Drawn(draws, seed, digest.hexdigest(), posterior)


@lru_cache(maxsize=KEPT)
def worlds_of(which: Drawn) -> Worlds:
    """The worlds of a description, the last few of them kept."""
    return draw_worlds(which.draws, which.seed, which.posterior)


def worlds_at(unit: np.ndarray, posterior: Posterior | None = None) -> Worlds:
    """The worlds that points of the unit cube stand for.

    Parameters
    ----------
    unit
        Shape (worlds, dimensions): the probability of each dimension's value; NaN takes the central one.
    posterior
        That of ``thresher calibrate``; the shipped one by default.
    """
    column = dict(zip(dimensions(), np.asarray(unit, dtype=np.float64).T, strict=True))
    central = parameters()
    drawn: dict[str, Any] = dict(central)
    for name in column.keys() & quantities().keys() - {FAMILY}:
        drawn[name] = _quantile_or_central(quantities()[name], column[name], central[name])
    drawn |= _law(column[LAW_ROW], central)
    drawn |= _replicas(column[FAMILY], column[ROW], column[MISFIT], central, posterior or load_posterior())
    return Worlds(np.asarray(unit), drawn)


def of_rows(worlds: Mapping[str, Any], draw: np.ndarray | None) -> Mapping[str, Any]:
    """The parameters of rows, each with the draw it belongs to; central ones, which are single numbers, as they are."""
    if draw is None:
        return worlds
    return {name: value.take(draw) if getattr(value, "ndim", 0) else value for name, value in worlds.items()}


def _filled(u: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(u), 0.5, u)


def _quantile_or_central(quantity: Quantity, u: np.ndarray, central: float) -> np.ndarray:
    given = ~np.isnan(u)
    values = np.full(u.shape, central)
    # that of a beta distribution is dear: once for each of the values, of which the points of a Sobol index repeat most
    distinct, at = np.unique(u[given], return_inverse=True)
    values[given] = quantile(quantity, distinct)[at]
    return values


def _or_central(u: np.ndarray, value: np.ndarray, central: float) -> np.ndarray:
    return np.where(np.isnan(u), central, value)


def _row(u: np.ndarray, rows: int) -> np.ndarray:
    return np.asarray(np.minimum((_filled(u) * rows).astype(int), rows - 1))


def _law(u: np.ndarray, central: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The five numbers of one bootstrap refit, together: they are almost perfectly correlated."""
    law = loss_law_draws()
    row = _row(u, len(law.E))
    return {
        f"{LAW}{name}": _or_central(u, getattr(law, name)[row], central[f"{LAW}{name}"]) for name in LossLaw._fields
    }


def _replicas(
    family_u: np.ndarray, row_u: np.ndarray, misfit_u: np.ndarray, central: Mapping[str, Any], posterior: Posterior
) -> dict[str, np.ndarray]:
    """The family by its weight, a row of its posterior by severity, and how far a run strays; by default the central ones."""
    from scipy.special import ndtri  # noqa: PLC0415 - where draws are made

    names = [name for name in FAMILIES if name in posterior.weights]
    edges = np.cumsum([posterior.weights[name] for name in names])
    chosen = np.minimum(np.searchsorted(edges / edges[-1], _filled(family_u), side="right"), len(names) - 1)
    place = np.asarray([list(FAMILIES).index(name) for name in names])[chosen]
    family = np.where(np.isnan(family_u), central[FAMILY], place).astype(int)
    central_row = np.isnan(family_u) & np.isnan(row_u)
    columns = [name for name in next(iter(posterior.draws.values())) if name in central]
    found = {name: np.full(len(family), float(central[name])) for name in columns}
    usual = posterior.draws.get(list(FAMILIES)[int(central[FAMILY])], posterior.draws[names[0]])
    misfit = np.full(len(family), float(np.median(usual["misfit"])))
    for name in names:
        mine = (family == list(FAMILIES).index(name)) & ~central_row
        rows = by_severity(name, posterior.draws[name])
        at = rows[_row(row_u[mine], len(rows))]
        misfit[mine] = posterior.draws[name]["misfit"][at]
        for column in columns:
            found[column][mine] = posterior.draws[name][column][at]
    factor = np.maximum(1.0 + misfit * ndtri(_filled(misfit_u)), 0.0)
    return {FAMILY: family, "replica_factor": factor, **found}


def by_severity(family: str, rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """The order of a family's posterior rows, by the loss they add at the reference of ``data/uncertainty.yaml``."""
    at = _document()["severity_reference"]
    law = loss_law("besiroglu_2024")
    size_term, token_term = model_loss_terms(at["params"], at["tokens"], law)
    ones = np.ones(len(rows["replica_scale"]))
    added = replica_loss(
        family, loss=law.E + size_term + token_term, token_term=token_term, params=at["params"] * ones,
        tokens=at["tokens"] * ones, replicas=at["replicas"] * ones,
        drift=drift(
            at["inner_steps"] * ones, inner_step_scale=rows["inner_step_scale"],
            inner_step_reference=quantities()["inner_step_reference"].value,
        ),
        beta=law.beta, **{name: rows[name] for name in _SHAPE},
    )  # fmt: skip
    return np.argsort(added, kind="stable")


def smoothed(posterior: Posterior) -> Posterior:
    """A posterior whose rows change little from one to the next: means over neighbours in severity.

    Adjacent rows are otherwise as different as any two draws, and a quantile of the row would be a path with jumps.
    """
    width = _document()["smoothing_rows"]
    draws = {}
    for family, rows in posterior.draws.items():
        order = by_severity(family, rows)
        span = min(width, len(order))
        draws[family] = {
            name: np.convolve(values[order], np.full(span, 1.0 / span), mode="valid") for name, values in rows.items()
        }
    return Posterior(draws, posterior.weights)


def quantile_or_infinite(values: np.ndarray, share: float | Sequence[float]) -> Any:
    """Sample quantiles that may be infinite: no interpolation between a number and none."""
    return np.quantile(values, share, axis=-1, method="inverted_cdf")
