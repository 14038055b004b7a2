"""The calibration's model: priors from a data file, and the likelihood of every measured loss, for one family."""

from __future__ import annotations

import csv
import io
import math
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from thresher.learning.loss_rows import Rows, loss_sources
from thresher.learning.replica_families import UNUSED
from thresher.learning.replica_model import (
    Expected,
    base_loss,
    constants,
    expected,
    own_names,
    parameter_names,
    sweep_cells,
)
from thresher.sources import Quantity, load_quantities

UPPER_95 = 1.6448536269514722
"""The standard normal quantile of 95%."""
LEAST_INCREASE = 1e-12
"""Nats; keeps the logarithm finite where a draw says that nothing is lost."""
OFFSET_SHIFT = 0.005
"""Nats by which offsets move about the mean residual of their rows, a unit of the sampler's."""


class Contrasts(NamedTuple):
    """Increases from one setting to another: both runs, the increase's logarithm, its error, and 1 where it is a share."""

    rows: Rows
    versus: Rows
    log_increase: Any
    log_error: Any
    share: Any


@cache
def contrasts() -> Contrasts:
    """The published increases of ``data/contrasts.csv``."""
    text = files("thresher.calibration").joinpath("data", "contrasts.csv").read_text("utf-8")
    records = list(csv.DictReader(io.StringIO(text)))
    names = [*(one.name for one in loss_sources()), "unseen"]

    def column(name: str) -> Any:
        return np.asarray([float(record[name]) for record in records])

    def runs(prefix: str) -> Rows:
        none = 0.0 * column("params")
        return Rows(
            source=np.asarray([names.index(record["loss_source"]) for record in records]),
            **{name: column(name) for name in ("params", "tokens", "replicas")},
            **{name: column(f"{prefix}{name}") for name in ("inner_steps", "bits")},
            delay=none, feedback=none, streaming=none, loss=none,
        )  # fmt: skip

    share = np.asarray([float(record["unit"] == "share") for record in records])
    return Contrasts(runs(""), runs("versus_"), np.log(column("increase")), column("log_error"), share)


class Priors(NamedTuple):
    """Priors of numbers by name: of the number's logarithm where ``positive``, else of itself, mean and standard deviation."""

    names: tuple[str, ...]
    positive: Any
    mean: Any
    deviation: Any

    def values(self, standard: Any) -> dict[str, Any]:
        """The numbers at so many standard deviations from their means."""
        placed = self.mean + self.deviation * standard
        return dict(zip(self.names, jnp.where(self.positive, jnp.exp(placed), placed), strict=True))


@cache
def priors(family: str) -> tuple[Priors, Priors]:
    """The priors of a family's numbers, and of the offsets: a range is the central 90%, log-normal where positive."""
    kinds, drawn_whole = own_names(), {"irreducible": "level", "exponent": "slope"}
    names = [drawn_whole.get(name, name) for name in parameter_names() if name not in UNUSED[family]]
    offsets = [name for name in names if kinds.get(name) == "offset"]
    return _priors([name for name in names if name not in offsets], family), _priors(offsets, family)


def _priors(names: list[str], family: str) -> Priors:
    rows = [_prior_row(name, family) for name in names]
    positive = np.asarray([row.low > 0 for row in rows])
    low, value, high = (
        np.asarray([math.log(number) if row.low > 0 else number for row, number in
                    ((row, getattr(row, place)) for row in rows)]) for place in ("low", "value", "high")
    )  # fmt: skip
    return Priors(tuple(names), positive, value, (high - low) / (2.0 * UPPER_95))


def _prior_row(name: str, family: str) -> Quantity:
    ours = load_quantities("thresher.calibration", "priors.yaml")
    for key in (f"{family}_{name}", name, own_names().get(name, "")):
        if key in ours:
            return ours[key]
    return load_quantities("thresher.learning", "data_efficiency.yaml")[name]


def on_device(rows: Rows) -> Rows:
    """The rows as JAX arrays."""
    return Rows(*(jnp.asarray(column) for column in rows))


def residual_distribution(rows: Rows, predicted: Expected, baseline_noise: Any) -> Any:
    """The joint distribution of the printed losses: rows of one size share their baseline's error."""
    cells = [np.asarray(mask, dtype=np.float64) for mask in sweep_cells(rows).values()]
    shared = jnp.asarray(np.stack(cells, axis=-1)) if cells else jnp.zeros((len(rows.loss), 1))
    return dist.LowRankMultivariateNormal(predicted.base + predicted.extra, baseline_noise * shared, predicted.variance)


def model(family: str, rows: Rows) -> None:
    """Priors of every number that the family has, and the likelihood of ``rows`` (NumPy arrays) and of the contrasts.

    All numbers are drawn as one vector of standard normals, about which the data are nearly round. The base law is drawn by
    what they fix well, its level and slope at the reference; offsets about the mean of what the base law leaves of their
    source's rows, so that the law may move beneath them.
    """
    numbers, offsets = priors(family)
    draw = numbers.values(numpyro.sample("standard", dist.Normal(jnp.zeros(len(numbers.names)), 1.0).to_event(1)))
    draw |= {
        "irreducible": draw.pop("level") - draw["reducible"],
        "exponent": draw.pop("slope") / draw["reducible"],
        **{name: jnp.asarray(value) for name, value in UNUSED[family].items()},
        "offset_unseen": jnp.asarray(0.0), "severity_unseen": jnp.asarray(1.0), "noise_unseen": jnp.asarray(0.0),
    }  # fmt: skip
    here = on_device(rows)
    members = np.stack([rows.source == _place(name) for name in offsets.names]).astype(np.float64)
    residual = here.loss - base_loss(here, draw, constants()["law"])
    about = members @ residual / np.maximum(members.sum(axis=1), 1.0)
    shift = numpyro.sample("shift", dist.ImproperUniform(dist.constraints.real_vector, (), (len(offsets.names),)))
    placed = about + OFFSET_SHIFT * shift
    numpyro.factor("offset", dist.Normal(offsets.mean, offsets.deviation).log_prob(placed).sum())
    draw |= dict(zip(offsets.names, placed, strict=True))
    numpyro.deterministic("draw", jnp.stack([draw[name] for name in parameter_names()]))

    given, count = contrasts(), len(rows.loss)
    together = Rows(*(np.concatenate(columns) for columns in zip(rows, given.rows, given.versus, strict=True)))
    predicted = expected(family, on_device(together), draw, **constants())
    of_rows, more, less = (
        Expected(*(column[part] for column in predicted))
        for part in (slice(count), slice(count, -len(given.share)), slice(-len(given.share), None))
    )
    numpyro.sample("loss", residual_distribution(rows, of_rows, draw["baseline_noise"]), obs=here.loss)
    numpyro.sample("increase", dist.Normal(_log_increase(more, less, given.share), given.log_error),
                   obs=jnp.asarray(given.log_increase))  # fmt: skip


def _log_increase(more: Expected, less: Expected, share: Any) -> Any:
    """The logarithm of each contrast's increase as the model has it, in nats or as a share of the loss."""
    increase = jnp.maximum(more.extra - less.extra, LEAST_INCREASE)
    return jnp.log(jnp.where(share > 0, increase / (less.base + less.extra), increase))


def start(family: str) -> dict[str, Any]:
    """Where a chain begins: at the priors' medians, every offset at its source's mean residual."""
    return {"standard": jnp.zeros(len(priors(family)[0].names)), "shift": jnp.zeros(len(priors(family)[1].names))}


def _place(offset: str) -> int:
    return [one.name for one in loss_sources()].index(offset.removeprefix("offset_"))
