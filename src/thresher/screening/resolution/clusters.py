"""From pairs to entities: parties that are one, and for each mention in free text the entity it fits best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class Pairs(NamedTuple):
    """Pairs of mentions by their places in the list of mentions, with their probability and match weight (bits)."""

    left: Integers
    right: Integers
    probability: Floats
    weight: Floats


class Entities(NamedTuple):
    """For each mention: the number of its entity, how surely it belongs there, and whether another entity fits as well."""

    entity: Integers
    probability: Floats
    ambiguous: NDArray[np.bool_]


def pairs_of(found: pa.Table, mentions: Sequence[str]) -> Pairs:
    """The pairs of a linkage (``left, right, probability, match_weight``) by the places of their mentions."""
    places = pa.array(mentions, pa.string())
    left, right = (
        pc.index_in(found[side].combine_chunks(), places).to_numpy(zero_copy_only=False).astype(np.int64)
        for side in ("left", "right")
    )
    return Pairs(
        left, right, found["probability"].to_numpy().astype(float), found["match_weight"].to_numpy().astype(float)
    )


def judged(pairs: Pairs, verdicts: Sequence[tuple[int, int, bool]]) -> tuple[Pairs, list[tuple[int, int]]]:
    """The pairs as a reviewer has judged them, and those that must stay apart.

    A yes is certain, whether the comparison found the pair or not; a no takes the pair away.
    """
    if not verdicts:
        return pairs, []
    said = np.array([(min(a, b), max(a, b)) for a, b, _ in verdicts], dtype=np.int64)
    low, high = np.minimum(pairs.left, pairs.right), np.maximum(pairs.left, pairs.right)
    width = int(max(high.max(initial=0), said.max())) + 1
    rest = ~np.isin(low * width + high, said[:, 0] * width + said[:, 1])
    yes = said[[verdict for _, _, verdict in verdicts]]
    sure = np.ones(len(yes))
    joined = Pairs(
        np.append(pairs.left[rest], yes[:, 0]),
        np.append(pairs.right[rest], yes[:, 1]),
        np.append(pairs.probability[rest], sure),
        np.append(pairs.weight[rest], sure * np.inf),
    )
    return joined, [(a, b) for (a, b), (_, _, verdict) in zip(said.tolist(), verdicts, strict=True) if not verdict]


def cluster(
    pairs: Pairs,
    party_of: Integers,
    apart: Sequence[tuple[int, int]],
    *,
    party_match_probability: float,
    match_probability: float,
    text_match_probability: float,
    lead_bits: float,
) -> Entities:
    """Entities from pairs.

    Parameters
    ----------
    pairs
        Judged pairs.
    party_of
        For each mention, the number of its party; -1 for free text. Mentions of one party are one.
    apart
        Pairs of mentions that must not be one; the weakest ties between them give way.
    party_match_probability, match_probability, text_match_probability
        What joins two parties, two mentions in free text, and a mention in free text with a party.
    lead_bits
        A mention in free text joins its best entity only where that fits by so much better than the next one.

    Returns
    -------
    The entity of each mention: the least place of the mentions in it, those of parties first.
    """
    count = len(party_of)
    strong = pairs.probability >= match_probability
    of_party = party_of >= 0
    both = (pairs.probability >= party_match_probability) & of_party[pairs.left] & of_party[pairs.right]
    same_party = _chains(party_of)
    label = _components(
        np.append(pairs.left[both], same_party[0]),
        np.append(pairs.right[both], same_party[1]),
        np.append(pairs.weight[both], np.full(len(same_party[0]), np.inf)),
        count,
        apart,
    )
    probability = np.ones(count)
    ambiguous = np.zeros(count, dtype=bool)
    mixed = (pairs.probability >= text_match_probability) & (of_party[pairs.left] != of_party[pairs.right])
    text = np.where(of_party[pairs.left], pairs.right, pairs.left)[mixed]
    party = np.where(of_party[pairs.left], pairs.left, pairs.right)[mixed]
    barred = {(a, int(label[b])) for one in apart for a, b in (one, one[::-1])}
    allowed = np.array(
        [pair not in barred for pair in zip(text.tolist(), label[party].tolist(), strict=True)], dtype=bool
    )
    text, party, mixed_places = text[allowed], party[allowed], np.flatnonzero(mixed)[allowed]
    best, chance, unsure = _best(
        text, label[party], pairs.weight[mixed_places], pairs.probability[mixed_places], lead_bits
    )
    best_places = np.flatnonzero(best >= 0)
    label[best_places] = best[best_places]
    probability[best_places] = chance[best_places]
    ambiguous[: len(unsure)] |= unsure
    for a, b in apart:  # a handful of judgements
        if label[a] == label[b] and not of_party[max(a, b)]:
            label[max(a, b)] = max(a, b)
            best_places = best_places[best_places != max(a, b)]
    # free text that fits no party is one with other free text
    left_over = ~of_party
    left_over[best_places] = False
    among = strong & left_over[pairs.left] & left_over[pairs.right]
    texts = _components(pairs.left[among], pairs.right[among], pairs.weight[among], count, apart)
    label = np.where(left_over, texts, label)
    said_one = np.isinf(pairs.weight) & ~of_party[pairs.left] & ~of_party[pairs.right]
    for a, b in zip(pairs.left[said_one].tolist(), pairs.right[said_one].tolist(), strict=True):
        label[label == max(label[a], label[b])] = min(label[a], label[b])
    lowest = np.full(count, np.inf)
    np.minimum.at(lowest, pairs.left[among], pairs.probability[among])
    np.minimum.at(lowest, pairs.right[among], pairs.probability[among])
    probability = np.where(left_over & np.isfinite(lowest), np.minimum(probability, lowest), probability)
    return Entities(label, probability, ambiguous)


def _chains(party_of: Integers) -> tuple[Integers, Integers]:
    """Ties between the descriptions of one party."""
    order = np.argsort(party_of, kind="stable")
    same = (party_of[order][1:] == party_of[order][:-1]) & (party_of[order][1:] >= 0)
    return order[:-1][same], order[1:][same]


def _best(
    text: Integers, entity: Integers, weight: Floats, probability: Floats, lead_bits: float
) -> tuple[Integers, Floats, NDArray[np.bool_]]:
    """For each mention in free text the entity whose best pair weighs most, -1 where none leads by enough."""
    size = int(text.max(initial=-1)) + 1
    best, chance, unsure = np.full(size, -1), np.ones(size), np.zeros(size, dtype=bool)
    order = np.lexsort((-weight, entity, text))
    text, entity, weight, probability = text[order], entity[order], weight[order], probability[order]
    first = np.append(True, (np.diff(text) != 0) | (np.diff(entity) != 0))[: len(text)]
    text, entity, weight, probability = text[first], entity[first], weight[first], probability[first]
    order = np.lexsort((entity, -weight, text))
    text, entity, weight, probability = text[order], entity[order], weight[order], probability[order]
    leads = np.append(True, np.diff(text) != 0)[: len(text)]
    at = np.flatnonzero(leads)
    runner_up = np.append(at + 1, 0)[: len(at)]
    has_next = (runner_up < len(text)) & (text[np.minimum(runner_up, len(text) - 1)] == text[at]) if len(at) else at < 0
    next_weight = np.where(has_next, weight[np.minimum(runner_up, len(text) - 1)], -np.inf) if len(at) else weight[at]
    clear = ~(weight[at] - next_weight < lead_bits)
    best[text[at[clear]]] = entity[at[clear]]
    chance[text[at[clear]]] = probability[at[clear]]
    unsure[text[at[~clear]]] = True
    return best, chance, unsure


def _components(
    left: Integers, right: Integers, weight: Floats, count: int, apart: Sequence[tuple[int, int]]
) -> Integers:
    """The least place in the component of each place, with the pairs ``apart`` kept in different ones."""
    label = _labels(left, right, count)
    torn = {int(label[a]) for a, b in apart if label[a] == label[b]}
    if torn:
        inside = np.isin(label[left], list(torn))
        kept = _without_conflicts(left[inside], right[inside], weight[inside], apart)
        label = _labels(
            np.append(left[~inside], left[inside][kept]), np.append(right[~inside], right[inside][kept]), count
        )
    return label


def _labels(left: Integers, right: Integers, count: int) -> Integers:
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(count, count))
    number = connected_components(graph, directed=False)[1].astype(np.int64)
    least = np.full(int(number.max(initial=-1)) + 1, count)
    np.minimum.at(least, number, np.arange(count))
    label: Integers = least[number]
    return label


def _without_conflicts(left: Integers, right: Integers, weight: Floats, apart: Sequence[tuple[int, int]]) -> list[int]:
    """The ties that may stay, strongest first: one that would bring together two that must stay apart goes.

    Only components in which a reviewer has said no come here, so this is a loop over a handful of ties.
    """
    parent: dict[int, int] = {}

    def root(at: int) -> int:
        while parent.setdefault(at, at) != at:
            at = parent[at]
        return at

    kept = []
    for tie in np.lexsort((right, left, -weight)).tolist():
        a, b = root(int(left[tie])), root(int(right[tie]))
        if a != b and any({root(one), root(other)} == {a, b} for one, other in apart):
            continue
        parent[max(a, b)] = min(a, b)
        kept.append(tie)
    return kept
