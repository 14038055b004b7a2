"""The footprint of plans: what they leave in the world for others to notice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from thresher.arrays import Array, namespace
from thresher.simulation.cost import DAYS_PER_YEAR


@dataclass(frozen=True, slots=True)
class Footprint:
    """Chips, sites, money, power, people and traffic of a plan over its duration; any field may be an array.

    ``capital_usd`` is spent while buying; ``running_usd_per_year`` while the machines run. ``people_core`` lead the run,
    ``people_operators`` look after its sites.
    """

    chips: Array
    nodes: Array
    sites: Array
    chips_per_site: Array
    duration_days: Array
    cost_usd: Array
    chips_usd: Array
    capital_usd: Array
    running_usd_per_year: Array
    power_mw: Array
    power_kw_per_site: Array
    energy_mwh: Array
    people: Array
    people_core: Array
    people_operators: Array
    mean_upload_mbps_per_node: Array
    peak_upload_mbps_per_node: Array
    mean_download_mbps_per_node: Array


OUTCOMES = (
    "days", "cost_usd", "cost_chips_usd", "cost_servers_usd", "power_mw", "energy_mwh", "mean_upload_mbps", "peak_upload_mbps",
    "mean_download_mbps",
)  # fmt: skip
"""The columns of `simulation.default.simulate` that a footprint is read off."""


def operators(power_mw: Array, sites: Array, parameters: Mapping[str, Array]) -> Array:
    """Those who look after the sites: some at every site, or by power where that asks for more (one datacentre)."""
    xp = namespace(power_mw, sites)
    by_power = power_mw * parameters["technicians_per_mw"]
    return xp.maximum(by_power, sites * parameters["operators_per_site"] + 0.0 * by_power)


def footprint(
    outcome: Mapping[str, Array],
    *,
    chips_per_node: Array,
    nodes: Array,
    parameters: Mapping[str, Array],
    one_site: bool,
) -> Footprint:
    """Read the footprint of plans off their outcomes.

    Parameters
    ----------
    outcome
        Columns of ``OUTCOMES``.
    chips_per_node, nodes
        Of the same plans.
    parameters
        Central values or draws of the preset ``default``.
    one_site
        Whether all nodes stand at one site.
    """
    chips = nodes * chips_per_node
    sites = nodes / nodes if one_site else nodes
    years = outcome["days"] / DAYS_PER_YEAR
    capital = outcome["cost_chips_usd"] + outcome["cost_servers_usd"]
    staff = operators(outcome["power_mw"], sites, parameters)
    return Footprint(
        chips=chips,
        nodes=nodes + 0.0 * chips,
        sites=sites,
        chips_per_site=chips / sites,
        duration_days=outcome["days"],
        cost_usd=outcome["cost_usd"],
        chips_usd=outcome["cost_chips_usd"],
        capital_usd=capital,
        running_usd_per_year=(outcome["cost_usd"] - capital) / years,
        power_mw=outcome["power_mw"],
        power_kw_per_site=1e3 * outcome["power_mw"] / sites,
        energy_mwh=outcome["energy_mwh"],
        people=parameters["people_core_team"] + staff,
        people_core=parameters["people_core_team"] + 0.0 * staff,
        people_operators=staff,
        mean_upload_mbps_per_node=outcome["mean_upload_mbps"],
        peak_upload_mbps_per_node=outcome["peak_upload_mbps"],
        mean_download_mbps_per_node=outcome["mean_download_mbps"],
    )
