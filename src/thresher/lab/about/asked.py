"""What can be asked of the pages about the model: a comparison, the place of a plan, and which numbers to list."""

from __future__ import annotations

from collections.abc import Sequence

from thresher.lab.fields import Field
from thresher.lab.numbers import files_with_words
from thresher.simulation.plans import plan_fields
from thresher.sources import HOW
from thresher.validation import Comparison
from thresher.validation.standing import key_of, short_name

HOW_WORDS = {
    "read": "read in the source itself",
    "second-hand": "second-hand: quoted elsewhere",
    "computed": "computed from cited data",
    "judgement": "our judgement, argued in the note",
}


def comparison_field(comparisons: Sequence[Comparison]) -> Field:
    """The comparison to look at."""
    choices = [(key_of(one), f"{short_name(one)} ({len(one.rows)})") for one in comparisons]
    return Field(
        "table", "Comparison", "choice", choices[0][0], choices=choices, help="In brackets the number of rows."
    )


def place_fields() -> list[Field]:
    """Where a plan stands among the runs that were measured; blank for no plan."""
    params, nodes = plan_fields()["params"], plan_fields()["nodes"]
    return [
        Field("params", "Model parameters", "number", minimum=params.minimum, maximum=params.maximum,
              help="Such as 7e10."),
        Field("replicas", "Replicas", "number", minimum=1.0, maximum=nodes.maximum,
              help="Copies that train apart and average their updates."),
    ]  # fmt: skip


def number_fields() -> list[Field]:
    """Which numbers to list."""
    files = [("", "all files"), *files_with_words()]
    ways = [("", "however it is known"), *((name, HOW_WORDS[name]) for name in HOW)]
    return [
        Field(
            "find", "Words to find", "text", "", help="In names, units, sources and notes; all of them must be there."
        ),
        Field("file", "File", "choice", "", choices=files),
        Field("how", "How it is known", "choice", "", choices=ways),
    ]
