"""How uncertain parameters are drawn, what each rests on, and the loss law's bootstrap."""

import csv
import dataclasses
import importlib.util
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from thresher.catalog.networks import networks
from thresher.distributions import quantile
from thresher.errors import InputError
from thresher.learning.loss_laws import LossLaw, loss_law, loss_law_draws, optimal_compute_flop
from thresher.sources import Quantity, Source, load_quantities, parse_quantities

SOURCE = Source("s", "t", "a", "read")
GRID = np.linspace(0.001, 0.999, 999)


def quantity(value, low, high, distribution):
    return Quantity("x", value, "1", low, high, SOURCE, "", "", distribution)


def parsed(**row):
    document = {"sources": {"s": {"title": "t", "address": "a", "how": "read"}}}
    return parse_quantities({**document, "parameters": {"x": {"unit": "1", "source": "s", **row}}}, "p.yaml")["x"]


@st.composite
def ranges(draw):
    """Value, low and high; positive, and a little apart."""
    value = draw(st.floats(1e-6, 1e12))
    below, above = draw(st.floats(1.001, 1e3)), draw(st.floats(1.001, 1e3))
    return value, value / below, value * above


@given(ranges(), st.sampled_from(["pert", "lognormal"]))
def test_quantiles_never_fall(numbers, distribution):
    values = quantile(quantity(*numbers, distribution), GRID)
    assert np.all(np.isfinite(values))
    assert np.all(np.diff(values) >= 0)
    assert values[-1] > values[0]


@given(ranges())
def test_pert_stays_inside_its_range(numbers):
    _, low, high = numbers
    values = quantile(quantity(*numbers, "pert"), np.asarray([1e-15, 1e-9, 0.5, 1 - 1e-9, 1 - 1e-15]))
    assert np.all((low <= values) & (values <= high))


@given(ranges())
def test_a_lognormal_range_is_its_central_ninety_per_cent(numbers):
    value, low, high = numbers
    values = quantile(quantity(value, low, high, "lognormal"), np.asarray([0.05, 0.5, 0.95]))
    assert values == pytest.approx([low, value, high], rel=1e-12)


def test_each_half_of_a_lognormal_has_its_own_spread():
    values = quantile(quantity(10.0, 5.0, 100.0, "lognormal"), GRID)
    above, below = GRID > 0.5, GRID < 0.5
    one, two = (stats.lognorm(np.log(ratio) / 1.6448536269514722, scale=10.0) for ratio in (10.0, 2.0))
    assert values[above] == pytest.approx(one.ppf(GRID[above]))
    assert values[below] == pytest.approx(two.ppf(GRID[below]))


@pytest.mark.parametrize(
    ("value", "low", "high", "in_logarithm"),
    [(0.9, 0.8, 0.95, False), (1.0, 0.8, 1.0, False), (0.0, -1.0, 3.0, False), (0.02, 0.0, 0.3, False),
     (2.0, 1.0, 2.0, False), (3.0, 1.0, 10.0, True), (1e-4, 1e-7, 1e-2, True)],
)  # fmt: skip
def test_the_mode_of_pert_is_the_value(value, low, high, in_logarithm):
    """The density, by difference of quantiles, is highest there; in the logarithm where the range is wide."""
    u = np.linspace(0.0, 1.0, 20_001)[1:-1]
    x = quantile(quantity(value, low, high, "pert"), u)
    x = np.log(x) if in_logarithm else x
    left, mode, right = np.log([low, value, high]) if in_logarithm else (low, value, high)
    densest = np.argmin(x[200:] - x[:-200])
    assert (x[densest] + x[densest + 200]) / 2 == pytest.approx(mode, abs=0.03 * (right - left))
    assert x.mean() == pytest.approx((left + 4 * mode + right) / 6, abs=1e-3 * (right - left))


def test_fixed_is_the_value_in_any_shape():
    u = GRID[:12].reshape(3, 4)
    assert np.array_equal(quantile(quantity(7.0, 1.0, 9.0, "fixed"), u), np.full((3, 4), 7.0))
    assert quantile(quantity(7.0, 1.0, 9.0, "pert"), u).shape == (3, 4)
    assert quantile(quantity(7.0, 1.0, 9.0, "lognormal"), np.asarray(0.5)) == pytest.approx(7.0)


def test_the_same_numbers_every_time():
    one = quantity(3.0, 1.0, 10.0, "pert")
    assert np.array_equal(quantile(one, GRID), quantile(dataclasses.replace(one), GRID.copy()))


@pytest.mark.parametrize(
    ("row", "expected"),
    [({"value": 2}, "fixed"), ({"value": 2, "range": [2, 2]}, "fixed"), ({"value": 2, "range": [1, 3]}, "pert"),
     ({"value": 2, "range": [1, 3], "distribution": "lognormal"}, "lognormal"),
     ({"value": 2, "range": [1, 3], "distribution": "fixed"}, "fixed")],
)  # fmt: skip
def test_the_distribution_follows_the_range_unless_named(row, expected):
    assert parsed(**row).distribution == expected


@pytest.mark.parametrize(
    "row",
    [{"value": 2, "range": [1, 3], "distribution": "normal"}, {"value": 2, "distribution": "pert"},
     {"value": 2, "distribution": "lognormal"}, {"value": 2, "range": [0, 3], "distribution": "lognormal"},
     {"value": 2, "range": [2, 3], "distribution": "lognormal"}, {"value": 2, "range": [1, 3], "distribution": ["pert"]}],
)  # fmt: skip
def test_a_distribution_that_the_range_cannot_carry_is_refused_by_name(row):
    with pytest.raises(InputError, match=r"p\.yaml: x\.distribution"):
        parsed(**row)


def test_loss_law_draws_are_whole_and_sensible():
    draws = loss_law_draws()
    assert all(field.shape == (1000,) for field in draws)
    assert all(np.all(np.isfinite(field) & (field > 0)) for field in draws)
    assert np.all((draws.alpha > 0.25) & (draws.alpha < 0.45) & (draws.beta > 0.25) & (draws.beta < 0.5))
    text = files("thresher.learning").joinpath("data", "loss_law_draws.csv").read_text("utf-8")
    stored = {tuple(float(row[name]) for name in LossLaw._fields) for row in csv.DictReader(text.splitlines())}
    assert stored == set(zip(*(field.tolist() for field in draws), strict=True))
    assert not draws.alpha.flags.writeable


def test_loss_law_draws_have_the_published_centre_and_errors():
    """Besiroglu et al. print standard errors of 0.02, 0.02 and 0.03; the refit behind the draws has these."""
    draws, law = loss_law_draws(), loss_law("besiroglu_2024")
    assert np.std(draws.alpha, ddof=1) == pytest.approx(0.0146, rel=0.01)
    assert np.std(draws.beta, ddof=1) == pytest.approx(0.0204, rel=0.01)
    assert np.std(draws.E, ddof=1) == pytest.approx(0.0249, rel=0.01)
    for name, error in (("alpha", 0.02), ("beta", 0.02), ("E", 0.03)):
        assert np.median(getattr(draws, name)) == pytest.approx(getattr(law, name), abs=error / 4)
    assert np.corrcoef(np.log(draws.A), draws.alpha)[0, 1] > 0.99
    assert np.corrcoef(np.log(draws.B), draws.beta)[0, 1] > 0.99


def test_loss_law_draws_go_from_the_least_compute_to_the_most():
    draws = loss_law_draws()
    exponent = draws.alpha * draws.beta / (draws.alpha + draws.beta)
    assert np.all(np.diff(exponent) <= 0)
    excess = np.full(1000, 0.09453)  # nats above E that besiroglu_2024 has at 1e25 FLOP
    assert optimal_compute_flop(excess[:1], loss_law("besiroglu_2024")) == pytest.approx(1e25, rel=0.01)
    compute = optimal_compute_flop(excess, draws)
    assert stats.spearmanr(np.arange(1000), compute).statistic > 0.99
    assert np.all((compute > 1e24) & (compute < 1e26))


def every_parameter():
    """(file, name, row) of all parameter files that are read with their ranges."""
    rooms = {"training": ("physics", "plant", "utilisation", "site"), "simulation": ("costs",),
             "learning": ("data_efficiency", "data_stock", "loss_laws", "horizon")}  # fmt: skip
    for room, names in rooms.items():
        for file in names:
            for name, row in load_quantities(f"thresher.{room}", f"{file}.yaml").items():
                yield pytest.param(row, id=f"{file}:{name}")


@pytest.mark.parametrize("row", list(every_parameter()))
def test_every_uncertain_parameter_rests_on_something_and_can_be_drawn(row):
    assert row.low <= row.value <= row.high
    assert row.source.title
    assert row.source.address
    if row.source.how == "judgement" and row.low < row.high:
        assert row.note, "a judgement is argued"
    values = quantile(row, GRID)
    assert np.all(np.isfinite(values)) and np.all(np.diff(values) >= 0)
    if row.distribution == "pert":
        assert row.low < row.high
        assert np.all((row.low <= values) & (values <= row.high))
    if row.distribution == "lognormal":
        assert quantile(row, np.asarray([0.05, 0.5, 0.95])) == pytest.approx([row.low, row.value, row.high])
    if row.distribution == "fixed" and row.low < row.high and "besiroglu" not in row.name:
        assert "Not drawn" in row.note, "a range that is not drawn says why"


@pytest.mark.parametrize(
    ("room", "file", "name"),
    [("simulation", "costs.yaml", "chip_price_factor"), ("training", "plant.yaml", "link_rate_factor"),
     ("training", "utilisation.yaml", "mfu_factor")],
)  # fmt: skip
def test_what_is_measured_beside_a_model_has_median_one(room, file, name):
    row = load_quantities(f"thresher.{room}", file)[name]
    assert (row.value, row.distribution) == (1.0, "lognormal")
    assert quantile(row, np.asarray(0.5)) == pytest.approx(1.0)


def test_ranges_of_the_utilisation_are_those_of_its_refits():
    path = Path(__file__).parents[1] / "tools" / "fit_utilisation.py"
    spec = importlib.util.spec_from_file_location("fit_utilisation", path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    rows = load_quantities("thresher.training", "utilisation.yaml")
    left_out = np.exp(tool.left_out_residuals())
    assert len(left_out) == rows["fitted_rows"].value - 1
    factor = rows["mfu_factor"]
    assert [factor.low, factor.high] == pytest.approx(np.quantile(left_out, [0.05, 0.95]), rel=2e-3)
    refits = tool.bootstrap()
    for name in ("small_unit_mfu", "generation_factor_ampere"):
        assert [rows[name].low, rows[name].high] == pytest.approx(np.quantile(refits[name], [0.05, 0.95]), rel=0.01)
    assert rows["decline_exponent"].high == pytest.approx(np.quantile(refits["decline_exponent"], 0.995), rel=0.05)
    spread = np.exp(1.645 * rows["residual_rms"].value / np.sqrt(2))
    tpu = rows["generation_factor_tpu"]
    assert [tpu.low, tpu.high] == pytest.approx([tpu.value / spread, tpu.value * spread], rel=0.01)


def test_the_link_factor_is_that_of_its_six_fleets():
    """The arithmetic of the note: a ring among n sends 2 (n - 1) / n of the payload each way."""
    ring = [(1.02e10 * 8, 14, 103, 856), (1.02e10 * 8, 14, 382, 500), (1.02e10 * 8, 14, 469, 500),
            (1.073e9 * 8, 12, 35.2, 856), (1.073e9 * 8, 18, 90.5, 500)]  # fmt: skip
    had = [2 * (n - 1) / n * bits / seconds / 1e6 / nominal for bits, n, seconds, nominal in ring]
    had.append(703 / 1322)
    row = load_quantities("thresher.training", "plant.yaml")["link_rate_factor"]
    assert [row.low, row.high] == pytest.approx([min(had), max(had)], rel=0.01)
    known = networks()
    assert known["continental"].upload_mbps == 856
    assert known["continental"].download_mbps == 1322
    assert known["cross-continental"].upload_mbps == 500
