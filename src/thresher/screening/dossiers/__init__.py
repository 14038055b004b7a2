"""Dossiers: a page for each lead in which every figure leads back to the rows it came from; and leads for other tools."""

from __future__ import annotations

from thresher.screening.dossiers.exports import leads_as_csv, leads_as_ftm
from thresher.screening.dossiers.page import write_dossiers

__all__ = ["leads_as_csv", "leads_as_ftm", "write_dossiers"]
