"""Sampling: a family's posterior by NUTS on the CPU, in double precision, the same for the same seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import numpy as np
from numpyro.diagnostics import summary
from numpyro.infer import MCMC, NUTS, init_to_value

from thresher.calibration.model import model, start
from thresher.learning.loss_rows import Rows
from thresher.learning.replica_families import FAMILIES, UNUSED
from thresher.learning.replica_model import parameter_names

TARGET_ACCEPTANCE = 0.97
"""Steps short enough that hardly any diverges."""
SAMPLED_PER_KEPT = 2


@dataclass(frozen=True, slots=True)
class Settings:
    """How long to sample: ``draws`` kept of each family over all chains, and each chain's ``warmup``."""

    seed: int = 0
    draws: int = 1000
    warmup: int = 500
    chains: int = 4


@dataclass(frozen=True, slots=True)
class Fit:
    """A family's draws by number, each of one length, and how well they mixed."""

    family: str
    draws: Mapping[str, np.ndarray]
    max_rhat: float
    min_ess: float
    divergences: int
    diagnostics: Mapping[str, Mapping[str, float]]


def fit(family: str, rows: Rows, settings: Settings, progress: Callable[[str], None] = lambda _: None) -> Fit:
    """Sample a family's posterior given ``rows``.

    Twice as many draws are sampled as are kept, evenly over the chains, so that each kept one is worth more.
    """
    progress(f"{family}: {settings.chains} chains of {settings.warmup} + {_each(settings)} on {len(rows.loss)} rows")
    with jax.enable_x64(True):
        kernel = NUTS(
            model,
            dense_mass=True,
            target_accept_prob=TARGET_ACCEPTANCE,
            init_strategy=init_to_value(values=start(family)),
        )
        sampler = MCMC(
            kernel, num_warmup=settings.warmup, num_samples=_each(settings), num_chains=settings.chains,
            chain_method="sequential", progress_bar=False,
        )  # fmt: skip
        key = jax.random.fold_in(jax.random.PRNGKey(settings.seed), list(FAMILIES).index(family))
        sampler.run(key, family, rows, extra_fields=("diverging",))
        chains = np.asarray(sampler.get_samples(group_by_chain=True)["draw"])
        divergences = int(np.sum(sampler.get_extra_fields()["diverging"]))
    names = [name for name in parameter_names() if name not in UNUSED[family]]
    mixed = summary({name: chains[..., parameter_names().index(name)] for name in names})
    diagnostics = {name: {"r_hat": float(row["r_hat"]), "ess": float(row["n_eff"])} for name, row in mixed.items()}
    kept = np.linspace(0, settings.chains * _each(settings) - 1, settings.draws).round().astype(int)
    draws = dict(zip(parameter_names(), chains.reshape(-1, len(parameter_names()))[kept].T.copy(), strict=True))
    return Fit(
        family, draws, max(row["r_hat"] for row in diagnostics.values()),
        min(row["ess"] for row in diagnostics.values()), divergences, diagnostics,
    )  # fmt: skip


def _each(settings: Settings) -> int:
    """Draws sampled by a chain."""
    return math.ceil(SAMPLED_PER_KEPT * settings.draws / settings.chains)
