"""What a reviewer says: a decision about a lead or a word on a pair, as a form sends it, with what is wrong beside its field."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from thresher.errors import InputError
from thresher.lab.leads.asked import whole
from thresher.lab.leads.evidence import Pair
from thresher.lab.leads.listed import said
from thresher.records.decisions import DECISIONS, LeadDecision, check_decision, check_texts
from thresher.screening.dossiers.text import percent, visible

UNDO = "undo"
MOST_FIELDS = 20
MOST_DIGITS = 9
DIGEST_LETTERS = 16
LONGEST_ADDRESS = 160
SHOWN_OF_A_SIDE = ("name", "address", "country")
VERDICTS = {"yes": "one and the same", "no": "two", UNDO: "withdraw"}


@dataclass(frozen=True, slots=True)
class Words:
    """What a reviewer typed: ``about`` says what it is about, so that nothing is decided about another thing than was seen,
    and ``seen`` how many decisions were on record there, so that none is replaced unseen."""

    choice: str = ""
    reviewer: str = ""
    note: str = ""
    about: str = ""
    problems: Mapping[str, str] = field(default_factory=dict)
    saved: str = ""
    seen: int | None = None

    def problem(self, name: str) -> str:
        """What is wrong with a field; nothing where nothing is."""
        return self.problems.get(name, "")

    def refused(self, error: InputError) -> Words:
        """The same with what the store says of it, beside its field where it is about one."""
        where = error.where if error.where in ("decision", "reviewer", "note") else "all"
        return replace(self, problems={where: str(error)})


async def typed(request: Request) -> dict[str, str]:
    """The fields of a form that was sent, line ends as they were typed."""
    text = (await request.body()).decode("utf-8", "replace")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise InputError("the form", f"at most {MOST_FIELDS} fields") from None
    return {name: value.replace("\r\n", "\n") for name, value in pairs}


def decision_in(form: Mapping[str, str]) -> Words:
    """A decision as its form sends it, checked; blank fields stay blank."""
    choice = UNDO if form.get("withdraw") else form.get("decision", "")
    seen = whole(form.get("seen", ""), MOST_DIGITS)
    words = Words(choice, form.get("reviewer", ""), form.get("note", ""), form.get("about", ""), seen=seen)
    problems = _wrong(
        decision=lambda: check_decision(choice, also=(UNDO,)),
        reviewer=lambda: check_texts(words.reviewer, ""),
        note=lambda: check_texts("a name", words.note),
    )
    return replace(words, problems=problems)


def verdict_in(form: Mapping[str, str]) -> Words:
    """A word on a pair as its form sends it: the button says which pair, and what."""
    about, _, choice = form.get("word", "").partition(" ")
    words = Words(choice, form.get("reviewer", ""), form.get("note", ""), about)
    problems = _wrong(reviewer=lambda: check_texts(words.reviewer, ""), note=lambda: check_texts("a name", words.note))
    if choice not in VERDICTS:
        problems["all"] = str(InputError("word", "yes, no or undo on one of the pairs", choice[:DIGEST_LETTERS]))
    return replace(words, problems=problems)


def _wrong(**checks: Callable[[], None]) -> dict[str, str]:
    found = {}
    for name, check in checks.items():
        try:
            check()
        except InputError as error:
            found[name] = str(error)
    return found


def digest(*texts: str) -> str:
    """A short name for a thing of the records, which no text of theirs can break out of."""
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_LETTERS]


def history(decisions: Sequence[LeadDecision]) -> list[dict[str, Any]]:
    """What was decided about a lead, the newest first, in words."""
    return [
        {
            "decision": "withdrawn" if one.decision is None else visible(one.decision),
            "means": "" if one.decision is None else DECISIONS.get(one.decision, ""),
            "reviewer": visible(one.reviewer),
            "note": [visible(line) for line in one.note.splitlines()],
            "at": f"{one.at:%Y-%m-%d %H:%M} UTC",
        }
        for one in reversed(decisions)
    ]


def about_pair(store: Path, pair: Pair) -> str:
    """A name for what a word is about: this pair, in this store."""
    return digest(str(store.resolve()), *pair)


def pairs_shown(
    store: Path, pairs: Sequence[Mapping[str, Any]], judged: Mapping[Pair, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The doubtful pairs side by side, with the word on each that stands."""
    return [
        {
            "about": about_pair(store, _in_order(pair)),
            "probability": percent(pair["probability"]),
            "sides": [_side(pair, side) for side in ("left", "right")],
            "same": {name: _is_same(pair, name) for name in SHOWN_OF_A_SIDE},
            **_word_on(judged.get(_in_order(pair))),
        }
        for pair in pairs
    ]  # fmt: skip


def _in_order(pair: Mapping[str, Any]) -> Pair:
    """The two mentions as a store keeps a judgement of them."""
    left, right = sorted((pair["left"], pair["right"]))
    return left, right


def _side(pair: Mapping[str, Any], side: str) -> dict[str, str]:
    texts = {name: said(pair[f"{side}_{name}"], LONGEST_ADDRESS) for name in SHOWN_OF_A_SIDE}
    return texts | {"mention": said(pair[side])}


def _is_same(pair: Mapping[str, Any], name: str) -> bool:
    """Whether both sides say the same, and say something."""
    return bool(pair[f"left_{name}"]) and pair[f"left_{name}"] == pair[f"right_{name}"]


def _word_on(word: Mapping[str, Any] | None) -> dict[str, str]:
    if word is None:
        return {"verdict": "", "by": ""}
    note = f": {said(word['note'], LONGEST_ADDRESS)}" if word["note"] else ""
    return {"verdict": word["verdict"], "by": f"{said(word['reviewer'])}, {word['at']:%Y-%m-%d}{note}"}


def others_judged(
    store: Path, pairs: Sequence[Mapping[str, Any]], judged: Mapping[Pair, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The words that stand on pairs that are not among the doubtful ones."""
    listed = {_in_order(pair) for pair in pairs}
    return [
        {
            "about": about_pair(store, pair),
            "sides": [
                {"mention": said(mention), "name": said(word[f"{side}_name"])}
                for mention, side in zip(pair, ("left", "right"), strict=True)
            ],
            **_word_on(word),
        }
        for pair, word in judged.items()
        if pair not in listed
    ]  # fmt: skip


def pair_of(
    about: str, store: Path, pairs: Sequence[Mapping[str, Any]], judged: Mapping[Pair, Mapping[str, Any]]
) -> Pair | None:
    """The pair that a button was about; None where it is not there any more."""
    known = [*(_in_order(pair) for pair in pairs), *judged]
    return next((pair for pair in known if about_pair(store, pair) == about), None)
