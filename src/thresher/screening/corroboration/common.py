"""What the checks share: their parameters, the look-back, the entity of a party, figures in words."""

from __future__ import annotations

import datetime
from typing import NamedTuple

import ibis

from thresher.screening.engine import Engine
from thresher.screening.evidence import all_findings
from thresher.sources import Quantities, load_quantities


def quantities() -> Quantities:
    """The parameters of all checks, with unit, range and source."""
    return load_quantities("thresher.screening", "corroboration.yaml")


class Period(NamedTuple):
    """The look-back: its first day, and the first day after it (the day after the one that all is seen from)."""

    start: datetime.date
    end: datetime.date


def look_back(as_of: datetime.date, days: int) -> Period:
    """The ``days`` that end with ``as_of``, as far as the calendar reaches."""
    start = as_of - datetime.timedelta(days=min(days - 1, as_of.toordinal() - 1))
    return Period(start, as_of + datetime.timedelta(days=1))


def with_entity(engine: Engine, table: ibis.Table, party: str) -> ibis.Table:
    """A table with the ``entity`` of a column of parties; a party that nobody resolved is its own."""
    identity = engine.table("identity").select(_party="party", _entity="entity")
    joined = table.left_join(identity, table[party] == identity._party)
    return joined.mutate(entity=ibis.coalesce(joined._entity, joined[party])).drop("_party", "_entity")


def with_chip(engine: Engine, table: ibis.Table, label: str) -> ibis.Table:
    """A table with the catalog's ``model`` for a column of labels."""
    labels = engine.table("chip_labels").select("label", _model="chip")
    joined = table.left_join(labels, table[label] == labels.label)
    return joined.mutate(model=ibis.ifelse(joined.label.isnull(), joined[label], joined._model)).drop("label", "_model")


_LARGEST = 1e12


def in_words(value: ibis.Value, decimals: int = 0) -> ibis.Value:
    """A figure as text, alike on every engine; beyond 10^12 it is given as that."""
    within = ibis.least(ibis.greatest(value.cast("float64"), -_LARGEST), _LARGEST)
    return (within.round().cast("int64") if decimals == 0 else within.cast(f"decimal(18, {decimals})")).cast("string")


def name_in_words(value: ibis.Value) -> ibis.Value:
    """An id as a sentence can carry it: its first 60 characters."""
    return value.substr(0, 60)


def worst_first(table: ibis.Table, *tie: str) -> ibis.Table:
    """A table with ``place`` 0 for the strongest row of each entity; ties go by the columns named."""
    order = [ibis.desc("strength"), *tie]
    return table.mutate(place=ibis.row_number().over(ibis.window(group_by="entity", order_by=order)))


def from_first_level(found: ibis.Table) -> ibis.Table:
    """Findings as a step gives them: a strength below a finding's first level is 0, looked at and nothing found."""
    first_levels = {one.finding: one.edges[0] for one in all_findings().values() if one.step == "corroborate"}
    levels = [(found.finding == name, edge) for name, edge in first_levels.items()]
    strength = ibis.ifelse(found.strength < ibis.cases(*levels), 0.0, found.strength)
    return found.select("entity", "finding", strength=strength, detail="detail")


def as_citations(table: ibis.Table, source: str) -> ibis.Table:
    """The rows of one table of evidence behind findings: from columns ``entity``, ``finding`` and ``row_id``."""
    return table.select("entity", "finding", table=ibis.literal(source), row_id=table.row_id.cast("int64"))
