"""What exists: chips, network profiles, reference systems and published measurements, every figure with its source."""

from thresher.catalog.chips import Chip, chip, chips, filter_chips
from thresher.catalog.measurements import table, table_columns, table_names, table_source
from thresher.catalog.networks import NetworkProfile, network, networks, round_trips, within_links
from thresher.catalog.systems import ReferenceSystem, reference_systems

__all__ = [
    "Chip",
    "NetworkProfile",
    "ReferenceSystem",
    "chip",
    "chips",
    "filter_chips",
    "network",
    "networks",
    "reference_systems",
    "round_trips",
    "table",
    "table_columns",
    "table_names",
    "table_source",
    "within_links",
]
