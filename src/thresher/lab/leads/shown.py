"""What the pages of leads show of a screening that is kept, as their templates take it."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from thresher.lab.leads.asked import PATH, Question
from thresher.lab.leads.dossier import charts_of, neighbours, unplaced_sites
from thresher.lab.leads.evidence import Held
from thresher.lab.leads.listed import count_words, figures, listed, odds_chart, said, shown
from thresher.lab.leads.reviewing import Words, digest, history, others_judged, pairs_shown
from thresher.lab.pages import address, command_line
from thresher.records.decisions import DECISIONS
from thresher.screening.dossiers import leads_as_csv
from thresher.screening.review import ScreenedForReview, with_prior


def at(held: Held, question: Question) -> ScreenedForReview:
    """The screening given the prior asked for."""
    screened = held.screened
    return screened if question.prior_share == screened.prior_share else with_prior(screened, question.prior_share)


def about_lead(question: Question, held: Held, owner: str) -> str:
    """A name for what a decision is about: this owner, in this store, under this regime."""
    return digest(str(question.asked.store.resolve()), held.screened.regime.name, owner)


def the_list(question: Question, held: Held) -> dict[str, Any]:
    """The list of leads, with its figures and its chart."""
    query = question.form.query
    screened = at(held, question)
    found = shown(screened, question.filters)
    command = question.command
    return {
        "held": held,
        "form": question.form,
        "screened": screened,
        "figures": figures(screened),
        "count": count_words(found, screened),
        "rows": listed(found, question),
        "chart": odds_chart(found, question),
        "pairs_href": address(f"{PATH}/pairs", query),
        "again": address(f"{PATH}/again", query),
        "twin": address(f"{PATH}.json", query),
        "table": address(f"{PATH}.csv", query),
        "command": command_line([*command, "--json", "-"]),
        "commands": {
            "--csv": command_line([*command, "--csv", "leads.csv"]),
            "--ftm": command_line([*command, "--ftm", "leads.ftm.json"]),
            "--html": command_line([*command, "--html", "dossiers"]),
        },
    }


def the_dossier(question: Question, held: Held, rank: int, words: Words | None = None) -> dict[str, Any]:
    """A lead's dossier, with its charts and what was decided."""
    query = question.form.query
    screened = at(held, question)
    one = screened.lead(rank)
    return {
        **the_way_around(question, held, rank),
        **the_decision(question, held, rank, words),
        "oob": False,
        "name": said(one.lead.name or one.lead.owner),
        "fragment": Markup(screened.fragment(rank, list_href=address(PATH, query))),
        "unplaced": unplaced_sites(one),
        "twin": address(f"{PATH}.json", query),
        "command": command_line([*question.command, "--html", "dossiers"]),
    }


def the_way_around(question: Question, held: Held, rank: int) -> dict[str, Any]:
    """The way to the list, to the leads beside this one, and to its charts."""
    query, screened = question.form.query, at(held, question)
    return {
        "list_href": address(PATH, query),
        "neighbours": neighbours(shown(screened, question.filters), rank, question),
        "charts": charts_of(screened.lead(rank), screened, address(f"{PATH}/{rank}", query)),
    }


def the_decision(question: Question, held: Held, rank: int, words: Words | None = None) -> dict[str, Any]:
    """What was decided about a lead, and the form to decide."""
    one = held.screened.lead(rank)
    owner = one.lead.owner
    return {
        "held": held,
        "form": question.form,
        "rank": rank,
        "decisions": DECISIONS,
        "words": words or Words(reviewer=question.form["reviewer"]),
        "about": about_lead(question, held, owner),
        "seen": len(held.histories.get(owner, ())),
        "standing": one.decision,
        "history": history(held.histories.get(owner, ())),
        "send": address(f"{PATH}/{rank}/decide", question.sent),
        "decide_command": command_line(_decide_words(question, owner)),
    }


def as_csv(question: Question, held: Held) -> str:
    """The leads as the command's ``--csv`` writes them."""
    leads = at(held, question).leads
    decisions = {one.lead.owner: one.decision for one in leads if one.decision is not None}
    return leads_as_csv([one.lead for one in leads], decisions)


def _decide_words(question: Question, owner: str) -> list[str]:
    asked = question.asked
    return ["thresher", "decide", str(asked.store), owner, "follow-up", f"--regime={asked.regime}", "--reviewer=NAME"]


def the_pairs(question: Question, held: Held, words: Words | None = None) -> dict[str, Any]:
    """The pairs of mentions in doubt side by side, and the form to judge them."""
    query, rows = question.form.query, held.screened.pairs
    store = question.asked.store
    return {
        "held": held,
        "form": question.form,
        "pairs": pairs_shown(store, rows, held.judged),
        "others": others_judged(store, rows, held.judged),
        "words": words or Words(reviewer=question.form["reviewer"]),
        "send": address(f"{PATH}/pairs/judge", question.sent),
        "again": address(f"{PATH}/again", query),
        "list_href": address(PATH, query),
        "command": command_line(["thresher", "resolve", store, "--json", "-"]),
        "judge_command": command_line(
            ["thresher", "resolve", store, "--judge", "LEFT", "RIGHT", "no", "--reviewer", "NAME"]
        ),
    }
