"""The first step: entities behind the parties, buyers, sellers and operators of the records, and chips behind their words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.screening.engine import Engine
from thresher.screening.resolution.clusters import cluster, judged, pairs_of
from thresher.screening.resolution.descriptions import label_contents
from thresher.screening.resolution.linkage import Model, link, train
from thresher.screening.resolution.mentions import comparable, frequencies, party_mentions, text_mentions
from thresher.sources import load_quantities


class Resolution(NamedTuple):
    """What was resolved: ``entities(mention, role, party, name, address, country, entity, probability, ambiguous)``.

    ``pairs`` are the compared pairs (`thresher.screening.resolution.linkage.link`), with the reviewer's ``verdict``.
    """

    entities: ibis.Table
    pairs: ibis.Table
    mentions: pa.Table
    frequencies: Mapping[str, pa.Table]
    model: Model


def resolve(engine: Engine, *, seed: int = 1) -> Resolution:
    """Find who is who.

    Keeps ``entities``, ``pairs``, ``identity``, ``chip_labels``, ``purchases_resolved`` and ``sites_resolved`` in the
    engine, for the steps that follow.
    """
    choice = load_quantities("thresher.screening", "linkage.yaml").values_only()
    parties, texts = party_mentions(engine), text_mentions(engine)
    mentions = comparable(parties, texts, largest_block=int(choice["largest_block"]))
    rarity = frequencies(mentions, population=int(choice["population"]), one_holder=choice["one_holder"])
    model = train(mentions, rarity, seed=seed)
    engine.keep("mentions", mentions)
    found = link(engine, "mentions", rarity, model, least_probability=choice["review_probability"])
    order = mentions["unique_id"].to_pylist()
    verdicts = _verdicts(engine, order)
    pairs, apart = judged(pairs_of(found, order), verdicts)
    party_ids = parties["party"].combine_chunks().dictionary_encode()
    # a free text that is a party's id is that party
    texts_as_ids = pc.index_in(texts["name"].combine_chunks(), party_ids.dictionary)
    party_of = np.concatenate(
        [party_ids.indices.to_numpy(), np.nan_to_num(texts_as_ids.to_numpy(zero_copy_only=False), nan=-1)]
    ).astype(np.int64)
    groups = cluster(
        pairs,
        party_of,
        apart,
        party_match_probability=choice["party_match_probability"],
        match_probability=choice["match_probability"],
        text_match_probability=choice["text_match_probability"],
        lead_bits=choice["best_match_lead"],
    )
    entities = _entities(parties, texts, groups.entity, groups.probability, groups.ambiguous)
    engine.keep("entities", entities)
    engine.keep("pairs", _with_verdicts(found, order, verdicts))
    _keep_identity(engine, entities)
    _keep_labels(engine)
    _keep_purchases(engine)
    _keep_sites(engine)
    return Resolution(engine.table("entities"), engine.table("pairs"), mentions, rarity, model)


def _verdicts(engine: Engine, mentions: list[str]) -> list[tuple[int, int, bool]]:
    """The latest judgement of each pair of mentions that the records still have."""
    place = {mention: at for at, mention in enumerate(mentions)}
    rows = engine.table("judgements").select("left_mention", "right_mention", "verdict").to_pyarrow().to_pylist()
    return [
        (place[row["left_mention"]], place[row["right_mention"]], row["verdict"] == "yes")
        for row in rows
        if row["left_mention"] in place and row["right_mention"] in place
    ]


def _with_verdicts(found: pa.Table, mentions: list[str], verdicts: list[tuple[int, int, bool]]) -> pa.Table:
    said = {frozenset((mentions[a], mentions[b])): "yes" if yes else "no" for a, b, yes in verdicts}
    if not said:
        return found.append_column("verdict", pa.nulls(len(found), pa.string()))
    sides = zip(found["left"].to_pylist(), found["right"].to_pylist(), strict=True)
    return found.append_column("verdict", pa.array([said.get(frozenset(pair)) for pair in sides], pa.string()))


def _entities(
    parties: pa.Table, texts: pa.Table, entity: np.ndarray, probability: np.ndarray, ambiguous: np.ndarray
) -> pa.Table:
    """One row a mention; an entity is named by its least party, or by its least mention where no party is in it."""
    described = ("mention", "role", "party", "name", "address", "country")
    parties = parties.append_column("role", pa.array(["party"] * len(parties), pa.string()))
    texts = texts.append_column("party", pa.nulls(len(texts), pa.string()))
    whole = pa.concat_tables([parties.select(described), texts.select(described)])
    names = pc.coalesce(whole["party"], whole["mention"])
    # mentions are sorted, so the least place of an entity is its least party's
    return (
        whole.append_column("entity", names.take(pa.array(entity)))
        .append_column("probability", pa.array(probability))
        .append_column("ambiguous", pa.array(ambiguous))
    )


def _keep_identity(engine: Engine, entities: pa.Table) -> None:
    """``identity(party, entity)``, with the ids that only other tables know as entities of their own."""
    known = entities.filter(pc.equal(entities["role"], "party")).group_by(["party", "entity"]).aggregate([])
    engine.keep("identity", known.select(["party", "entity"]))
    identity = engine.table("identity")
    named = [
        engine.table(table).select(party=column)
        for table, column in (
            ("custody", "from_party"),
            ("custody", "to_party"),
            ("ownership", "owner"),
            ("ownership", "owned"),
            ("declarations", "party"),
        )
    ]
    others = ibis.union(*named).filter(lambda row: row.party.notnull()).distinct().anti_join(identity, "party")
    engine.keep("identity", identity.union(others.mutate(entity=others.party)))


def _keep_labels(engine: Engine) -> None:
    labels = [
        engine.table(table).select(label=column)
        for table, column in (("chips", "chip"), ("declarations", "chip"), ("purchases", "description"))
    ]
    distinct = ibis.union(*labels).filter(lambda row: row.label.notnull()).distinct().to_pyarrow()
    engine.keep("chip_labels", label_contents(distinct["label"].to_pylist()))


def _texts(engine: Engine, role: str) -> ibis.Table:
    entities = engine.table("entities")
    return entities.filter(entities.role == role).select(
        text_name=entities.name,
        text_address=entities.address.fill_null(""),
        text_country=entities.country.fill_null(""),
        text_entity=entities.entity,
    )


def _keep_purchases(engine: Engine) -> None:
    """``purchases_resolved``: the buyer's and the seller's entity, the chip and how many."""
    purchases, labels = engine.table("purchases"), engine.table("chip_labels")
    buyers, names = (
        _texts(engine, "buyer"),
        _texts(engine, "name").select(seller="text_name", seller_entity="text_entity"),
    )
    keyed = purchases.mutate(
        buyer_address=purchases.buyer_address.fill_null(""), buyer_country=purchases.buyer_country.fill_null("")
    )
    joined = (
        keyed.left_join(
            buyers,
            [
                keyed.buyer_name == buyers.text_name,
                keyed.buyer_address == buyers.text_address,
                keyed.buyer_country == buyers.text_country,
            ],
        )
        .left_join(names, "seller")
        .left_join(labels, [keyed.description == labels.label])
    )
    engine.keep(
        "purchases_resolved",
        joined.select(
            "row_id",
            "id",
            "date",
            "seller_entity",
            "chip",
            "amount",
            "currency",
            "payer",
            "description",
            entity=joined.text_entity,
            chips=(joined.quantity * joined.chips_each).cast("float64"),
        ),
    )


def _keep_sites(engine: Engine) -> None:
    sites, names = engine.table("sites"), _texts(engine, "name")
    joined = sites.left_join(names, [sites.operator == names.text_name])
    engine.keep("sites_resolved", joined.select("site", operator_entity=joined.text_entity).distinct())
