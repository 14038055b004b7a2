"""Who holds each chip, and where: the events of every serial number in order, and the state before and after each of them.

Parties, entities and sites are numbers here (codes), so that millions of events are sorted and compared in little memory;
0 stands for nobody, nowhere or not known.
"""

from __future__ import annotations

from datetime import date, timedelta
from weakref import WeakKeyDictionary

import ibis
import pyarrow as pa
from ibis.common.exceptions import TableNotFound

from thresher.catalog import chips
from thresher.screening.engine import Engine
from thresher.sources import load_quantities

NOBODY = 0
"""The code of a holder or a site that is not known, or is no longer one."""
HANDOVERS = ("sale", "transfer")
"""Events in which a chip changes hands, or is brought elsewhere."""
ORDER_IN_A_MOMENT = ("commission", "remove", "sale", "transfer", "install", "repair", "decommission", "destroy")
"""The order of events that have the same time."""
CODES = 2**32
"""Above the largest code; the number of an event times this, plus a code, sorts by event."""


def end_of(day: date) -> ibis.Scalar:
    """The moment a day ends: what happened before it happened on that day or earlier."""
    return ibis.timestamp((min(day, date.max - timedelta(days=1)) + timedelta(days=1)).isoformat())


def keep_codes(engine: Engine) -> None:
    """Keep ``party_codes(party, code, entity)``, the entity as the code of its id, and ``site_codes(site, code)``.

    Where who is who was not resolved, each party is its own entity, and each label that is an id of the catalog is that chip.
    """
    if not has_table(engine, "identity"):
        engine.keep("identity", pa.table({"party": pa.array([], pa.string()), "entity": pa.array([], pa.string())}))
    if not has_table(engine, "chip_labels"):
        names = list(chips())
        engine.keep("chip_labels", pa.table({"label": names, "chip": names, "chips_each": [1] * len(names)}))
    identity, custody, declared = engine.table("identity"), engine.table("custody"), engine.table("declarations")
    names = [
        identity.select(party="party"),
        identity.select(party="entity"),
        custody.select(party="from_party"),
        custody.select(party="to_party"),
        declared.select(party="party"),
    ]
    if has_table(engine, "purchases_resolved"):
        bought = engine.table("purchases_resolved")
        names += [bought.select(party="entity"), bought.select(party="seller_entity")]
    parties = engine.keep("_party_numbers", _numbered(ibis.union(*names), "party"))
    entities = parties.select(entity_id="party", entity="code")
    known = identity.group_by("party").agg(entity_id=identity.entity.min()).select(named="party", entity_id="entity_id")
    joined = parties.left_join(known, parties.party == known.named)
    joined = joined.select("party", "code", "entity_id").mutate(entity_id=ibis.coalesce(ibis._.entity_id, ibis._.party))
    joined = joined.join(entities, "entity_id").select("party", "code", "entity")
    engine.keep("party_codes", joined)
    sites = ibis.union(custody.select("site"), declared.select("site"))
    engine.keep("site_codes", _numbered(sites, "site"))


def _numbered(table: ibis.Table, name: str) -> ibis.Table:
    """The distinct values of the one column of a table, numbered from 1 in their order."""
    values = table.filter(table[name].notnull()).distinct()
    return values.mutate(code=_whole(ibis.row_number().over(ibis.window(order_by=name))) + 1)


def _whole(number: ibis.Value) -> ibis.Value:
    """A row number as 64 bits on every engine: Spark's has 32, and Ibis, which takes it for 64, would leave out a plain cast."""
    return number.cast("float64").cast("int64")


def has_table(engine: Engine, name: str) -> bool:
    """Whether the engine has a table of this name: a step before may not have run."""
    try:
        engine.table(name)
    except TableNotFound:
        return False
    return True


def chip_types(engine: Engine) -> ibis.Table:
    """``serial, chip, kind, types, manufactured_on``: one row a serial number of the table ``chips``.

    ``chip`` is the catalog's id, ``kind`` the same or the label where the catalog does not know it; ``types`` says how many
    different ones of the catalog the table has under the number.
    """
    made = with_kind(engine, engine.table("chips").filter(ibis._.serial.notnull()), "chip")
    return made.group_by("serial").agg(
        chip=made.model.min(),
        kind=made.kind.min(),
        types=made.model.nunique(),
        manufactured_on=made.manufactured_on.min(),
    )


def with_kind(engine: Engine, table: ibis.Table, label: str) -> ibis.Table:
    """A table with ``model``, the catalog's id for a column of labels, and ``kind``, the same or else the label."""
    labels = engine.table("chip_labels")
    labels = labels.group_by("label").agg(_model=labels.chip.min()).select(_label="label", _model="_model")
    joined = table.left_join(labels, table[label] == labels._label)
    return joined.mutate(model=joined._model, kind=ibis.coalesce(joined._model, joined[label])).drop("_label", "_model")


def order_custody(engine: Engine, as_of: date, restated_days: int | None = None) -> ibis.Table:
    """The events up to a day, in order, each with the state before and after it; kept as ``custody_ordered``.

    The same statement twice is one event. What an event leaves blank stays as it was; but a sale or transfer without a
    receiver leaves the chip with nobody known, and one without a site, or a removal, leaves it nowhere known.

    Returns
    -------
    ibis.Table
        ``serial``, ``n`` (from 0 within the serial), ``last`` (no later event), ``row_id``, ``event``, ``at``, ``day``,
        ``notified_on``; codes of entities: ``before`` (null: first event of the serial), ``after``, ``giver`` and whether
        that one was ``stated``; ``party`` (code of the party after it); ``site_before``, ``site_after`` and ``site_stated``
        (codes); ``event_before``, ``destroyed`` and ``decommissioned`` (before it); ``kind`` and ``chip`` as in
        `chip_types`, and ``manufactured_on``. Where no giver is stated it is the holder before, but of a commissioning, which
        has none; and where a handover is told again within ``restated_days`` (of ``account.yaml`` by default), the receiver
        had the chip already, and is its own giver.
    """
    if restated_days is None:
        restated_days = int(load_quantities("thresher.screening", "account.yaml")["restated_days"].value)
    keep_codes(engine)
    numbered = _statements(engine, as_of)
    event, receiver = numbered.event, ibis.coalesce(numbered.to_party, numbered.from_party)
    holder = ibis.cases(
        (event == "destroy", NOBODY),
        (event.isin(HANDOVERS), ibis.coalesce(numbered.to_party, NOBODY)),
        else_=receiver,
    )
    site = ibis.cases(
        (event == "destroy", NOBODY),
        (event.isin((*HANDOVERS, "remove")), ibis.coalesce(numbered.site, NOBODY)),
        else_=numbered.site,
    )
    numbered = numbered.mutate(
        _holder=numbered.n * CODES + holder.cast("int64"),
        _site=numbered.n * CODES + site.cast("int64"),
    )
    by_serial = {"group_by": "serial", "order_by": "n"}
    until, earlier = ibis.window(rows=(None, 0), **by_serial), ibis.window(rows=(None, -1), **by_serial)
    whole = ibis.window(**by_serial)

    def was(kind: str) -> ibis.Column:
        return ibis.coalesce((numbered.event == kind).cast("int8").max().over(earlier), 0) == 1

    states = numbered.mutate(
        _before=numbered._holder.max().over(earlier) % CODES,
        party=ibis.coalesce(numbered._holder.max().over(until) % CODES, NOBODY),
        site_before=ibis.coalesce(numbered._site.max().over(earlier) % CODES, NOBODY),
        site_after=ibis.coalesce(numbered._site.max().over(until) % CODES, NOBODY),
        event_before=numbered.event.lag().over(whole),
        _day_before=numbered["at"].lag().over(whole).date(),
        last=numbered.n.lead().over(whole).isnull(),
        destroyed=was("destroy"),
        decommissioned=was("decommission"),
        day=numbered["at"].date(),
    )
    for column, name in (("from_party", "_giver"), ("_before", "before"), ("party", "after")):
        states = _entity_of_code(engine, states, column, name)
    states = states.mutate(
        # a holder that is nobody is not the same as no earlier event
        before=ibis.ifelse(states.event_before.isnull(), ibis.null("int64"), ibis.coalesce(states.before, NOBODY)),
        after=ibis.coalesce(states.after, NOBODY),
        site_stated=states.site,
        stated=states._giver.notnull(),
    )
    told_again = (states.after == states.before) & (
        states.day <= states._day_before + ibis.interval(days=restated_days)
    )
    had = ibis.ifelse(states.before > NOBODY, states.before, ibis.null("int64"))
    states = states.mutate(
        giver=ibis.cases(
            ((states.before > NOBODY) & told_again, states.before),
            (states.event == "commission", states._giver),
            else_=ibis.coalesce(states._giver, had),
        )
    )
    types = chip_types(engine).select(_serial="serial", chip="chip", kind="kind", manufactured_on="manufactured_on")
    states = states.left_join(types, states.serial == types._serial)
    return engine.keep(
        "custody_ordered",
        states.select(
            *("serial", "n", "last", "row_id", "event", "at", "day", "notified_on"),
            *("giver", "stated", "before", "after", "party"),
            *("site_before", "site_after", "site_stated", "event_before", "destroyed"),
            *("decommissioned", "chip", "kind", "manufactured_on"),
        ),
    )


_FRESH: WeakKeyDictionary[Engine, date] = WeakKeyDictionary()


def take_fresh(engine: Engine, as_of: date) -> bool:
    """Whether `held_at` was run on the engine for this day and nobody has asked since: then its tables need not be made anew."""
    return _FRESH.pop(engine, None) == as_of


def _statements(engine: Engine, as_of: date) -> ibis.Table:
    """The events up to a day in order, numbered ``n``, with codes for parties and sites; the same statement twice is one."""
    custody = engine.table("custody")
    known = custody.serial.notnull() & custody.event.notnull() & (custody["at"] < end_of(as_of))
    events = custody.filter(known).select(
        "serial", "event", "at", "from_party", "to_party", "site", "row_id", "notified_on"
    )
    codes, sites = engine.table("party_codes"), engine.table("site_codes")
    for column, coded, name in (("from_party", codes, "party"), ("to_party", codes, "party"), ("site", sites, "site")):
        looked_up = coded.select(_name=name, _code="code")
        joined = events.left_join(looked_up, events[column] == looked_up._name)
        events = joined.mutate(**{column: joined._code}).drop("_name", "_code")
    rank = ibis.cases(
        *((events.event == event, at) for at, event in enumerate(ORDER_IN_A_MOMENT)), else_=len(ORDER_IN_A_MOMENT)
    )
    events = events.mutate(rank=rank.cast("int8"))
    said = ("at", "event", "from_party", "to_party", "site")
    in_time = ibis.window(
        group_by="serial", order_by=["at", "rank", "from_party", "to_party", "site", "notified_on", "row_id"]
    )
    numbered = events.mutate(
        n=_whole(ibis.row_number().over(in_time)),
        again=ibis.and_(*(events[name].lag().over(in_time).identical_to(events[name]) for name in said)),
    )
    # the first event has no earlier one that it could repeat, though all it leaves blank be the same
    return numbered.filter((numbered.n == 0) | ~numbered.again)


def _entity_of_code(engine: Engine, table: ibis.Table, column: str, name: str) -> ibis.Table:
    """A table with the entity of a column of party codes; null where that is null or nobody."""
    codes = engine.table("party_codes").select(_code="code", _entity="entity")
    joined = table.left_join(codes, table[column] == codes._code)
    return joined.mutate(**{name: joined._entity}).drop("_code", "_entity")


def named(engine: Engine, table: ibis.Table, column: str, name: str, codes: str = "party_codes") -> ibis.Table:
    """A table with the id that a column of codes stands for, null for nobody; ``codes`` is the table they are from."""
    looked_up = engine.table(codes)
    looked_up = looked_up.select(_code="code", _name=looked_up[codes.removesuffix("_codes")])
    joined = table.left_join(looked_up, table[column] == looked_up._code)
    return joined.mutate(**{name: joined._name}).drop("_code", "_name")


def held_at(engine: Engine, as_of: date) -> ibis.Table:
    """The chips in custody as of a day, by the latest event of each serial number; destroyed ones are left out.

    Kept as ``held(serial, party, entity, site, chip, since, row_id)``: party and entity are null where the last event left
    the chip with nobody known, site where it is not known, chip where the catalog does not know the type; ``since`` is when
    it came to this holder at this site, and ``row_id`` its latest event in ``custody``.
    """
    order_custody(engine, as_of)
    held = keep_held(engine)
    _FRESH[engine] = as_of
    return held


def keep_held(engine: Engine) -> ibis.Table:
    """Keep ``held`` from the ordered events that are there; see `held_at`."""
    latest = held_codes(engine)
    latest = named(engine, latest, "after", "entity")
    latest = named(engine, latest.rename(party_code="party"), "party_code", "party")
    latest = named(engine, latest, "site_after", "site", "site_codes")
    return engine.keep("held", latest.select("serial", "party", "entity", "site", "chip", "since", "row_id"))


def held_codes(engine: Engine) -> ibis.Table:
    """The same with codes, and ``kind``, from the ordered events: columns ``after``, ``party`` and ``site_after``."""
    events = engine.table("custody_ordered")
    came = events.filter(moves_chip(events)).group_by("serial").agg(since=events["at"].max())
    came = came.select(_serial="serial", since="since")
    latest = events.filter(events["last"] & (events.event != "destroy"))
    latest = latest.select("serial", "after", "party", "site_after", "chip", "kind", "row_id")
    return latest.left_join(came, latest.serial == came._serial).drop("_serial")


def moves_chip(events: ibis.Table) -> ibis.BooleanValue:
    """Whether an ordered event is the first of its chip, or changes its holder or its site."""
    return events.before.isnull() | (events.after != events.before) | (events.site_after != events.site_before)
