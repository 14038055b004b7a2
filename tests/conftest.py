"""What several tests share: plans to vary, and simulations of many at once."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from thresher.simulation import default
from thresher.simulation.plans import check_plan, plan_columns

# The same examples in every run: a failure is a finding, not an accident. `pytest --hypothesis-seed=N` looks elsewhere.
settings.register_profile("same", derandomize=True)
settings.load_profile("same")

DATA = Path(__file__).parent / "data"

PLAN = {
    "plan": {
        "mode": "flat",
        "nodes": 20,
        "chip": "B200",
        "chips_per_node": 8,
        "params": 72.7e9,
        "tokens": 1.1e12,
        "inner_steps": 30,
        "local_batch_tokens": 393216,
        "compression": 146,
        "topology": "gather",
        "compute_seconds_per_step": 40,
        "bytes_per_value": 2,
    },
    "network": {"upload_mbps": 110, "download_mbps": 500, "latency_ms": 100},
}


def plan_with(network=None, **changes):
    """The example plan with some fields changed; a field set to None is left out."""
    document = copy.deepcopy(PLAN)
    document["plan"] |= changes
    document["network"] |= network or {}
    document["plan"] = {name: value for name, value in document["plan"].items() if value is not None}
    return document


def run(document, **columns):
    """Simulate a plan with columns replaced by arrays; gives arrays."""
    checked = check_plan(document)
    count = max((np.size(value) for value in columns.values()), default=1)
    base = {name: np.full(count, value) for name, value in plan_columns(checked).items()}
    return default.simulate(
        base | {name: np.broadcast_to(np.asarray(value, float), (count,)) for name, value in columns.items()},
        default.parameters(),
        mode=checked["mode"],
        topology=checked["topology"],
        schedule=checked["schedule"],
    )


@pytest.fixture(scope="session")
def golden_cases():
    return json.loads((DATA / "published_calculator.json").read_text())


@pytest.fixture(scope="session")
def golden_search():
    return json.loads((DATA / "published_search.json").read_text())
