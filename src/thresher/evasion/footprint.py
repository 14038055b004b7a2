"""The footprint of a plan: what it leaves in the world for others to notice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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

    People are the core team and the operators of its sites (technicians by power in one datacentre); who among them knows
    the purpose is not modelled here.
    """
    sites = 1.0 if one_site else nodes
    staff = max(outcome["power_mw"] * parameters["technicians_per_mw"], sites * parameters["operators_per_site"])
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
        people=parameters["people_core_team"] + staff,
        mean_upload_mbps_per_node=outcome["mean_upload_mbps"],
        peak_upload_mbps_per_node=outcome["peak_upload_mbps"],
        mean_download_mbps_per_node=outcome["mean_download_mbps"],
    )
