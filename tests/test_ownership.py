"""Shares along every path, command over votes, circles and groups: against brute force, dense solves and hand-made cases."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.screening.ownership import (
    chain_of,
    circles,
    climb,
    ends_in,
    groups_of,
    joint_majorities,
    links_up,
    shares_along_paths,
    ultimate_control,
    walk_up,
)

X, A, B, C, D = range(5)


def arrays(edges):
    owner, owned, share = zip(*edges, strict=True) if edges else ((), (), ())
    return np.array(owner, np.int64), np.array(owned, np.int64), np.array(share, float)


def command(count, edges, stated=()):
    owner, owned, share = arrays(edges)
    flags = np.array([edge[:2] in stated for edge in edges], bool)
    return ultimate_control(count, owner, owned, share, flags, majority=0.5)


def cumulative(count, edges, *, largest_circle=200, **choices):
    """The integrated shares as a dense matrix: owner by company."""
    walk = walk_up(count, *arrays(edges), largest_circle=largest_circle)
    return shares_along_paths(walk, np.arange(count), longest_chain=100, **choices).toarray().T


@st.composite
def holdings(draw, acyclic, closed=False):
    """A random register: entities, and edges whose shares add up to at most 1 (or to just 1) for each company."""
    count = draw(st.integers(2, 8))
    pairs = [(i, j) for i, j in itertools.permutations(range(count), 2) if i < j or not acyclic]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=16))
    weights = draw(st.lists(st.integers(1, 20), min_size=len(chosen), max_size=len(chosen)))
    total = np.zeros(count)
    for (_, company), weight in zip(chosen, weights, strict=True):
        total[company] += weight
    missing = (
        np.zeros(count) if closed else np.array(draw(st.lists(st.integers(0, 20), min_size=count, max_size=count)))
    )
    edges = [(i, j, w / (total[j] + missing[j])) for (i, j), w in zip(chosen, weights, strict=True)]
    return count, edges


@given(holdings(acyclic=True))
@settings(deadline=None)
def test_shares_are_the_products_along_every_path_added_up(register):
    count, edges = register
    found = cumulative(count, edges)
    below = {i: [(j, share) for owner, j, share in edges if owner == i] for i in range(count)}

    def paths(at, share, total):
        for company, held in below[at]:
            total[company] += share * held
            paths(company, share * held, total)

    for owner in range(count):
        total = np.zeros(count)
        paths(owner, 1.0, total)
        assert found[owner] == pytest.approx(total, abs=1e-12)


@given(holdings(acyclic=False))
@settings(deadline=None)
def test_shares_through_circles_are_those_of_a_dense_solve(register):
    count, edges = register
    direct = np.zeros((count, count))
    for i, j, share in edges:
        direct[i, j] = share
    # Y[i, j] = N[i, j] / N[i, i], solved as: what i holds of j, directly and through all others than itself
    expected = np.zeros((count, count))
    for i in range(count):
        others = [k for k in range(count) if k != i]
        through = np.eye(count - 1) - direct[np.ix_(others, others)]
        # a closed circle that i is not in makes this singular; the least solution is the limit of shares a little smaller
        solution, *_ = np.linalg.lstsq(through.T, direct[i, others], rcond=None)
        if abs(np.linalg.det(through)) < 1e-9:
            return
        expected[i, others] = solution
    assert cumulative(count, edges) == pytest.approx(expected, abs=1e-12)


@given(holdings(acyclic=False))
@settings(deadline=None)
def test_circles_too_large_to_be_solved_are_walked_to_the_same_shares(register):
    count, edges = register
    edges = [(i, j, 0.7 * share) for i, j, share in edges]
    assert cumulative(count, edges, largest_circle=1) == pytest.approx(cumulative(count, edges), abs=1e-9)


@given(holdings(acyclic=False, closed=True))
@settings(deadline=None)
def test_closed_circles_end(register):
    count, edges = register
    found = cumulative(count, edges)
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1 + 1e-12)).all()
    walk = walk_up(count, *arrays(edges), largest_circle=200)
    held = np.isin(np.arange(count), [j for _, j, _ in edges])
    tops = ends_in(walk, (~held).astype(float), longest_chain=100)
    # what the tops own of each company, added up, is what does not go round in circles for ever
    assert found[~held].sum(axis=0)[held] == pytest.approx(tops[held], abs=1e-9)


def test_a_pyramid_is_owned_by_its_product_and_commanded_by_nobody():
    edges = [(X, A, 0.499), (A, B, 0.499)]
    assert cumulative(3, edges)[X, B] == pytest.approx(0.249001, abs=1e-15)
    assert command(3, edges).head.tolist() == [X, A, B]


def test_two_halves_through_wholly_owned_shells_command():
    edges = [(X, A, 1.0), (X, B, 1.0), (A, C, 0.499), (B, C, 0.499)]
    found = command(4, edges)
    assert found.head.tolist() == [X, X, X, X]
    assert found.above.tolist() == [X, X, X, A]
    assert links_up(found)[0].tolist() == [0, 1, 1, 2]
    assert cumulative(4, edges)[X, C] == pytest.approx(0.998, abs=1e-15)


def test_half_is_not_more_than_half():
    assert command(2, [(X, A, 0.5)]).head.tolist() == [X, A]
    assert command(2, [(X, A, 0.5 + 1e-6)]).head.tolist() == [X, X]
    assert command(5, [(X, D, 0.1), (A, D, 0.2), (B, D, 0.2), (X, A, 1), (X, B, 1)]).head[D] == D


def test_two_who_own_each_other_are_one_under_the_least():
    found = command(2, [(X, A, 1.0), (A, X, 1.0)])
    assert found.head.tolist() == [X, X]
    assert found.circle.tolist() == [True, True]
    assert cumulative(2, [(X, A, 1.0), (A, X, 1.0)]).tolist() == [[0, 1], [1, 0]]


def test_an_outsider_takes_a_circle_that_holds_most_of_itself():
    # A and B hold 60% of each other, X the rest of one: the company's own votes do not count
    edges = [(A, B, 0.6), (B, A, 0.6), (X, A, 0.4), (X, B, 0.4)]
    found = command(3, edges)
    assert found.head.tolist() == [X, X, X]
    assert not found.circle.any()
    assert cumulative(3, edges)[X, [A, B]] == pytest.approx([1.0, 1.0], abs=1e-12)
    assert command(3, edges[:3]).head.tolist() == [X, X, X]
    assert command(3, [*edges[:2], (X, A, 0.2)]).head.tolist() == [X, A, A]


def test_a_company_that_holds_itself_is_its_outsiders():
    edges = [(A, A, 0.6), (X, A, 0.4)]
    assert command(2, edges).head.tolist() == [X, X]
    assert cumulative(2, edges)[X, A] == pytest.approx(1.0, abs=1e-12)


def test_a_circle_of_three_with_a_tail_below_and_an_owner_above():
    edges = [(A, B, 0.7), (B, C, 0.7), (C, A, 0.7), (C, D, 1.0), (X, A, 0.3)]
    found = command(5, edges)
    assert found.head.tolist() == [X] * 5
    assert found.above.tolist() == [X, X, A, B, C]
    assert command(5, edges[:-1]).head.tolist() == [X, A, A, A, A]


def test_a_statement_of_control_decides_over_votes():
    found = command(3, [(X, B, 0.0), (A, B, 0.9)], stated={(X, B)})
    assert found.head.tolist() == [X, A, X]
    assert found.stated.tolist() == [False, False, True]


def test_the_winner_is_the_same_whatever_the_order_of_the_edges():
    edges = [(X, A, 1.0), (A, B, 0.3), (X, B, 0.3), (B, C, 0.3), (A, C, 0.3), (C, D, 0.51)]
    heads = {tuple(command(5, list(order)).head.tolist()) for order in itertools.permutations(edges)}
    assert heads == {(X,) * 5}


@given(holdings(acyclic=True))
@settings(deadline=None)
def test_command_is_that_of_each_ones_own_fixed_point(register):
    count, edges = register
    owner, owned, share = arrays(edges)
    commands = np.eye(count, dtype=bool)
    while True:
        votes = np.zeros((count, count))
        for i, j, held in zip(owner, owned, share, strict=True):
            votes[:, j] += commands[:, i] * held
        more = commands | (votes > 0.5 + 1e-9)
        if (more == commands).all():
            break
        commands = more
    top = commands.sum(axis=0) == 1
    found = command(count, edges)
    assert [found.head[j] for j in range(count)] == [np.flatnonzero(commands[:, j] & top)[0] for j in range(count)]
    assert (commands[found.above, np.arange(count)]).all()


@given(holdings(acyclic=False))
@settings(deadline=None)
def test_command_is_the_fixed_point_of_each_head(register):
    """Nobody outside a head's group has more than half of the votes that are left in it; in the group somebody has."""
    count, edges = register
    found = command(count, edges)
    owner, owned, share = arrays(edges)
    for company in range(count):
        mine = owned == company
        by_head = np.bincount(found.head[owner[mine]], share[mine], minlength=count)
        own = by_head[found.head[company]]
        if found.head[company] == company and not found.circle[company]:
            rest = np.delete(by_head, company)
            assert (rest <= 0.5 * (1 - own) + 1e-9).all()
        elif not found.circle[company]:
            assert own > 0


def test_chains_and_ladders_of_any_length_end():
    count = 3000
    chain = [(i, i + 1, 1.0) for i in range(count - 1)]
    found = command(count, chain)
    assert (found.head == 0).all()
    assert links_up(found)[0].tolist() == list(range(count))
    # a ladder: each step is held by two halves of the step above, so every step needs a round of its own
    ladder = [(0, 1, 1.0), (0, 2, 1.0)]
    for step in range(1, 300):
        left, right = 2 * step - 1, 2 * step
        ladder += [(up, down, 0.499) for up in (left, right) for down in (left + 2, right + 2)]
    assert (command(603, ladder).head[:601] == 0).all()
    ring = [(i, (i + 1) % 500, 1.0) for i in range(500)]
    assert command(500, ring).circle.all()
    assert circles(500, *arrays(ring)[:2])[1].tolist() == [500] * 500
    # too large to be inverted: walked as far as the longest chain, and no share above the whole
    shares = cumulative(500, ring)
    assert shares.max() == 1
    assert (shares[:, 0] > 0).sum() == 100


def test_small_flows_are_followed_unless_there_are_too_many():
    edges = [(i, 40 + i % 4, 0.001 * (i + 1)) for i in range(40)] + [(40 + i, 44, 0.25) for i in range(4)]
    exact = cumulative(45, edges)
    assert exact[3, 44] == pytest.approx(0.001, abs=1e-15)
    rough = cumulative(45, edges, most_owners=0, smallest_flow=0.02)
    assert rough[3, 44] == 0
    assert (rough <= exact + 1e-15).all()


def test_what_adds_up_along_a_chain():
    above = np.array([0, 0, 1, 2, 4])
    assert climb(above, np.array([1.0, 10, 100, 1000, 7])).tolist() == [1, 11, 111, 1111, 7]
    place, entity, links = chain_of(above, np.array([3, 4]), longest_chain=2)
    assert sorted(zip(place.tolist(), links.tolist(), entity.tolist(), strict=True)) == [
        (0, 0, 3), (0, 1, 2), (0, 2, 1), (1, 0, 4),
    ]  # fmt: skip


def test_groups_that_grow_too_large_are_cut_at_their_weakest_links():
    # two triangles of strong links, and a weak one between them
    left = np.array([0, 1, 0, 3, 4, 3, 2])
    right = np.array([1, 2, 2, 4, 5, 5, 3])
    chance = np.array([0.99] * 6 + [0.81])
    assert groups_of(7, left, right, chance, largest_group=6).tolist() == [0, 0, 0, 0, 0, 0, 6]
    assert groups_of(7, left, right, chance, largest_group=5).tolist() == [0, 0, 0, 3, 3, 3, 6]
    assert groups_of(7, left, right, chance, largest_group=2).tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_relatives_command_together_what_none_commands_alone():
    owner, owned, share = arrays([(0, 2, 0.3), (1, 2, 0.3), (2, 3, 1.0), (1, 4, 0.3), (2, 4, 0.3)])
    head = ultimate_control(5, owner, owned, share, np.zeros(5, bool), majority=0.5).head
    assert head.tolist() == [0, 1, 2, 2, 4]
    group, won_by = joint_majorities(owner, owned, share, head, np.array([0, 0, 2, 3, 4]), majority=0.5)
    # they command 2, and with the vote of 2 also 4
    assert group[head].tolist() == [0, 0, 0, 0, 0]
    assert won_by.tolist() == [-1, -1, 0, -1, 0]
    apart, won_by = joint_majorities(owner, owned, share, head, np.arange(5), majority=0.5)
    assert apart[head].tolist() == [0, 1, 2, 2, 4]
    assert won_by.tolist() == [-1] * 5


def test_nothing_is_owned_in_an_empty_register():
    found = command(0, [])
    assert len(found.head) == 0
    assert command(3, []).head.tolist() == [0, 1, 2]
    assert cumulative(3, []).sum() == 0
    assert groups_of(0, *arrays([]), largest_group=5).tolist() == []
