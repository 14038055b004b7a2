"""The formats of the ecosystem, in and out: FollowTheMoney, the Beneficial Ownership Data Standard and GS1 EPCIS."""

from __future__ import annotations

from thresher.records.exchange.files import ENDINGS, FORMATS, export_records, is_exchange_file, read_exchange, tables_in
from thresher.records.exchange.rows import Problem, Row

__all__ = ["ENDINGS", "FORMATS", "Problem", "Row", "export_records", "is_exchange_file", "read_exchange", "tables_in"]
