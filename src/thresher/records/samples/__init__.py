"""A made-up jurisdiction with known truth: nine tables of records in which honest parties err and planted evaders hide."""

from __future__ import annotations

from thresher.records.samples.jurisdiction import Summary, sample_records
from thresher.records.samples.truth import Truth, read_truth

__all__ = ["Summary", "Truth", "read_truth", "sample_records"]
