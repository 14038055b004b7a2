"""Validation: what the models predict, beside every measurement of the catalog."""

from thresher.validation.comparison import Comparison, ComparisonRow, as_json, summary_lines
from thresher.validation.measurements import compared_tables, left_out, validate

__all__ = [
    "Comparison",
    "ComparisonRow",
    "as_json",
    "compared_tables",
    "left_out",
    "summary_lines",
    "validate",
]
