"""Thresher: could a prohibited AI training run be split into pieces too small for the rule to see, and would we catch it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thresher.api import assess, classify, design, lint, programmes, simulate, validate

__all__ = ["assess", "classify", "design", "lint", "programmes", "simulate", "validate"]


def __getattr__(name: str) -> Any:
    """Load a verb when it is first used: importing the package stays cheap."""
    if name in __all__:
        from thresher import api

        return getattr(api, name)
    if name == "countermeasures":  # the room of small functions that people use by themselves
        from importlib import import_module

        return import_module("thresher.countermeasures")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
