"""Draws of everything uncertain: complete, deterministic, low in discrepancy, and central where nothing is asked."""

import numpy as np
import pytest

from thresher.errors import InputError
from thresher.learning.loss_laws import loss_law_draws
from thresher.learning.posterior import load_posterior
from thresher.learning.replica_families import FAMILIES
from thresher.simulation import default
from thresher.simulation.draws import (
    FAMILY,
    MISFIT,
    ROW,
    _document,
    by_severity,
    check_draws,
    dimensions,
    draw_worlds,
    groups,
    of_rows,
    quantile_or_infinite,
    smoothed,
    unit_points,
    worlds_at,
)
from thresher.simulation.parameters import quantities


def test_every_parameter_with_a_distribution_is_drawn_or_said_not_to_be():
    drawn = {name for name, row in quantities().items() if row.distribution != "fixed"}
    whole = set(next(iter(load_posterior().draws.values())))
    asked = set(dimensions()) - {FAMILY, ROW, MISFIT, "loss_law"}
    assert asked <= drawn
    assert drawn - asked - whole == set(_document()["not_drawn"])
    members = [name for group in groups() for name in group.members]
    assert len(members) == len(set(members)) == len(dimensions())


def test_a_seed_gives_the_same_worlds_and_another_gives_others():
    one, two, other = draw_worlds(40, 7), draw_worlds(40, 7), draw_worlds(40, 8)
    assert np.array_equal(one.unit, two.unit)
    assert all(np.array_equal(value, two.parameters[name]) for name, value in one.parameters.items())
    assert not np.array_equal(one.unit, other.unit)


def test_fewer_draws_are_the_first_of_more_within_a_power_of_two():
    assert np.array_equal(unit_points(40, 3), unit_points(64, 3)[:40])


def test_points_fill_the_cube_more_evenly_than_chance():
    points = np.sort(unit_points(256, 0), axis=0)
    even = (np.arange(256) + 0.5) / 256
    assert np.abs(points - even[:, None]).max() < 1 / 64  # chance leaves gaps of about 1 / 11


def test_what_is_not_asked_for_is_central():
    worlds = worlds_at(np.full((3, len(dimensions())), np.nan))
    for name, value in default.parameters().items():
        assert np.allclose(worlds.parameters[name], value), name


def test_families_come_as_often_as_they_weigh():
    worlds = draw_worlds(1024, 0)
    for place, name in enumerate(FAMILIES):
        assert np.mean(worlds.family == place) == pytest.approx(load_posterior().weights[name], abs=0.01)


def test_a_row_of_the_posterior_is_drawn_whole():
    worlds = draw_worlds(64, 0)
    for at in range(64):
        family = list(FAMILIES)[worlds.family[at]]
        rows = load_posterior().draws[family]
        same = np.ones(len(rows["replica_scale"]), dtype=bool)
        for name in ("replica_scale", "replica_size_exponent", "inner_step_scale", "staleness_data_cost"):
            same &= rows[name] == worlds.parameters[name][at]
        assert same.any(), family


def test_a_row_of_the_loss_law_is_drawn_whole():
    law, worlds = loss_law_draws(), draw_worlds(64, 0)
    known = set(zip(law.E.tolist(), law.A.tolist(), law.beta.tolist(), strict=True))
    drawn = zip(*(worlds.parameters[f"loss_law_{name}"].tolist() for name in ("E", "A", "beta")), strict=True)
    assert set(drawn) <= known


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_are_ordered_by_what_they_add_and_smoothing_keeps_the_middle(family):
    rows = load_posterior().draws[family]
    order = by_severity(family, rows)
    assert sorted(order) == list(range(len(rows["replica_scale"])))
    smooth = smoothed(load_posterior()).draws[family]["replica_scale"]
    assert np.abs(np.diff(smooth)).max() < np.abs(np.diff(rows["replica_scale"][order])).max()
    assert np.median(smooth) == pytest.approx(np.median(rows["replica_scale"]), rel=0.05)


def test_rows_have_the_parameters_of_their_draw():
    worlds = draw_worlds(8, 0)
    draw = np.asarray([5, 0, 5])
    here = of_rows(worlds.parameters, draw)
    assert np.array_equal(here["small_unit_mfu"], worlds.parameters["small_unit_mfu"][draw])
    assert here["inner_step_reference"] == worlds.parameters["inner_step_reference"]
    assert of_rows(worlds.parameters, None) is worlds.parameters


def test_quantiles_of_what_may_be_out_of_reach_are_never_between_a_number_and_none():
    values = np.asarray([1.0, 2.0, 3.0, np.inf])
    assert quantile_or_infinite(values, [0.25, 0.5, 0.75, 0.95]).tolist() == [1.0, 2.0, 3.0, np.inf]


@pytest.mark.parametrize(
    ("draws", "seed", "named"),
    [
        (0, 0, "--draws"),
        (-3, 0, "--draws"),
        (10**9, 0, "--draws"),
        (1.5, 0, "--draws"),
        (True, 0, "--draws"),
        (10, -1, "--seed"),
        (10, 2**40, "--seed"),
    ],
)
def test_senseless_counts_and_seeds_are_refused_by_name(draws, seed, named):
    with pytest.raises(InputError, match=named):
        check_draws(draws, seed)
