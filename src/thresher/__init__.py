"""Thresher: could a prohibited AI training run be split into pieces too small for the rule to see, and would we catch it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thresher.api import assess, classify, design, lint, programmes, simulate, validate
    from thresher.records.exchange.files import export_records
    from thresher.records.importing import import_records
    from thresher.records.samples import sample_records
    from thresher.screening.account import account_store as account
    from thresher.screening.decisions import decide
    from thresher.screening.screen import screen
    from thresher.screening.verbs import control, corroborate, explain, judge, resolve

__all__ = [
    "account",
    "assess",
    "classify",
    "control",
    "corroborate",
    "decide",
    "design",
    "explain",
    "export_records",
    "import_records",
    "judge",
    "lint",
    "programmes",
    "resolve",
    "sample_records",
    "screen",
    "simulate",
    "validate",
]

_OF_EVIDENCE = {
    "account": "thresher.screening.account:account_store",
    "control": "thresher.screening.verbs:control",
    "corroborate": "thresher.screening.verbs:corroborate",
    "decide": "thresher.screening.decisions:decide",
    "explain": "thresher.screening.verbs:explain",
    "export_records": "thresher.records.exchange.files:export_records",
    "import_records": "thresher.records.importing:import_records",
    "judge": "thresher.screening.verbs:judge",
    "resolve": "thresher.screening.verbs:resolve",
    "sample_records": "thresher.records.samples:sample_records",
    "screen": "thresher.screening.screen:screen",
}
"""The verbs over records, which need the extra ``screen``."""


def __getattr__(name: str) -> Any:
    """Load a verb when it is first used: importing the package stays cheap."""
    from importlib import import_module

    if name in _OF_EVIDENCE:
        module, function = _OF_EVIDENCE[name].split(":")
        return getattr(import_module(module), function)
    if name in __all__:
        return getattr(import_module("thresher.api"), name)
    if name == "countermeasures":  # the room of small functions that people use by themselves
        return import_module("thresher.countermeasures")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
