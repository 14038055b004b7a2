"""Which owners act together though no filing says so: what they share, weighed by how rare it is, pair by pair."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from functools import cache
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.screening.engine import Engine
from thresher.screening.resolution.names import address_key, name_keys, phone_key
from thresher.screening.statements import to_entities
from thresher.sources import read_table

TIES = ("stake", "control", "sole_holder")
"""Kinds that are themselves recorded ties of ownership or control."""


@cache
def shared_kinds() -> pa.Table:
    """What two parties may share: ``kind, together, apart, by_provider, table, words``, from ``shared_kinds.csv``."""
    rows = read_table("thresher.screening", "shared_kinds.csv")
    texts = {name: pa.array([row[name] for row in rows], pa.string()) for name in ("kind", "table", "words")}
    texts["by_provider"] = pa.array([row["by_provider"] == "yes" for row in rows])
    return pa.table(texts | {name: pa.array([float(row[name]) for row in rows]) for name in ("together", "apart")})


@cache
def public_mail_domains() -> tuple[str, ...]:
    """Domains at which anybody can have an address."""
    return tuple(row["domain"] for row in read_table("thresher.screening", "public_mail_domains.csv"))


def particulars(engine: Engine) -> pa.Table:
    """Telephones, addresses, mail domains and surnames of the register's parties: ``party, kind, value, row_id``."""
    found = engine.table("parties").select("row_id", "party", "kind", "name", "address", "phone", "email").to_pyarrow()
    person = pc.equal(pc.fill_null(found["kind"], "unknown"), "person").combine_chunks()
    address = _keys(found["address"], address_key)
    surname = _keys(pc.if_else(person, found["name"], None), _surname)
    domain = pc.utf8_lower(found["email"].cast(pa.string()))
    domain = pc.struct_field(pc.extract_regex(domain, "@(?P<domain>[^@ ]+)$"), "domain")
    public = pc.is_in(domain, pa.array(public_mail_domains()))
    columns = {
        "phone": _keys(found["phone"], phone_key),
        "address": address,
        "home": pc.if_else(person, address, None),
        "surname": surname,
        "email": pc.if_else(public, None, domain),
    }
    parts = []
    for kind, values in columns.items():
        known = pc.is_valid(values)
        count = pc.sum(known).as_py() or 0
        part = {name: found[name].filter(known).cast(kept) for name, kept in (("party", "string"), ("row_id", "int64"))}
        parts.append(pa.table(part | {"kind": pa.array([kind] * count, pa.string()), "value": values.filter(known)}))
    return pa.concat_tables(parts).select(["party", "kind", "value", "row_id"])


def _keys(texts: pa.ChunkedArray, key: Any) -> pa.Array:
    """A key of each text, worked out once for each distinct one; null where there is none."""
    coded = pc.dictionary_encode(texts.cast(pa.string())).combine_chunks()
    keys = pa.array([key(text) or None for text in coded.dictionary.to_pylist()], pa.string())
    return keys.take(coded.indices)


def _surname(name: str) -> str:
    """The last word of a person's name, or what stands before a comma."""
    words = (name.partition(",")[0] if "," in name else name).split()
    return name_keys(words[-1]).key if words else ""


def shared_things(engine: Engine, told: ibis.Table, ties: ibis.Table, as_of: datetime.date) -> ibis.Table:
    """Everything that an entity could share with another.

    Parameters
    ----------
    engine
        With ``parties``, ``identity``, ``particulars`` (from `particulars`) and ``purchases_resolved``.
    told
        Statements of ownership (`thresher.screening.statements.statements`): of officers and nominees.
    ties
        ``entity, kind, value`` of the kinds in `TIES`, whose values are entities.
    as_of
        Purchases after this day do not count.

    Returns
    -------
    ``entity, kind, value, itself, table, row_id``; ``itself`` where the value is the entity itself: who pays for another
    shares a payer with it. Directors, nominees and part owners share nothing with their company by being what they are: most
    of them do not control it.
    """
    no, yes = ibis.literal(False), ibis.literal(True)
    register = to_entities(engine, engine.table("particulars"), entity="party")
    parts = [register.select("entity", "kind", "value", itself=no, table=ibis.literal("parties"), row_id="row_id")]
    ownership = ibis.literal("ownership")
    parts += [
        told.filter(told.interest == kind).select(
            entity="owned", kind=ibis.literal(kind), value="owner", itself=no, table=ownership, row_id="row_id"
        )
        for kind in ("officer", "nominee")
    ]
    parts.append(ties.select("entity", "kind", "value", itself=no, table=ownership, row_id=ibis.null("int64")))
    bought = engine.table("purchases_resolved")
    bought = bought.filter(bought.date <= as_of, bought.payer.notnull(), bought.entity.notnull())
    account = bought.payer.upper().re_replace(r"[\s\p{P}]+", "")
    paid = bought.mutate(account=account).filter(lambda row: row.account != "")
    payer, purchases = ibis.literal("payer"), ibis.literal("purchases")
    parties = engine.table("identity").select(payer="party", payer_entity="entity")
    named = paid.select("account", "payer", "row_id").inner_join(parties, "payer")
    parts += [
        paid.select("entity", kind=payer, value="account", itself=no, table=purchases, row_id="row_id"),
        named.select(entity="payer_entity", kind=payer, value="account", itself=yes, table=purchases, row_id="row_id"),
    ]
    columns = ("entity", "kind", "value", "itself", "table", "row_id")
    return ibis.union(*(part.select(*columns) for part in parts))


def joint_evidence(
    things: ibis.Table, kinds: ibis.Table, owners: ibis.Table, choice: Mapping[str, float]
) -> ibis.Table:
    """What pairs of entities of different owners share, with its weight.

    The weight is the natural logarithm of the likelihood ratio ``P(shared | common control) / P(shared | unrelated)``, and
    never below 0: to share what many share is no evidence of being apart. Two unrelated parties share a value that ``n``
    parties of the register have with probability ``apart * (n - 1) * (1 + (m / provider_size)^2)``. It is in proportion to how
    many have it (the term frequencies of Fellegi & Sunter, "A theory for record linkage", JASA 64 (1969) 1183-1210), and
    grows faster once ``m`` others share with the pair any one of the things that a service provider gives its clients
    (telephone, address, officers): those come together, and are one piece of evidence of one provider.

    Parameters
    ----------
    things
        From `shared_things`.
    kinds
        From `shared_kinds`.
    owners
        ``entity, owner``: the entities whose pairs matter; frequencies are over all of ``things``.
    choice
        ``hub_cap`` and ``provider_size``.

    Returns
    -------
    ``left, right, kind, value, weight, left_owner, right_owner``, ``left`` before ``right``; of several values of a kind the
    rarest.
    """
    holders = things.filter(~things.itself).group_by(["kind", "value"]).aggregate(holders=things.entity.nunique())
    rare = holders.filter(holders.holders <= int(choice["hub_cap"]))
    held = things.select("entity", "kind", "value").distinct()
    some = held.inner_join(owners.select("entity", "owner"), "entity").inner_join(rare, ["kind", "value"])
    left = some.select("kind", "value", "holders", left="entity", left_owner="owner")
    right = some.select(right_kind="kind", right_value="value", right="entity", right_owner="owner")
    pairs = left.inner_join(
        right,
        [
            left.kind == right.right_kind,
            left.value == right.right_value,
            left.left < right.right,
            left.left_owner != right.right_owner,
        ],
    ).inner_join(kinds.select("kind", "together", "apart", "by_provider"), "kind")
    others = ibis.greatest(pairs.holders - 1, 1).cast("float64")
    pairs = pairs.mutate(others=others, clients=pairs.by_provider.ifelse(others, 0.0))
    most = pairs.clients.max().over(ibis.window(group_by=["left", "right"]))
    pairs = pairs.mutate(clients=pairs.by_provider.ifelse(most, 0.0))
    unrelated = pairs.apart * pairs.others * (1 + (pairs.clients / choice["provider_size"]) ** 2)
    pairs = pairs.mutate(weight=(pairs.together / unrelated).ln())
    best = ibis.window(group_by=["left", "right", "kind"], order_by=[pairs.weight.desc(), pairs.value])
    pairs = pairs.mutate(rank=ibis.row_number().over(best))
    return pairs.filter(pairs["rank"] == 0, pairs.weight > 0).select(
        "left", "right", "kind", "value", "weight", "left_owner", "right_owner"
    )


def owner_links(evidence: ibis.Table, choice: Mapping[str, float]) -> ibis.Table:
    """How likely pairs of owners act together, from what their entities share.

    Log-odds are those of ``prior_odds`` and the weights of the kinds, each kind once with its strongest pair, at most those
    of ``largest_odds``. ``joins`` where the probability reaches ``link_probability`` and at least ``least_kinds`` different
    kinds, or one with a ratio of ``very_rare_ratio``, speak for it.

    Returns
    -------
    ``left_owner, right_owner, kinds, probability, joins``, each pair once, the lesser owner left.
    """
    either = evidence.mutate(
        low=ibis.least(evidence.left_owner, evidence.right_owner),
        high=ibis.greatest(evidence.left_owner, evidence.right_owner),
    )
    by_kind = either.group_by(["low", "high", "kind"]).aggregate(weight=either.weight.max())
    pairs = by_kind.group_by(["low", "high"]).aggregate(
        kinds=by_kind.kind.count(), strongest=by_kind.weight.max(), total=by_kind.weight.sum()
    )
    most = float(np.log(choice["largest_odds"]))
    odds = ibis.least(pairs.total + float(np.log(choice["prior_odds"])), ibis.literal(most)).exp()
    probability = odds / (1 + odds)
    enough = (pairs.kinds >= int(choice["least_kinds"])) | (pairs.strongest >= float(np.log(choice["very_rare_ratio"])))
    return pairs.select(
        left_owner="low",
        right_owner="high",
        kinds="kinds",
        probability=probability,
        joins=enough & (probability >= choice["link_probability"]),
    )
