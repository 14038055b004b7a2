"""The default model FLOP utilisation: its fit, what it was fitted to, and its limits."""

import importlib.util
from pathlib import Path

import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.catalog.chips import chips
from thresher.sources import load_quantities
from thresher.training.utilisation import default_mfu, generation_factor, published_runs, utilisation_parameters

QUANTITIES = load_quantities("thresher.training", "utilisation.yaml")
counts = st.floats(1, 1e6)
factors = st.floats(0.01, 3)


def mfu(generation, count):
    return float(
        default_mfu(generation_factor=generation_factor(generation).value, chips=count, **utilisation_parameters())
    )


def test_refit_gives_the_stored_numbers():
    path = Path(__file__).parents[1] / "tools" / "fit_utilisation.py"
    spec = importlib.util.spec_from_file_location("fit_utilisation", path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    refit = tool.report()
    stored = {name: refit[name if name != "fitted_rows" else "rows"] for name, row in QUANTITIES.items()
              if row.source.id == "fit" and name != "generation_factor_hopper"}  # fmt: skip
    assert stored == {name: pytest.approx(QUANTITIES[name].value, rel=2e-3) for name in stored}
    assert {"small_unit_mfu", "decline_exponent", "generation_factor_ampere", "residual_rms"} <= stored.keys()


@pytest.mark.parametrize(
    ("generation", "count", "published"),
    [("hopper", 8, 0.433), ("hopper", 8, 0.457), ("hopper", 64, 0.483), ("hopper", 1024, 0.41), ("hopper", 16384, 0.40),
     ("ampere", 384, 0.48), ("ampere", 1024, 0.442), ("tpu", 6144, 0.462), ("volta", 10000, 0.197)],
)  # fmt: skip
def test_published_runs_within_a_seventh(generation, count, published):
    assert mfu(generation, count) == pytest.approx(published, rel=1 / 7)


def test_half_of_the_fitted_runs_within_nine_percent():
    runs = [run for run in published_runs() if run.fitted]
    errors = [abs(mfu(run.generation, run.chips) / run.mfu - 1) for run in runs]
    assert len(runs) == QUANTITIES["fitted_rows"].value
    assert np.median(errors) < 0.09


def test_blackwell_respects_its_lower_bound():
    bound = next(run for run in published_runs() if run.generation == "blackwell")
    assert not bound.fitted
    assert mfu("blackwell", bound.chips) >= bound.mfu
    low = QUANTITIES["generation_factor_blackwell"].low
    assert low * utilisation_parameters()["small_unit_mfu"] == pytest.approx(bound.mfu, rel=0.02)


def test_nothing_published_exceeds_the_ceiling():
    assert max(run.mfu for run in published_runs()) == QUANTITIES["highest_seen_mfu"].value


@given(factors, counts, counts)
def test_monotone_in_chips_and_never_above_what_was_seen(factor, one, other):
    few, many = (
        float(default_mfu(generation_factor=factor, chips=count, **utilisation_parameters()))
        for count in sorted((one, other))
    )
    assert 0 < many <= few <= QUANTITIES["highest_seen_mfu"].value < 1


def test_small_units_do_not_extrapolate():
    assert mfu("hopper", 1) == mfu("hopper", 8) == mfu("hopper", 64) > mfu("hopper", 65)


def test_every_generation_of_the_catalog_has_a_factor():
    for generation in {chip.generation for chip in chips().values()}:
        factor = generation_factor(generation)
        assert 0 < factor.low <= factor.value <= factor.high
    assert generation_factor("cdna3").source.how == generation_factor("of the future").source.how == "judgement"
    fallback = generation_factor("cdna3")
    assert fallback.high / fallback.low > 2


def test_strict_arrays_agree_with_numpy():
    count, factor = [1.0, 64.0, 512.0, 16384.0], [1.0, 0.5, 0.9, 2.0]
    here = default_mfu(generation_factor=np.asarray(factor), chips=np.asarray(count), **utilisation_parameters())
    strict = default_mfu(
        generation_factor=array_api_strict.asarray(factor),
        chips=array_api_strict.asarray(count),
        **utilisation_parameters(),
    )
    np.testing.assert_allclose(np.asarray(strict), here, rtol=1e-14)
    one_of_each = default_mfu(generation_factor=array_api_strict.asarray(factor), chips=8.0, **utilisation_parameters())
    assert one_of_each.shape == (4,)
