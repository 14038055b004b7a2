"""What a person moves on the command line: a rule's lines, a programme's settings, an actor's budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import click

from thresher.errors import InputError

if TYPE_CHECKING:
    from thresher.countermeasures.actors import Actor
    from thresher.countermeasures.programmes import Programme
    from thresher.regime import Regime


def moving_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that move a line of the rule, a setting of the programme, and the budget of the actor."""
    options = (
        click.option(
            "--line",
            "lines",
            multiple=True,
            metavar="NAME=VALUE",
            help="The rule with this line moved (none: without it): compute and owner-compute in H100-equivalents, memory and"
            " owner-memory in GB, bandwidth in Gbit/s (the adversary then keeps faster links at that rate); repeatable.",
        ),
        click.option(
            "--set",
            "levers",
            multiple=True,
            metavar="NAME=VALUE",
            help="The programme with this setting moved (thresher programmes --list names them); repeatable.",
        ),
        click.option("--actor-budget", metavar="USD", help="The actor with this many dollars."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def rule_with_lines(rule: Regime, texts: Sequence[str]) -> Regime:
    """A regime with the lines of ``--line`` moved."""
    from thresher.thresholds.lines import amended, check_line, settings

    lines: dict[str, float | None] = {}
    for name, text in _pairs("--line", texts, settings()["axes"]).items():
        lines[name] = _line(name, text)
        check_line(name, lines[name], f"--line {name}")
    return amended(rule, lines, "--line") if lines else rule


def programme_with_settings(name_or_path: str, texts: Sequence[str]) -> Programme:
    """A programme by name or file, with the settings of ``--set`` moved."""
    from thresher.countermeasures.programmes import load_programme, number_in, settings

    programme, changes = load_programme(name_or_path), {}
    for name, text in _pairs("--set", texts, settings()).items():
        row = settings()[name]
        changes[name] = number_in(text, f"--set {name}", 0.0, row.most, row.unit)
    return programme.with_settings(programme.name, changes) if changes else programme


def actor_with_budget(name_or_path: str, budget_usd: str | None) -> Actor:
    """An actor by name or file, with the dollars of ``--actor-budget``."""
    from thresher.countermeasures.actors import load_actor
    from thresher.countermeasures.programmes import number_in

    actor = load_actor(name_or_path)
    if budget_usd is None:
        return actor
    return replace(actor, budget_usd=number_in(budget_usd, "--actor-budget", 0.0, math.inf, "USD"))


def _pairs(option: str, texts: Sequence[str], known: Collection[str]) -> dict[str, str]:
    """Texts of the form NAME=VALUE, each name known and given once."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not value:
            raise InputError(option, "NAME=VALUE", text)
        if name not in known:
            close = get_close_matches(name, known, n=3, cutoff=0.5)
            raise InputError(option, f"a known name ({'nearest: ' if close else ''}{', '.join(close or known)})", name)
        if name in found:
            raise InputError(f"{option} {name}", "one value", text)
        found[name] = value
    return found


def _line(name: str, text: str) -> float | None:
    if text.lower() == "none":
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--line {name}", "a number, or none", text) from None
