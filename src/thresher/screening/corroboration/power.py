"""Power: whether what a site draws, month by month, is what its recorded chips can explain.

The most that is explained counts, for each entity at a site, the chips it declares there or, where it declares none
there, those it holds there; every register in force during the look-back speaks for it, as do the operator's chips that
no record places anywhere. A chip of unknown type, TDP or count makes the most unknown: the site cannot be looked at.
The least that is needed counts only chips that every register in force names, a board of spare ones less, and takes them
for idle.

A site speaks for the entity that operates it and for all that declare or hold chips there: the meter does not tell
them apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import ibis
import pyarrow as pa

from thresher.catalog import chips
from thresher.screening.corroboration.common import (
    Period,
    as_citations,
    from_first_level,
    in_words,
    name_in_words,
    quantities,
    with_chip,
    with_entity,
    worst_first,
)
from thresher.screening.engine import Engine, Findings
from thresher.sources import Quantity

WATTS_PER_KILOWATT = 1000.0
HOURS_PER_DAY = 24


class Draw(NamedTuple):
    """Power of a site per unit of its chips' TDP (1): idle and cheapest, usual in training, the most that is explained."""

    least: float
    usual: float
    most: float


def draw_per_tdp(given: Mapping[str, Quantity]) -> Draw:
    """Mean power of a facility over the sum of its accelerators' TDP (W/W).

    usual = s f e, with s the server's maximum over TDP, f the mean over that maximum, e the facility over the server
    (power usage effectiveness): 1.82 x 0.76 x 1.56 = 2.16. The three are independent, so their relative upper ranges
    add in quadrature: most = usual exp(sqrt(sum of ln(high/value)^2)) (JCGM 100:2008, 5.1.2, in the logarithm). Idle
    chips in the best facility need least = i e, both at the low end, their hosts left out. A fixed parameter adds
    nothing to the range.
    """
    busy = [given[name] for name in ("server_power_per_chip_power", "mean_power_fraction", "power_usage_effectiveness")]
    usual = math.prod(one.value for one in busy)
    most = usual * math.exp(math.hypot(*(math.log(one.high / one.value) for one in busy)))
    return Draw(given["idle_power_share"].low * given["power_usage_effectiveness"].low, usual, most)


def corroborate_power(engine: Engine, period: Period) -> Findings:
    """Findings ``power_above_declared`` and ``power_below_declared``, of entities at sites with a meter.

    The strength of the first is drawn / most that is explained, of the second least that is needed / drawn, in kW,
    at the entity's worst site; drawn is the upper quartile of the months that lie wholly in the look-back. Where other
    loads are likely (a house of many tenants, no chip on record, or as much power before the first chip on record as no
    base load explains) the first is capped below the second level.
    """
    _keep_tdp(engine)
    recorded = engine.keep("corroborated_loads", _recorded(engine, period))
    tenants = engine.keep("corroborated_tenants", _tenants(engine, recorded))
    sites = engine.keep("corroborated_sites", _compared(engine, period, recorded, tenants))
    at_sites = tenants.join(sites, "site")
    parts = [
        at_sites.filter(at_sites[side].notnull()).select(
            "entity", "site", finding=ibis.literal(f"power_{side}_declared"), strength=side, detail=f"{side}_detail"
        )
        for side in ("above", "below")
    ]
    ranked = ibis.union(*(worst_first(part, "site") for part in parts))
    worst = ranked.filter(ranked.place == 0).select("entity", "finding", "strength", "detail")
    cited = ranked.filter((ranked.place == 0) | (ranked.strength >= 1)).select("entity", "finding", "site")
    return Findings(from_first_level(worst), _citations(engine, period, cited))


def _months(engine: Engine, period: Period) -> ibis.Table:
    """The power records whose month lies wholly in the look-back."""
    power = engine.table("power")
    return power.filter(power.month >= period.start, power.month + ibis.interval(months=1) <= period.end)


def _drawn(engine: Engine, period: Period) -> ibis.Table:
    """``site, drawn, months``: mean kW of the month that stands for a site; of two readings of a month the larger."""
    months = _months(engine, period)
    months = months.group_by("site", "month").agg(kwh=months.kwh.max())
    months = months.mutate(kw=months.kwh / _hours(months.month))
    share = quantities()["months_exceeded_share"].value
    return months.group_by("site").agg(drawn=months.kw.quantile(share), months=months.count())


def _hours(month: ibis.Value) -> ibis.Value:
    return (month + ibis.interval(months=1)).delta(month, unit="day") * HOURS_PER_DAY


def _keep_tdp(engine: Engine) -> None:
    """The catalog's TDP of each model, in kW, where it is known, for ``_with_kw``."""
    known = {one.chip: one.tdp_w / WATTS_PER_KILOWATT for one in chips().values() if one.tdp_w is not None}
    engine.keep("corroborated_tdp", pa.table({"known_model": list(known), "tdp_kw": list(known.values())}))


def _with_kw(engine: Engine, table: ibis.Table) -> ibis.Table:
    """A table of ``model`` and ``count`` with the sum of their TDP in ``kw``; null where it is not known."""
    known = engine.table("corroborated_tdp")
    joined = table.left_join(known, table.model == known.known_model)
    return joined.mutate(kw=joined["count"] * joined.tdp_kw).drop("known_model", "tdp_kw")


def _declarations(engine: Engine, period: Period) -> ibis.Table:
    """The declarations that are in force at some time of the look-back; a blank site is the empty text."""
    declared = engine.table("declarations").mutate(site=ibis._.site.fill_null(""))
    declared = declared.filter(declared.declared_on < period.end)
    before = ibis.ifelse(declared.declared_on < period.start, declared.declared_on, None)
    declared = declared.mutate(opened=before.max().over(ibis.window(group_by=["party", "site"])))
    return declared.filter(declared.opened.isnull() | (declared.declared_on >= declared.opened))


def _declared(engine: Engine, period: Period) -> ibis.Table:
    """``entity, site, most, least, count, unknown``: TDP in kW that the registers of the look-back declare."""
    lines = with_chip(engine, _declarations(engine, period), "chip")
    lines = _with_kw(engine, lines.mutate(what=ibis.coalesce(lines.model, lines.chip)))
    registers = lines.group_by("party", "site").agg(registers=lines.declared_on.nunique())
    by_day = lines.group_by("party", "site", "what", "declared_on").agg(
        kw=lines.kw.sum(), count=lines["count"].sum(), unknown=lines.kw.isnull().any()
    )
    kinds = by_day.group_by("party", "site", "what").agg(
        most=by_day.kw.max(),
        least=by_day.kw.min(),
        count=by_day["count"].max(),
        unknown=by_day.unknown.any(),
        named=by_day.count(),
    )
    kinds = kinds.join(registers, ["party", "site"])
    kinds = kinds.mutate(least=ibis.ifelse(kinds.named == kinds.registers, kinds.least, 0.0))
    return _sums(with_entity(engine, kinds, "party"), "entity", "site")


def _held(engine: Engine) -> ibis.Table:
    """The same of chips in custody."""
    held = engine.table("held").select("entity", "chip", site=ibis._.site.fill_null(""))
    held = with_chip(engine, held.filter(held.entity.notnull()), "chip")
    held = _with_kw(engine, held.group_by("entity", "site", "model").agg(count=held.count().cast("float64")))
    return _sums(held.mutate(most=held.kw, least=held.kw, unknown=held.kw.isnull()), "entity", "site")


def _sums(lines: ibis.Table, *by: str) -> ibis.Table:
    return lines.group_by(*by).agg(
        most=lines.most.sum().fill_null(0.0),
        least=lines.least.sum().fill_null(0.0),
        count=lines["count"].sum().fill_null(0).cast("int64"),
        unknown=lines.unknown.any(),
    )


def _recorded(engine: Engine, period: Period) -> ibis.Table:
    """What each entity has at each site: as declared, or else as held; the site is empty where no record places it."""
    declared = _declared(engine, period)
    return declared.union(_held(engine).anti_join(declared, ["entity", "site"]))


def _tenants(engine: Engine, recorded: ibis.Table) -> ibis.Table:
    """``site, entity``, each once: who operates a site, and who has chips there."""
    operators = engine.table("sites_resolved").select("site", entity="operator_entity")
    both = recorded.select("site", "entity").union(operators, distinct=True)
    return both.filter(both.entity.notnull(), both.site != "")


def _before_chips(engine: Engine, period: Period) -> ibis.Table:
    """``site, before``: the largest mean kW of a month that ended before any record of a chip at the site."""
    declared, custody = engine.table("declarations"), engine.table("custody")
    records = declared.select("site", day=declared.declared_on).union(custody.select("site", day=custody.at.date()))
    first = records.group_by("site").agg(first=records.day.min())
    power = engine.table("power").join(first, "site")
    power = power.filter(power.month + ibis.interval(months=1) <= ibis.least(power.first, period.end))
    return power.group_by("site").agg(before=(power.kwh / _hours(power.month)).max())


def _compared(engine: Engine, period: Period, recorded: ibis.Table, tenants: ibis.Table) -> ibis.Table:
    """``site``, and for each side its strength (null: cannot be looked at) and a sentence."""
    given = quantities()
    draw, base = draw_per_tdp(given), given["base_load_kw"]
    placed = _sums(recorded.filter(recorded.site != ""), "site")
    operators = engine.table("sites_resolved").select("site", entity="operator_entity")
    anywhere = recorded.filter(recorded.site == "").join(operators.filter(operators.site != ""), "entity")
    anywhere = anywhere.group_by(site=anywhere.site_right).agg(spare=anywhere.most.max(), doubt=anywhere.unknown.any())
    houses = tenants.group_by("site").agg(tenants=tenants.count())
    sites = _drawn(engine, period).left_join(placed, "site").drop("site_right")
    sites = sites.left_join(anywhere, "site").drop("site_right").left_join(houses, "site").drop("site_right")
    sites = sites.left_join(_before_chips(engine, period), "site").drop("site_right")
    spare = ibis.least(given["spare_chips"].value / ibis.greatest(sites["count"], 1), 1.0)
    sites = sites.mutate(
        count=sites["count"].fill_null(0),
        most=(sites.most.fill_null(0.0) + sites.spare.fill_null(0.0)) * draw.most + base.high,
        least=sites.least.fill_null(0.0) * draw.least,
        needed=sites.least.fill_null(0.0) * draw.least * (1.0 - spare),
        unknown=sites.unknown.fill_null(False) | sites.doubt.fill_null(False),
    )
    shared = (sites["count"] == 0) | (sites.tenants >= given["tenants_of_a_shared_site"].value)
    shared = shared | (sites.before.fill_null(0.0) > base.high)
    largest = given["largest_ratio"].value
    cap = ibis.ifelse(shared, given["strength_where_other_loads_are_likely"].value, largest)
    short = sites.needed / ibis.greatest(sites.drawn, sites.needed / largest)
    below = ibis.ifelse(sites.needed > 0, short, 0.0)
    meter = (
        "Site " + name_in_words(sites.site) + " drew " + in_words(sites.drawn, 1) + " kW (upper quartile, months seen: "
        + in_words(sites.months) + "); the " + in_words(sites["count"]) + " chips on record there "
    )  # fmt: skip
    return sites.select(
        "site",
        above=ibis.ifelse(sites.unknown, None, ibis.least(sites.drawn / sites.most, cap)),
        below=ibis.ifelse(sites.least > 0, below, None),
        above_detail=meter + "explain at most " + in_words(sites.most, 1) + " kW.",
        below_detail=meter + "need at least " + in_words(sites.needed, 1) + " kW, a few spare and all idle.",
    )


def _citations(engine: Engine, period: Period, cited: ibis.Table) -> ibis.Table:
    """The meter readings, declarations and last custody events of the sites that findings speak of."""
    sources = {
        "power": _months(engine, period),
        "declarations": _declarations(engine, period),
        "custody": engine.table("held"),
    }
    return ibis.union(
        *(as_citations(table.select("site", "row_id").join(cited, "site"), name) for name, table in sources.items())
    )
