"""What the statements of ownership say at a date: whose shares, whose votes, who commands, each pair of entities once."""

from __future__ import annotations

import datetime

import ibis

from thresher.screening.engine import Engine

ROUNDING = 1e-9


def to_entities(engine: Engine, table: ibis.Table, **columns: str) -> ibis.Table:
    """A table with the entities of some of its columns of parties: ``to_entities(engine, table, owner="owner_party")``.

    A party that no step has resolved is an entity of its own.
    """
    for entity, party in columns.items():
        known = engine.table("identity").select(known_party="party", known_entity="entity")
        kept = [column for column in table.columns if column != entity]
        joined = table.left_join(known, table[party] == known.known_party)
        # two steps: Ibis would take a later join for a part of this one
        found = joined.select(*kept, "known_entity", found_party=table[party])
        table = found.select(*kept, **{entity: ibis.coalesce(found.known_entity, found.found_party)})
    return table


def statements(engine: Engine, as_of: datetime.date, since: datetime.date | None = None) -> ibis.Table:
    """The statements of ownership in force at a date, or at any day from ``since`` to it, by entity.

    Of several about the same owner, owned party, interest and beneficiary the latest counts, then the greatest share.

    Returns
    -------
    ``row_id, owner_party, owned_party, interest, share, owner, owned, behalf`` (the last three are entities).
    """
    told = engine.table("ownership")
    told = told.filter(
        told.owner.notnull(),
        told.owned.notnull(),
        told["from"].isnull() | (told["from"] <= as_of),
        told["to"].isnull() | (told["to"] >= (since or as_of)),
    )
    same = ibis.window(
        group_by=["owner", "owned", "interest", "on_behalf_of"],
        order_by=[
            told["from"].desc(nulls_first=False),
            told.share.desc(nulls_first=False),
            told.row_id,
        ],
    )
    latest = told.mutate(rank=ibis.row_number().over(same)).filter(lambda row: row["rank"] == 0)
    chosen = latest.select(
        "row_id",
        "interest",
        owner_party="owner",
        owned_party="owned",
        behalf_party="on_behalf_of",
        share=latest.share.clip(0.0, 1.0),
    )
    named = to_entities(engine, chosen, owner="owner_party", owned="owned_party", behalf="behalf_party")
    return named.drop("behalf_party")


def shareholdings(stated: ibis.Table) -> ibis.Table:
    """Who holds how much of what.

    A share that comes with a statement of control is the same holding as that pair's shareholding. A nominee's share is that
    of whomever it is held for, or of nobody known; never the nominee's. What the same nominee is also said to hold as a
    shareholder is taken to be the same shares told twice, as far as it goes.

    Within one entry of a register, several parties that are one entity hold what they hold together, unless all the entry's
    shares would then be more than the whole: then their holdings are one holding told several times, and the greatest
    counts. An entry whose shares are still more than the whole is scaled down to it. Of several entries that are one
    company, each holding's greatest share counts, or, where those contradict each other, the mean over the entries.

    Parameters
    ----------
    stated
        From `statements`.

    Returns
    -------
    ``owner, owned, share, nominee, unsized, told``: ``share`` is null where nobody says how much (``unsized``);
    ``nominee`` where a part is held in another's name; ``told`` is what the shares of the company's entries came to at most
    before they were scaled down.
    """
    held = _held(stated)
    in_entry = held.group_by(["owned_party", "owned", "holder"]).aggregate(
        together=held.share.sum(),
        greatest=held.share.max(),
        nominee=held.nominee.cast("int8").max(),
        unsized=held.share.isnull().cast("int8").max(),
    )
    entry = ibis.window(group_by="owned_party")
    in_entry = in_entry.mutate(
        whole=in_entry.together.sum().over(entry).fill_null(0.0),
        first=(ibis.row_number().over(ibis.window(group_by="owned_party", order_by="holder")) == 0).cast("int64"),
    )
    in_entry = in_entry.mutate(share=(in_entry.whole > 1 + ROUNDING).ifelse(in_entry.greatest, in_entry.together))
    company = ibis.window(group_by="owned")
    in_entry = in_entry.mutate(
        told=in_entry.share.sum().over(entry).fill_null(0.0), entries=in_entry["first"].sum().over(company)
    )
    in_entry = in_entry.mutate(share=in_entry.share / ibis.greatest(in_entry.told, ibis.literal(1.0)))
    pairs = in_entry.group_by(["holder", "owned"]).aggregate(
        greatest=in_entry.share.max(),
        mean=in_entry.share.sum() / in_entry.entries.max(),
        nominee=in_entry.nominee.max(),
        unsized=in_entry.unsized.max(),
        told=in_entry.told.max(),
    )
    pairs = pairs.mutate(whole=pairs.greatest.sum().over(company).fill_null(0.0), told=pairs.told.max().over(company))
    return pairs.select(
        "owned",
        "told",
        owner="holder",
        share=(pairs.whole <= 1 + ROUNDING).ifelse(pairs.greatest, pairs["mean"]),
        nominee=pairs.nominee > 0,
        unsized=pairs.unsized > 0,
    )


def _held(stated: ibis.Table) -> ibis.Table:
    """Each holding as it is told, by whom it is for: ``owned_party, owned, holder, share, nominee``."""
    sized = (stated.interest == "control") & stated.share.notnull()
    told = stated.filter(stated.interest.isin(["shareholding", "nominee"]) | sized)
    told = told.mutate(lent=(told.interest == "nominee") | told.behalf.notnull())
    pair = ibis.window(group_by=["owner_party", "owned_party"])
    nothing = ibis.null("float64")
    told = told.mutate(
        registered=told.lent.ifelse(nothing, told.share).max().over(pair),
        rank=ibis.row_number().over(ibis.window(group_by=["owner_party", "owned_party", "lent"], order_by="row_id")),
    )
    told = told.mutate(share=told.lent.ifelse(ibis.coalesce(told.share, told.registered), told.registered))
    told = told.mutate(
        others=told.lent.ifelse(told.share, 0.0).sum().over(pair).fill_null(0.0),
        lends=told.lent.cast("int8").max().over(pair),
    )
    rest = told.share.isnull().ifelse(nothing, ibis.greatest(told.share - told.others, ibis.literal(0.0)))
    # of what somebody holds itself there is one row a pair; what it holds for others leaves it the rest, if any
    counts = told.lent.ifelse(told.behalf.notnull(), (told["rank"] == 0) & ((told.lends == 0) | (rest > ROUNDING)))
    held = told.mutate(own=rest).filter(counts)
    held = held.select(
        "owner_party",
        "owned_party",
        "owned",
        holder=held.lent.ifelse(held.behalf, held.owner),
        share=held.lent.ifelse(held.share, held.own),
        nominee="lent",
    )
    # parties that are one entity do not hold each other; a company may well hold its own shares
    return held.filter((held.holder != held.owned) | (held.owner_party == held.owned_party))


def holdings(stated: ibis.Table) -> ibis.Table:
    """Every tie of ownership or control between two entities; officers are evidence, and no tie.

    Parameters
    ----------
    stated
        From `statements`.

    Returns
    -------
    ``owner, owned, share, stated, nominee, unsized, told``: as `shareholdings`, the share 0 where it is unknown, with
    ``stated`` where the owner is said to control, by whatever means.
    """
    shares = shareholdings(stated)
    control = stated.filter(stated.interest == "control")
    control = control.mutate(owner=ibis.coalesce(control.behalf, control.owner))
    control = control.filter(control.owner != control.owned)
    no, yes, nothing = ibis.literal(False), ibis.literal(True), ibis.literal(0.0)
    ties = shares.select(
        "owner",
        "owned",
        share=shares.share.fill_null(0.0),
        stated=no,
        nominee="nominee",
        unsized="unsized",
        told="told",
    ).union(control.select("owner", "owned", share=nothing, stated=yes, nominee=no, unsized=no, told=nothing))
    both = ties.group_by(["owner", "owned"]).aggregate(
        share=ties.share.max(),
        told=ties.told.max(),
        **{name: ties[name].cast("int8").max() for name in ("stated", "nominee", "unsized")},
    )
    return both.mutate(**{name: both[name] > 0 for name in ("stated", "nominee", "unsized")})
