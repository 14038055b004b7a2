"""The state: programmes of countermeasures and their channels; from the footprint of a plan to the time until it is detected."""

from __future__ import annotations

from thresher.countermeasures.leaks import leak_probability, leak_probability_changing, time_to_identification
from thresher.countermeasures.location import max_distance_km
from thresher.sampling import (
    approximate_sample_size,
    inspection_detection_probability,
    inspection_sample_size,
)

__all__ = [
    "approximate_sample_size",
    "inspection_detection_probability",
    "inspection_sample_size",
    "leak_probability",
    "leak_probability_changing",
    "max_distance_km",
    "time_to_identification",
]
