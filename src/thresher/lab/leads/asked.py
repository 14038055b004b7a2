"""What was asked of the page of leads, checked: which store, which rule, which day; and which of the leads are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from starlette.datastructures import ImmutableMultiDict

from thresher.errors import InputError
from thresher.lab.fields import Field, Filled, fill
from thresher.lab.rules import edition_of, regime_choices
from thresher.lab.settings import LabSettings
from thresher.sources import load_quantities

PATH = "/leads"
DEFAULT_REGIME, LOOK_BACK_DAYS = "miri-2026-memory", 365
"""Those of `thresher.screening.screen`, which takes seconds to load (a test holds them together)."""
TOP, TOPS = 50, (20, 50, 100, 200)
"""Leads listed, each with its dossier; the command lists as many as it is told."""
LEAST_PRIOR, MOST_PRIOR = 1e-6, 0.999999
MOST_DAYS = 36525
SHOWN, SCREENING, REVIEWER = "Which are shown", "The screening", "The reviewer"
ANY = ""
READINGS = {"covered": True, "not covered": False, "unknown": None}
UNDECIDED, DECIDED = "undecided", "decided"
COUNTRY_LETTERS = 2
EXPECTED_DAY = "a day, as 2026-06-30"


def whole(text: str, most_digits: int) -> int | None:
    """The whole number that a text of an address or a form stands for; None where it is another text, or longer."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= most_digits else None


@dataclass(frozen=True, slots=True)
class Asked:
    """A screening: all that takes it seconds. What its leads are then worth follows from the prior at once."""

    store: Path
    regime: str
    as_of: date | None
    look_back_days: int
    top: int = TOP
    edition: tuple[tuple[int, int], ...] = ()
    """The state of the regime's file, where it is a person's own: a rule that was edited is read anew."""

    @property
    def choices(self) -> dict[str, Any]:
        """What `thresher.screening.review.screen_for_review` takes beside the store."""
        return {"regime": self.regime, "as_of": self.as_of, "look_back_days": self.look_back_days, "top": self.top}


@dataclass(frozen=True, slots=True)
class Filters:
    """Which of the leads are shown."""

    text: str
    least: float
    together: str
    only_together: bool
    country: str
    decision: str


@dataclass(frozen=True, slots=True)
class Question:
    """The page as it stands: its form, the screening asked for, the prior, and which leads are shown."""

    form: Filled
    asked: Asked
    prior_share: float
    filters: Filters

    @property
    def sent(self) -> list[tuple[str, Any]]:
        """The state for the address that a reviewer's word goes to: what is wrong stays in it, so that the word is refused."""
        return [*self.form.query, *((name, self.form.texts[name]) for name in self.form.problems)]

    @property
    def command(self) -> list[str]:
        """The command that gives the same leads."""
        asked, defaults = self.asked, self.form.fields
        words = ["thresher", "screen", str(asked.store), f"--top={asked.top}"]
        words += [] if asked.regime == DEFAULT_REGIME else [f"--regime={asked.regime}"]
        words += [] if asked.as_of is None else [f"--as-of={asked.as_of}"]
        words += [] if asked.look_back_days == LOOK_BACK_DAYS else [f"--look-back={asked.look_back_days}"]
        words += [] if self.prior_share == defaults["prior"].default else [f"--prior={self.prior_share:.10g}"]
        return words


@cache
def store_names(stores: tuple[Path, ...]) -> Mapping[str, Path]:
    """The stores by what they are called in an address: their file's name, or their whole path where two have the same."""
    names = [path.name for path in stores]
    return {path.name if names.count(path.name) == 1 else str(path): path for path in stores}


@cache
def controls(lab: LabSettings) -> list[Field]:
    """The fields of the page; there is at least one store."""
    from thresher.records.decisions import DECISIONS  # noqa: PLC0415 - brings the database

    prior = load_quantities("thresher.screening", "leads.yaml")["prior_share_of_hiders"]
    names = [(name, name) for name in store_names(lab.stores)]
    regimes = regime_choices(lab)
    return [
        Field(
            "text", "Search", "text", "", heading=SHOWN,
            help="an owner, one of its companies, or a site: a part of its name or id",
        ),
        Field(
            "least", "Probability of at least", "number", 0.0, "%", 0.0, 100.0, slider=(0.0, 100.0), shown=0.0, heading=SHOWN,
        ),
        Field(
            "together", "Read as one cluster", "choice", ANY, heading=SHOWN,
            choices=[(ANY, "any"), *((word, word) for word in READINGS)],
        ),
        Field("only", "Covered only when read as one cluster", "flag", False, heading=SHOWN),
        Field(
            "decision", "Decision", "choice", ANY, heading=SHOWN,
            choices=[
                (ANY, "any"), (UNDECIDED, "none yet"), (DECIDED, "any that was made"),
                *((name, f"{name}: {words}") for name, words in DECISIONS.items()),
            ],
        ),
        Field("country", "Country", "text", "", heading=SHOWN, help="two letters, as the register of parties has it: US"),
        Field("store", "Store", "choice", names[0][0], choices=names, heading=SCREENING),
        Field(
            "prior", "Share that hides, before any finding", "number", prior.value, "", LEAST_PRIOR, MOST_PRIOR,
            slider=(prior.low, prior.high), log=True, heading=SCREENING, help="the prior; moving it needs no new screening",
        ),
        Field(
            "regime", "Regime", "choice", DEFAULT_REGIME, choices=regimes, heading=SCREENING,
            help="this and what follows: a new screening, which takes some seconds",
        ),
        Field(
            "as_of", "Records up to", "text", "", heading=SCREENING,
            help="a day, as 2026-06-30; blank: that of the latest record",
        ),
        Field("look_back", "Look back", "integer", LOOK_BACK_DAYS, "days", 1, MOST_DAYS, heading=SCREENING),
        Field(
            "top", "Leads listed, the likeliest", "choice", str(TOP), heading=SCREENING,
            choices=[(str(number), str(number)) for number in TOPS],
        ),
        Field(
            "reviewer", "Your name", "text", "", heading=REVIEWER,
            help="goes with what you decide; it is kept in this page's address, and in the store with each decision",
        ),
    ]  # fmt: skip


def read(query: ImmutableMultiDict[str, str], lab: LabSettings) -> Question:
    """The question that an address asks; what is wrong with it is told in the form's problems."""
    form = fill(controls(lab), query)
    as_of, form = _day(form)
    form = _country(form)
    stores = store_names(lab.stores)
    asked = Asked(
        stores[form["store"]], form["regime"], as_of, form["look_back"], int(form["top"]), edition_of(form["regime"])
    )
    filters = Filters(
        form["text"], form["least"] / 100.0, form["together"], form["only"], form["country"].upper(), form["decision"]
    )
    return Question(form, asked, form["prior"], filters)


def _day(form: Filled) -> tuple[date | None, Filled]:
    """The day asked for, and the form with what is wrong with it."""
    text = form["as_of"]
    try:
        return (date.fromisoformat(text) if text else None), form
    except ValueError:
        return None, _with_problem(form, "as_of", EXPECTED_DAY)


def _country(form: Filled) -> Filled:
    text = form["country"]
    good = not text or (len(text) == COUNTRY_LETTERS and text.isascii() and text.isalpha())
    return form if good else _with_problem(form, "country", "two letters, as US")


def _with_problem(form: Filled, name: str, expected: str) -> Filled:
    problem = str(InputError(form.fields[name].label, expected, form[name]))
    return replace(
        form,
        values={**form.values, name: form.fields[name].default},
        problems={**form.problems, name: problem},
    )
