"""What a run costs: chips, servers, network, hosting, power and people, each a cited parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from thresher.arrays import Array, namespace

DAYS_PER_YEAR = 365.25
MONTHS_PER_YEAR = 12.0
DAYS_PER_MONTH = DAYS_PER_YEAR / MONTHS_PER_YEAR
HOURS_PER_DAY = 24.0


class Cost(NamedTuple):
    """Dollars by what they buy."""

    chips: Array
    servers: Array
    network: Array
    hosting: Array
    power: Array
    people: Array

    @property
    def total(self) -> Array:
        """All of it."""
        return self.chips + self.servers + self.network + self.hosting + self.power + self.people


def chips_only_usd(nodes: Array, chips_per_node: Array, price_usd: Array) -> Array:
    """The study's accounting: nodes x chips x price, and nothing else."""
    return nodes * chips_per_node * price_usd


def run_cost(
    *,
    nodes: Array,
    chips_per_node: Array,
    price_usd: Array,
    workstation: Array,
    price_with_server: Array,
    one_site: bool,
    days: Array,
    power_mw: Array,
    peak_it_kw: Array,
    rate_mbps: Array,
    relayed_gb: Array,
    p: Mapping[str, Array],
) -> Cost:
    """The cost of buying the hardware new and running it for ``days``; nothing is credited for it afterwards.

    Parameters
    ----------
    workstation
        1 where the chip is a consumer or workstation card, whose servers cost less.
    price_with_server
        1 where the price is a share of a whole server or rack, so that its server is paid for.
    one_site
        Whether all nodes stand in one datacentre, with its tariff and no rented links, or each on a site of its own. Interconnect
        and staff go by the size of a site alike.
    power_mw, peak_it_kw
        Mean power at the meter; and the power of the equipment at full load, which colocation is priced by.
    rate_mbps
        Internet rate each node rents, the larger direction.
    relayed_gb
        Volume that leaves a paid store over the run.
    p
        Central values or draws of ``data/costs.yaml``.
    """
    xp = namespace(nodes, days, power_mw)
    years, months = days / DAYS_PER_YEAR, days / DAYS_PER_MONTH
    bought = nodes * chips_per_node * price_usd * (1.0 + p["spare_chip_fraction"] * years)
    chips = bought * (1.0 if one_site else p["covert_chip_premium"])
    server_share = xp.where(
        workstation > 0, p["workstation_server_cost_per_chip_dollar"] + 0.0 * nodes, p["server_cost_per_chip_dollar"]
    )
    sites = 1.0 if one_site else nodes
    chips_at_site = nodes * chips_per_node / sites
    cluster_fabric = p["cluster_interconnect_cost_per_chip_dollar"] + 0.0 * nodes
    several_servers = xp.where(
        chips_at_site > p["single_switch_chips"], cluster_fabric, p["node_interconnect_cost_per_chip_dollar"]
    )
    fabric = xp.where(chips_at_site > p["server_chips"], several_servers, 0.0 * several_servers)
    by_power = power_mw / sites * p["technicians_per_mw"]
    technicians = sites * xp.maximum(by_power, p["operators_per_site"] + 0.0 * by_power)
    tariff = p["electricity_usd_per_kwh" if one_site else "electricity_small_site_usd_per_kwh"]
    network = nodes * rate_mbps * p["internet_usd_per_mbps_month"] * months + relayed_gb * p["object_store_usd_per_gb"]
    setup = sites * p["site_setup_usd"]
    if one_site:
        network = 0.0 * network
    return Cost(
        chips=chips,
        servers=bought * ((1.0 - price_with_server) * server_share + fabric),
        network=network,
        hosting=peak_it_kw * p["colocation_usd_per_kw_month"] * months + setup,
        power=power_mw * 1e3 * HOURS_PER_DAY * days * tariff,
        people=years
        * (p["people_core_team"] * p["staff_usd_per_person_year"] + technicians * p["technician_usd_per_person_year"]),
    )
