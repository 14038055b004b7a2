"""The calibration's model: priors from a data file, and the likelihood of every measured loss, for one family."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from thresher.learning.loss_rows import Rows, loss_sources
from thresher.learning.replica_families import UNUSED
from thresher.learning.replica_model import Expected, constants, expected, own_names, parameter_names, sweep_cells
from thresher.sources import Quantity, load_quantities

UPPER_95 = 1.6448536269514722
"""The standard normal quantile of 95%."""


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


def prior(name: str, family: str) -> Any:
    """A number's prior, by its own name or its kind: the range in the file is its central 90%, log-normal where positive."""
    row = _prior_row(name, family)
    half = 2.0 * UPPER_95
    if row.low > 0:
        return dist.LogNormal(math.log(row.value), math.log(row.high / row.low) / half)
    return dist.Normal(row.value, (row.high - row.low) / half)


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
    """Priors of every number that the family has, and the likelihood of ``rows`` (NumPy arrays) and of the contrasts."""
    absent, offsets = UNUSED[family], {name for name, kind in own_names().items() if kind == "offset"}
    draw: dict[str, Any] = {name: jnp.asarray(value) for name, value in absent.items()} | _base_law(family)
    draw |= {"offset_unseen": jnp.asarray(0.0), "severity_unseen": jnp.asarray(1.0), "noise_unseen": jnp.asarray(0.0)}
    for name in parameter_names():
        if name not in draw and name not in offsets:
            draw[name] = numpyro.sample(name, prior(name, family))
    here = on_device(rows)
    without = expected(family, here, draw, **constants())
    for name in offsets:
        draw[name] = _offset(name, family, rows, rows.loss - without.base - without.extra)
    predicted = expected(family, here, draw, **constants())
    numpyro.sample("loss", residual_distribution(rows, predicted, draw["baseline_noise"]), obs=jnp.asarray(rows.loss))
    log_increase, error = contrast_prediction(family, draw)
    numpyro.sample("increase", dist.Normal(log_increase, error), obs=jnp.asarray(contrasts().log_increase))


def _base_law(family: str) -> dict[str, Any]:
    """The base law, sampled by what the data fix well: its level and slope at the reference."""
    level, reducible, slope = (numpyro.sample(name, prior(name, family)) for name in ("level", "reducible", "slope"))
    return {
        "irreducible": numpyro.deterministic("irreducible", level - reducible),
        "reducible": reducible,
        "exponent": numpyro.deterministic("exponent", slope / reducible),
    }


def _offset(name: str, family: str, rows: Rows, residual: Any) -> Any:
    """A source's offset with its prior, sampled about the mean residual of its rows so that the law may move beneath it."""
    place = [one.name for one in loss_sources()].index(name.removeprefix("offset_"))
    mine = rows.source == place
    about = jnp.mean(residual[mine]) if mine.any() else prior(name, family).mean
    shift = numpyro.sample(f"{name}_shift", dist.ImproperUniform(dist.constraints.real, (), ()))
    offset = numpyro.deterministic(name, about + shift)
    numpyro.factor(f"{name}_prior", prior(name, family).log_prob(offset))
    return offset


def contrast_prediction(family: str, draw: Mapping[str, Any]) -> tuple[Any, Any]:
    """The logarithm of each contrast's increase as the model has it, and its error."""
    given = contrasts()
    more, less = (
        expected(family, on_device(rows), draw, **constants()) for rows in (given.rows, given.versus)
    )
    increase = jnp.maximum(more.extra - less.extra + 0.0, 1e-12)
    whole = less.base + less.extra
    return jnp.log(jnp.where(given.share > 0, increase / whole, increase)), given.log_error
