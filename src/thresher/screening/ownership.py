"""Who owns and who controls a company, as functions on arrays: shares along every path, commands over votes, circles.

Two notions are kept apart. A *share* is what somebody would get of a company that paid everything out: the products of
the shares along each path, added up. *Control* is who commands the vote: more than half of a company's votes, held directly
or by companies under the same control, commands the whole of it. Entities are numbers from 0; an edge is a holding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, diags_array, vstack
from scipy.sparse.csgraph import connected_components

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

ROUNDING = 1e-9
"""Shares are read from registers with a few digits; what is smaller than this is the arithmetic's, not theirs."""


def circles(count: int, owner: Integers, owned: Integers) -> tuple[Integers, Integers]:
    """Companies that own each other in a circle: strongly connected components of the holdings.

    Returns
    -------
    For each entity the least entity of its circle (itself, where it is in none), and how many are in it (1, or 0 for an
    entity that is in no circle and does not hold itself).
    """
    number = connected_components(_matrix(count, owner, owned), connection="strong")[1]
    least, size = _least_and_size(number, count)
    alone = size == 1
    alone[owner[owner == owned]] = False
    return least, np.where(alone, 0, size)


def _matrix(count: int, row: Integers, column: Integers, value: Floats | None = None) -> csr_array:
    return coo_array((np.ones(len(row)) if value is None else value, (row, column)), shape=(count, count)).tocsr()


def _least_and_size(number: Integers, count: int) -> tuple[Integers, Integers]:
    least = np.full(int(number.max(initial=-1)) + 1, count)
    np.minimum.at(least, number, np.arange(count))
    return least[number], np.bincount(number)[number] if count else number


class Walk(NamedTuple):
    """A walk up the share registers: from a company to an owner, each with the probability of its share.

    Sparse matrices whose rows are companies: ``visits``, how often a walk that comes to a circle at the row's company is at
    each company of the circle; ``meets``, the probability that it ever is; ``onward``, the probability that it leaves the
    circle for the column's owner. A company in no circle is a circle of its own. A walk may also end, in the part of a
    company that nobody is known to own. ``open_circle`` flags the companies of circles too large to be solved exactly:
    there the walk goes on step by step.
    """

    visits: csr_array
    meets: csr_array
    onward: csr_array
    open_circle: Flags


def walk_up(count: int, owner: Integers, owned: Integers, share: Floats, *, largest_circle: int) -> Walk:
    """The walk up the registers of `shares_along_paths`, with every circle of at most ``largest_circle`` solved exactly.

    Parameters
    ----------
    count
        Entities.
    owner, owned, share
        Holdings, each pair once; the shares of a company add up to at most 1.
    largest_circle
        Companies; a circle's inverse is dense, so larger ones are walked step by step.
    """
    some = share > 0
    owner, owned, share = owner[some], owned[some], share[some]
    steps = _matrix(count, owned, owner, share)
    number = connected_components(steps, connection="strong")[1].astype(np.int64)
    size = np.bincount(number, minlength=1)[number] if count else number
    own = owner == owned
    circular = size > 1
    circular[owner[own]] = True
    open_circle = size > largest_circle
    inside = (number[owner] == number[owned]) & ~open_circle[owned]
    members = np.flatnonzero(circular & ~open_circle)
    solved = _solve_circles(members, number[members], (owned[inside], owner[inside], share[inside]), count)
    rows, columns, visit, meet = solved
    alone = np.ones(count)
    alone[members] = 0
    lone = diags_array(alone, format="csr")
    visits = (lone + _matrix(count, rows, columns, visit)).tocsr()
    meets = (lone + _matrix(count, rows, columns, meet)).tocsr()
    outward = _matrix(count, owned[~inside], owner[~inside], share[~inside])
    onward = (visits @ outward).tocsr()
    onward.eliminate_zeros()
    return Walk(visits, meets, onward, open_circle)


def _solve_circles(
    members: Integers, circle: Integers, inside: tuple[Integers, Integers, Floats], count: int
) -> tuple[Integers, Integers, Floats, Floats]:
    """Expected visits ``(I - P)^-1`` and meeting probabilities within each circle, circles of one size at a time."""
    members = members[np.argsort(circle, kind="stable")]
    _, start, group, size = np.unique(np.sort(circle), return_index=True, return_inverse=True, return_counts=True)
    place = np.zeros(count, dtype=np.int64)
    place[members] = np.arange(len(members)) - start[group]
    group_of = np.zeros(count, dtype=np.int64)
    group_of[members] = group
    company, holder, share = inside
    parts: list[tuple[Integers, Integers, Floats, Floats]] = [
        (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0))
    ]
    for width in np.unique(size):
        alike = np.flatnonzero(size == width)
        rank = np.full(len(size), -1)
        rank[alike] = np.arange(len(alike))
        here = rank[group_of[company]] >= 0 if len(company) else np.zeros(0, dtype=bool)
        step = np.zeros((len(alike), width, width))
        at = (rank[group_of[company[here]]], place[company[here]], place[holder[here]])
        step[at] = share[here]
        # nothing leaves a closed circle: a walk in it meets every member and never ends
        closed = (1 - step.sum(axis=2)).max(axis=1) < ROUNDING
        step[closed] = 0
        visits = np.linalg.inv(np.eye(width) - step).astype(float)
        meets = visits / np.diagonal(visits, axis1=1, axis2=2)[:, None, :]
        visits[closed] = 0
        meets[closed] = 1
        who = members[start[alike][:, None] + np.arange(width)]
        parts.append(
            (
                np.repeat(who, width, axis=1).ravel(),
                np.tile(who, (1, width)).ravel(),
                visits.ravel(),
                meets.ravel(),
            )
        )
    rows, columns, visit, meet = (np.concatenate(part) for part in zip(*parts, strict=True))
    return rows, columns, visit, meet


def shares_along_paths(
    walk: Walk,
    companies: Integers,
    *,
    longest_chain: int,
    smallest_flow: float = 0.01,
    most_owners: int = 50,
    at_once: int = 10_000,
) -> csr_array:
    """The cumulative share of every owner in some companies, along all paths.

    With ``A[i, j]`` the share of ``j`` that ``i`` holds and ``N = (I - A)^-1 = I + A + A^2 + ...``, the integrated share of
    ``i`` in ``j`` is ``Y[i, j] = N[i, j] / N[i, i]``: the products along every path from ``i`` to ``j`` that does not come
    back to ``i``, so that a circle is not counted again and again. It is the probability that a walk up the registers from
    ``j``, which takes each owner with the probability of its share, ever meets ``i``: that stays within 0 and 1, and is defined
    for closed circles too, where ``I - A`` cannot be inverted (A owns B and B owns A: each is met surely). In circles too large
    to be solved, ``N`` is summed as far as ``longest_chain``.

    Brioschi, Buzzacchi & Colombo, "Risk capital financing and the separation of ownership and control in business groups",
    Journal of Banking & Finance 13 (1989) 747-772; Baldone, Brioschi & Paleari, "Ownership measures among firms connected
    by cross-shareholdings", in Zopounidis (ed.), Operational tools in the management of financial risks (1998); Vitali,
    Glattfelder & Battiston, "The network of global corporate control", PLoS ONE 6 (2011) e25995, Appendix S1.

    Parameters
    ----------
    walk
        From `walk_up`.
    companies
        Those whose owners are asked for.
    longest_chain
        Links followed; what lies beyond counts as nobody's.
    smallest_flow
        Where a company has more than ``most_owners`` owners at one distance, on average over those walked together, smaller
        probabilities than this are not followed further; the shares are then lower bounds. Elsewhere all are followed.
    most_owners
        See ``smallest_flow``.
    at_once
        Companies walked together, which bounds the memory.

    Returns
    -------
    A matrix of ``len(companies)`` rows and a column for each entity; the share of a company in itself is left out.
    """
    count = walk.onward.shape[0]
    follow = (longest_chain, smallest_flow, most_owners)
    comes_back = np.ones(count)
    for some in _batches(np.flatnonzero(walk.open_circle), at_once):
        comes_back[some] = _visits(walk, some, *follow).tocsc()[np.arange(len(some)), some]
    parts = []
    for some in _batches(companies, at_once):
        met = (_visits(walk, some, *follow) @ walk.meets).tocoo()
        other = met.col != some[met.row]
        share = np.minimum(met.data / comes_back[met.col], 1.0)[other]
        parts.append(coo_array((share, (met.row[other], met.col[other])), shape=met.shape).tocsr())
    return csr_array(vstack(parts, format="csr")) if parts else csr_array((0, count))


def _batches(companies: Integers, at_once: int) -> Iterator[Integers]:
    for start in range(0, len(companies), at_once):
        yield companies[start : start + at_once]


def _visits(walk: Walk, companies: Integers, longest_chain: int, smallest_flow: float, most_owners: int) -> csr_array:
    """How often a walk up from each company comes to each entity (into its circle, where that is solved exactly)."""
    shape = (len(companies), walk.onward.shape[0])
    flow = coo_array((np.ones(len(companies)), (np.arange(len(companies)), companies)), shape=shape).tocsr()
    flows, many = [flow], False
    for _ in range(longest_chain):
        flow = flow @ walk.onward
        many |= flow.nnz > most_owners * len(companies)
        if many:
            flow.data[flow.data < smallest_flow] = 0
        flow.eliminate_zeros()
        if flow.nnz == 0:
            break
        flows.append(flow)
    return _added_up(flows)


def _added_up(matrices: list[csr_array]) -> csr_array:
    """The sum of many sparse matrices, in one pass."""
    parts = [matrix.tocoo() for matrix in matrices]
    row, column, value = (np.concatenate([getattr(part, name) for part in parts]) for name in ("row", "col", "data"))
    return coo_array((value, (row, column)), shape=matrices[0].shape).tocsr()


def ends_in(walk: Walk, ending: Floats, *, longest_chain: int) -> Floats:
    """The part of each entity whose walk up the registers ends in a given way.

    Parameters
    ----------
    walk
        From `walk_up`.
    ending
        For each entity, the probability that a walk that is there ends there in this way.
    longest_chain
        Links followed.
    """
    flow = walk.visits @ ending
    total = flow.copy()
    for _ in range(longest_chain):
        flow = walk.onward @ flow
        if not flow.any():
            break
        total += flow
    return np.asarray(np.clip(total, 0.0, 1.0))


class Control(NamedTuple):
    """Who commands each entity.

    ``head``: the ultimate controller, itself where nobody commands it; ``above``: the next one up the chain of control,
    itself at the top; ``stated``: that link is by a statement of control, not by votes; ``circle``: the head is one of companies
    that command each other, so that nobody outside does.
    """

    head: Integers
    above: Integers
    stated: Flags
    circle: Flags


def ultimate_control(
    count: int, owner: Integers, owned: Integers, votes: Floats, stated: Flags, *, majority: float
) -> Control:
    """Who commands each entity: the fixed point of "more than half of the votes, its own and those of whom it commands".

    Whoever commands more than half of the votes in a company commands the votes that it has in others (Mumick, Pirahesh &
    Ramakrishnan, "The magic of duplicates and aggregates", VLDB 1990, company control). Two who both do so for one
    company must have a voter in common, so one commands the other: the controllers of a company are a chain, and it is
    enough to know the top of each. In each round every company that nobody commands yet adds its votes up by the top of
    each voter, and the tops that win are joined; a chain of any length joins in one round. Tops that win each other are a
    circle: they go on as one, under the least of them, and an outsider may still win it.

    Votes that a company has in itself, or through those it commands, are not counted (Companies Act 2006, Schedule 6,
    paragraph 10; so an owner of 40% commands a company that holds the other 60% of itself). Votes that nobody is known to
    have count against everybody.

    Parameters
    ----------
    count
        Entities.
    owner, owned, votes
        Holdings, each pair once; the votes in a company add up to at most 1.
    stated
        The holding is a statement of control by other means: that decides, whatever the votes; of several, the one with most
        votes, then the least owner.
    majority
        The share of the votes above which they command (0.5).
    """
    into, out = _by_end(count, owned), _by_end(count, owner)
    head, above = np.arange(count), np.arange(count)
    by_statement = np.zeros(count, dtype=bool)
    free = np.ones(count, dtype=bool)  # commanded by nobody but members of its own circle
    asked = np.unique(owned)
    while len(asked):
        edges, at = _edges_of(into, asked)
        leader = head[owner[edges]]
        winner, won_by_statement = _winners(len(asked), at, leader, votes[edges], stated[edges], head[asked], majority)
        won = np.flatnonzero(winner >= 0)
        if not len(won):
            break
        # a circle may be won through any of its members; the first of them that was is as good as the others
        lost, first = np.unique(head[asked[won]], return_index=True)
        won = won[first]
        taken, new_head = asked[won], winner[won]
        above[taken] = _main_voter(edges, at, leader, won, new_head, owner, votes, stated, len(asked))
        by_statement[taken] = won_by_statement[won]
        top, in_circle = _tops(lost, new_head)
        become = np.arange(count)
        become[lost] = top
        dethroned = np.zeros(count, dtype=bool)
        dethroned[lost[~in_circle]] = True
        free &= ~dethroned[head]
        moved = become[head] != head
        head = become[head]
        changed = np.flatnonzero(moved)
        next_edges, _ = _edges_of(out, changed)
        asked = np.unique(np.concatenate([owned[next_edges], changed]))
        asked = asked[free[asked]]
    own = np.bincount(owned, votes * (head[owner] == head[owned]), minlength=count)
    several = np.bincount(head[free], minlength=count) > 1
    circle = (several[head] & free) | (free & (own > majority))
    above[head[circle]] = head[circle]
    return Control(head, _without_loops(above, head), by_statement, circle)


def _by_end(count: int, end: Integers) -> tuple[Integers, Integers]:
    """The edges in the order of one of their ends, and where each entity's begin."""
    return np.argsort(end, kind="stable"), np.concatenate([[0], np.cumsum(np.bincount(end, minlength=count))])


def _edges_of(index: tuple[Integers, Integers], entities: Integers) -> tuple[Integers, Integers]:
    """The edges of some entities, and the place in ``entities`` that each belongs to."""
    order, start = index
    lengths = start[entities + 1] - start[entities]
    at = np.repeat(np.arange(len(entities)), lengths)
    offset = np.arange(len(at)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return order[start[entities][at] + offset], at


def _winners(
    asked: int, at: Integers, leader: Integers, votes: Floats, stated: Flags, own_head: Integers, majority: float
) -> tuple[Integers, Flags]:
    """Who commands each company that is asked about, -1 for nobody, and whether by a statement."""
    own = leader == own_head[at]
    outstanding = 1 - np.bincount(at, votes * own, minlength=asked)
    at, leader, votes, stated = at[~own], leader[~own], votes[~own], stated[~own]
    order = np.lexsort((leader, at))
    at, leader = at[order], leader[order]
    starts = np.flatnonzero(np.append(True, (np.diff(at) != 0) | (np.diff(leader) != 0))[: len(at)])
    winner, by_statement = np.full(asked, -1), np.zeros(asked, dtype=bool)
    if not len(starts):
        return winner, by_statement
    total = np.add.reduceat(votes[order], starts)
    says = np.logical_or.reduceat(stated[order], starts)
    at, leader = at[starts], leader[starts]
    wins = np.flatnonzero(says | (total > majority * outstanding[at] + ROUNDING))
    # the last one written stays: statements after votes, more votes after fewer, lesser leaders after greater
    wins = wins[np.lexsort((-leader[wins], total[wins], says[wins]))]
    winner[at[wins]] = leader[wins]
    by_statement[at[wins]] = says[wins]
    return winner, by_statement


def _main_voter(
    edges: Integers,
    at: Integers,
    leader: Integers,
    won: Integers,
    new_head: Integers,
    owner: Integers,
    votes: Floats,
    stated: Flags,
    asked: int,
) -> Integers:
    """For each company that was won, the voter of the winner's that says so or has most votes; of equals the least."""
    wanted = np.full(asked, -1)
    wanted[won] = new_head
    theirs = edges[leader == wanted[at]]
    place = at[leader == wanted[at]]
    order = np.lexsort((-owner[theirs], votes[theirs], stated[theirs]))
    voter = np.full(asked, -1)
    voter[place[order]] = owner[theirs[order]]
    return voter[won]


def _tops(lost: Integers, winner: Integers) -> tuple[Integers, Flags]:
    """The top of the chain of winners that each loser is in (the least of a circle), and whether the loser is in a circle."""
    names, place = np.unique(np.concatenate([lost, winner]), return_inverse=True)
    following = np.arange(len(names))
    following[place[: len(lost)]] = place[len(lost) :]
    graph = coo_array((np.ones(len(names)), (np.arange(len(names)), following)), shape=(len(names), len(names)))
    least, size = _least_and_size(connected_components(graph, connection="strong")[1], len(names))
    in_circle = size > 1
    following[in_circle] = least[in_circle]
    while True:
        further = following[following]
        if np.array_equal(further, following):
            break
        following = further
    return names[following[place[: len(lost)]]], in_circle[place[: len(lost)]]


def _without_loops(above: Integers, head: Integers) -> Integers:
    """The chains of control with what is left of a circle's round trips cut: the least of a loop goes straight to its head."""
    count = len(above)
    graph = coo_array((np.ones(count), (np.arange(count), above)), shape=(count, count))
    least, size = _least_and_size(connected_components(graph, connection="strong")[1], count)
    cut = np.flatnonzero((size > 1) & (least == np.arange(count)))
    above[cut] = head[cut]
    return above


def climb(above: Integers, weight: Floats) -> Floats:
    """What adds up along each chain of control, from an entity to its top, that included.

    Parameters
    ----------
    above
        The next one up the chain; itself at the top.
    weight
        What each entity adds.
    """
    total = np.where(above == np.arange(len(above)), 0.0, weight)
    following = above
    while True:
        further = following[following]
        total = total + total[following]
        if np.array_equal(further, following):
            return np.asarray(total + weight[following])
        following = further


def links_up(command: Control) -> tuple[Integers, Flags]:
    """How many links of control lie between each entity and its head, and whether one of them is by statement."""
    at_top = command.above == np.arange(len(command.above))
    links = np.rint(climb(command.above, (~at_top).astype(float))).astype(np.int64)
    return links, climb(command.above, (command.stated & ~at_top).astype(float)) > 0


def chain_of(above: Integers, entities: Integers, *, longest_chain: int) -> tuple[Integers, Integers, Integers]:
    """The chain of control above some entities, themselves included.

    Returns
    -------
    Rows: the place in ``entities``, the entity of the chain, and how many links up it is (at most ``longest_chain``).
    """
    place, at = np.arange(len(entities)), np.asarray(entities)
    rows = [(place, at, np.zeros(len(at), dtype=np.int64))]
    for links in range(1, longest_chain + 1):
        going = above[at] != at
        place, at = place[going], above[at[going]]
        if not len(at):
            break
        rows.append((place, at, np.full(len(at), links)))
    where, entity, links_up = (np.concatenate(part) for part in zip(*rows, strict=True))
    return where, entity, links_up


def groups_of(count: int, left: Integers, right: Integers, probability: Floats, *, largest_group: int) -> Integers:
    """The least member of the group that links make of each entity, none larger than ``largest_group``.

    Links chain: one wrong link joins two groups. A group that is too large is cut at ever stronger links (the odds against a
    link's being wrong are doubled) until its parts fit, or nothing is left of it.
    """
    least = np.arange(count)
    odds = probability / np.maximum(1 - probability, ROUNDING)
    bar = np.zeros(count)
    while True:
        keep = odds >= np.maximum(bar[left], bar[right])
        left, right, odds = left[keep], right[keep], odds[keep]
        number = connected_components(_matrix(count, left, right), directed=False)[1]
        least, size = _least_and_size(number, count)
        too_large = size > largest_group
        if not too_large.any():
            return least
        weakest = np.full(count, np.inf)
        np.minimum.at(weakest, least[left], odds)
        bar = np.where(too_large, np.maximum(2 * bar, np.nextafter(weakest[least], np.inf)), 0.0)


def joint_majorities(
    owner: Integers, owned: Integers, votes: Floats, head: Integers, group: Integers, *, majority: float
) -> tuple[Integers, Integers]:
    """Entities that nobody commands alone but a group of owners commands together, as relatives with 30% each would.

    Persons who act in concert hold what each of them holds (Companies Act 2006, Schedule 1A, paragraph 12).

    Parameters
    ----------
    owner, owned, votes
        Holdings, each pair once.
    head
        The ultimate controller of each entity.
    group
        The group of each entity: its least member, itself where it is in none.
    majority
        The share of the votes above which they command (0.5).

    Returns
    -------
    The group of each entity once these have joined (its least member), and the group that each was won by (-1: none).
    """
    count = len(head)
    won_by = np.full(count, -1)
    open_edges = (head[owned] == owned) & (head[owner] != owned)
    owner, owned, votes = owner[open_edges], owned[open_edges], votes[open_edges]
    while len(owned):
        side = group[head[owner]]
        other = (side != group[owned]) & (won_by[owned] < 0)
        pairs, at = np.unique(np.stack([owned[other], side[other]]), axis=1, return_inverse=True)
        total = np.bincount(at.ravel(), votes[other], minlength=pairs.shape[1])
        wins = total > majority + ROUNDING
        if not wins.any():
            break
        company, winner = pairs[0][wins], pairs[1][wins]
        won_by[company] = winner
        graph = _matrix(count, group[company], winner)
        group = _least_and_size(connected_components(graph, directed=False)[1], count)[0][group]
    return group, won_by
