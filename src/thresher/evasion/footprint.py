"""The footprint of a plan: what it leaves in the world for others to notice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from thresher.arrays import Array, namespace
from thresher.simulation.cost import DAYS_PER_YEAR


@dataclass(frozen=True, slots=True)
class Footprint:
    """Chips, sites, money, power, people and traffic of one plan, over its duration."""

    chips: float
    chip: str
    sites: float
    chips_per_site: float
    duration_days: float
    cost_usd: float
    usd_per_year: float
    power_mw: float
    power_kw_per_site: float
    energy_mwh: float
    people: float
    mean_upload_mbps_per_node: float
    peak_upload_mbps_per_node: float
    mean_download_mbps_per_node: float


def people(outcome: Mapping[str, Array], sites: Array, parameters: Mapping[str, Array]) -> Array:
    """The core team and the operators of its sites, technicians by power where those are more (one datacentre)."""
    xp = namespace(outcome["power_mw"], sites)
    by_power = outcome["power_mw"] * parameters["technicians_per_mw"]
    return parameters["people_core_team"] + xp.maximum(
        by_power, sites * parameters["operators_per_site"] + 0.0 * by_power
    )


def footprint(
    chip: str,
    chips_per_node: float,
    outcome: Mapping[str, float],
    nodes: float,
    parameters: Mapping[str, float],
    *,
    one_site: bool,
) -> Footprint:
    """Read a plan's footprint off its outcome.

    Who among its people knows the purpose is not modelled here.
    """
    sites = 1.0 if one_site else nodes
    return Footprint(
        chips=nodes * chips_per_node,
        chip=chip,
        sites=sites,
        chips_per_site=nodes * chips_per_node / sites,
        duration_days=outcome["days"],
        cost_usd=outcome["cost_usd"],
        usd_per_year=outcome["cost_usd"] / max(outcome["days"] / DAYS_PER_YEAR, 1.0),
        power_mw=outcome["power_mw"],
        power_kw_per_site=1e3 * outcome["power_mw"] / sites,
        energy_mwh=outcome["energy_mwh"],
        people=float(people(outcome, sites, parameters)),
        mean_upload_mbps_per_node=outcome["mean_upload_mbps"],
        peak_upload_mbps_per_node=outcome["peak_upload_mbps"],
        mean_download_mbps_per_node=outcome["mean_download_mbps"],
    )
