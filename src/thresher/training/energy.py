"""Power and energy of a fleet from its chips' thermal design power."""

from __future__ import annotations

from thresher.arrays import Array


def wall_power_mw(
    chips: Array,
    *,
    tdp_w: Array,
    server_power_per_chip_power: Array,
    mean_power_fraction: Array,
    power_usage_effectiveness: Array,
) -> Array:
    """Mean power at the meter in MW: chips x TDP x server overhead x mean draw x PUE."""
    return 1e-6 * chips * tdp_w * server_power_per_chip_power * mean_power_fraction * power_usage_effectiveness


def energy_mwh(power_mw: Array, days: Array) -> Array:
    """Energy over a run, in MWh."""
    return power_mw * 24.0 * days
