"""The form of a regime file: what a rule is, key by key, and what each key may hold."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from thresher.errors import InputError

UNITS = {
    "h100_equivalents": "H100-equivalents",
    "memory_gb": "GB",
    "tpp": "TPP",
    "peak_operations_per_second": "operations/s",
    "chips": "chips",
}
"""The metrics a cluster clause can use, and the one unit each is written in."""


def _number(value: object) -> float:
    """A finite number of at least zero; text such as ``1e24``, which YAML does not read as a number, is one too."""
    if not isinstance(value, bool) and isinstance(value, int | float | str):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number) and number >= 0:
            return number
    raise PydanticCustomError("number", "a finite number of at least 0")


def _day(value: object) -> str:
    """A date as ``2025``, ``2025-11`` or ``2025-11-13``; YAML reads the first as a number and the last as a date."""
    text = value.isoformat() if isinstance(value, datetime.date) else str(value)
    try:
        datetime.date.fromisoformat((text + "-01-01")[:10])
    except ValueError:
        raise PydanticCustomError("day", "a date such as 2025, 2025-11 or 2025-11-13") from None
    return text


Number = Annotated[float, BeforeValidator(_number)]
Day = Annotated[str, BeforeValidator(_day)]
Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
Text = Annotated[str, Field(min_length=1)]
Comparison = Literal[">", ">="]
Status = Literal["drafted", "proposed", "in force", "expired"]
Metric = Literal["h100_equivalents", "memory_gb", "tpp", "peak_operations_per_second", "chips"]
Training = Literal["pretraining", "post-training", "biological"]
Counting = Literal["fp16_equivalent_or_format_whichever_higher", "operations"]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RegimeSource(_Form):
    """Where the text of the rule stands."""

    title: Text = Field(description="Title of the text.")
    address: Text = Field(description="Where to find it: an address, or an official number.")


class Definitions(_Form):
    """The definitions the clauses lean on."""

    h100_fp16_tflops: Number = Field(gt=0, description="Dense FP16 rate of one H100-equivalent, in TFLOP/s.")
    h100_tpp: Number = Field(gt=0, description="Total processing performance of one H100-equivalent.")


class Counts(_Form):
    """Which chips a clause counts."""

    memory_kinds: list[Literal["HBM", "GDDR", "LPDDR"]] = Field(
        min_length=1, description="Only chips with memory of these kinds count."
    )


class Grouping(_Form):
    """Which chips are counted together."""

    over: Literal["networked", "site", "owner", "cluster"] = Field(
        description="`networked`: linked by any limb below; `site`: in one place and, where a limit is given, linked "
        "above it; `owner`: of one owner; `cluster`: each named cluster by itself."
    )
    colocated: bool = Field(default=False, description="`networked` only: being at one site is enough.")
    interconnect_gbit_s_over: Number | None = Field(
        default=None, description="Chips are linked by an interconnect of more than this many Gbit/s."
    )
    common_workload: bool = Field(
        default=False, description="`networked` only: being networked to perform workloads together is enough."
    )

    @model_validator(mode="after")
    def _limbs_fit(self) -> Grouping:
        if self.over != "networked" and (self.colocated or self.common_workload):
            raise PydanticCustomError("limbs", "`colocated` and `common_workload` only where `over` is networked")
        if self.over in {"owner", "cluster"} and self.interconnect_gbit_s_over is not None:
            raise PydanticCustomError("limbs", "`interconnect_gbit_s_over` only where `over` is networked or site")
        return self


class Size(_Form):
    """The size range of clusters that an obligation concerns."""

    metric: Metric = Field(description="What the size is measured in.")
    over: Number = Field(description="The range starts above this.")
    up_to: Number | None = Field(default=None, description="The range ends here; no key: no end.")


class Band(_Form):
    """One band of a training-run rule."""

    above: Number = Field(description="The band starts here; whether the line itself is in it, `comparison` says.")
    up_to: Number | None = Field(default=None, description="The band ends here, where the next begins; no key: no end.")
    consequence: Text = Field(description="What follows, for instance monitored, prohibited, reported.")


class _Clause(_Form):
    id: Id = Field(description="Name of the clause, unique in the regime.")
    reference: Text = Field(description="Article or section of the text.")
    text: Text = Field(description="What the clause says, paraphrased.")
    status: Status | None = Field(default=None, description="Where it differs from the regime's.")
    note: str = Field(default="", description="Anything a reader should know.")


class ClusterClause(_Clause):
    """A line that a set of chips can cross."""

    kind: Literal["cluster"] = Field(description="`cluster`.")
    metric: Metric = Field(
        description="What is summed over the chips: `h100_equivalents` (the larger of the sums of dense FP16 rate and "
        "of TPP, over the definition's figures), `memory_gb`, `tpp`, `peak_operations_per_second` (each chip's fastest "
        "number format), `chips`."
    )
    comparison: Comparison = Field(description='`">"` or `">="`, in quotation marks.')
    threshold: Number = Field(gt=0, description="The line.")
    unit: Text = Field(description="Unit of the line: " + ", ".join(f"{u} for {m}" for m, u in UNITS.items()) + ".")
    counts: Counts | None = Field(default=None, description="Which chips count; no key: all.")
    grouping: Grouping = Field(description="Which chips are counted together.")

    @model_validator(mode="after")
    def _unit_fits(self) -> ClusterClause:
        if self.unit != UNITS[self.metric]:
            expected = f"{UNITS[self.metric]!r}, the unit of {self.metric}"
            raise PydanticCustomError("at", "{expected}", {"expected": expected, "key": "unit", "value": self.unit})
        return self


class RunClause(_Clause):
    """A line that a training run can cross."""

    kind: Literal["run"] = Field(description="`run`.")
    counting: Counting = Field(
        description="`operations`: each operation performed counts once; `fp16_equivalent_or_format_whichever_higher`: "
        "the larger of that and the FP16-equivalent (by bit length)."
    )
    training: list[Training] = Field(min_length=1, description="The kinds of training it counts.")
    comparison: Comparison = Field(description='`">"` or `">="`, in quotation marks: is the line itself in the band?')
    bands: list[Band] = Field(min_length=1, description="The bands, from low to high, in FLOP.")


class Obligation(_Clause):
    """A duty: who owes what, by when."""

    kind: Literal["obligation"] = Field(description="`obligation`.")
    subject: Text = Field(description="What it is about, in a word: duties on one subject are compared by `lint`.")
    applies_to: Text = Field(description="Who or what owes it.")
    size: Size | None = Field(default=None, description="The size range of clusters it concerns; no key: any.")
    starts_days: Number = Field(default=0.0, description="Days after entry into force when it starts.")
    deadline_days: Number | None = Field(default=None, description="Days after entry into force when it must be done.")
    repeats_days: Number | None = Field(default=None, description="Days between repetitions.")
    parameters: dict[str, Number | str] = Field(default={}, description="Other figures, by a name with its unit.")


Clause = Annotated[ClusterClause | RunClause | Obligation, Field(discriminator="kind")]


class RegimeFile(_Form):
    """A regime: a rule, clause by clause."""

    regime: Id = Field(description="Name of the regime; that of its file.")
    title: Text = Field(description="What the text calls itself.")
    jurisdiction: Text = Field(description="Where it applies.")
    status: Status = Field(description="Where it stands.")
    published: Day | None = Field(default=None, description="Day, month or year of publication.")
    in_force_from: Day | None = Field(default=None, description="First day in force.")
    in_force_to: Day | None = Field(default=None, description="Last day in force.")
    source: RegimeSource = Field(description="Where the text stands.")
    extends: str | None = Field(
        default=None,
        description="A regime this one amends: its name, or a file beside this one. Its definitions and clauses are "
        "taken over; a clause of the same id replaces it, others are added.",
    )
    definitions: Definitions | None = Field(default=None, description="Definitions the clauses lean on.")
    clauses: list[Clause] = Field(min_length=1, description="The clauses, in the order of the text.")

    @model_validator(mode="after")
    def _ids_are_unique(self) -> RegimeFile:
        seen = set()
        for clause in self.clauses:
            if clause.id in seen:
                raise PydanticCustomError(
                    "at",
                    "{expected}",
                    {"expected": "an id of its own for each clause", "key": "clauses", "value": clause.id},
                )
            seen.add(clause.id)
        return self


def parse_regime(document: Any, where: str) -> RegimeFile:
    """Check a regime document; anything wrong in it is refused by file and key path, with what would be right.

    Raises
    ------
    InputError
        The first key that is unknown, missing, of the wrong type or unit.
    """
    if not isinstance(document, Mapping):
        raise InputError(where, "a regime: a mapping with the keys regime, title, clauses, ...", document)
    try:
        return RegimeFile.model_validate(document)
    except ValidationError as error:
        raise _as_input_error(error, document, where) from None


_PHRASES = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "a mapping of names to figures",
    "greater_than": "a number above 0",
    "invalid_key": "a key that is text",
    "list_type": "a list",
    "model_attributes_type": "a mapping of keys",
    "model_type": "a mapping of keys",
    "string_pattern_mismatch": "lower-case letters, digits and hyphens",
    "string_too_short": "a text that is not empty",
    "string_type": "a text (in quotation marks, if it looks like a number)",
    "too_short": "at least one entry",
}
"""Pydantic's faults in our words, where its own name its machinery."""


def _as_input_error(error: ValidationError, document: Any, where: str) -> InputError:
    """The first fault of a validation, in our words; a misspelt key comes before the one then missing."""
    faults = error.errors()
    fault = next((one for one in faults if one["type"] == "extra_forbidden"), faults[0])
    context = fault.get("ctx", {})
    path = [*fault["loc"], *([context["key"]] if fault["type"] == "at" else [])]
    here = f"{where}: {_key_path(path, document)}" if path else where
    match fault["type"]:
        case "extra_forbidden":
            known = _keys_beside(path)
            close = get_close_matches(str(path[-1]), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"one of {', '.join(known)}"
            return InputError(here, f"no such key ({hint})")
        case "missing":
            return InputError(here, "a value (the key is missing)")
        case "union_tag_invalid" | "union_tag_not_found":
            value = fault["input"].get("kind") if isinstance(fault["input"], Mapping) else fault["input"]
            return InputError(f"{here}.kind", "cluster, run or obligation", value)
        case "at":
            return InputError(here, context["expected"], context["value"])
    phrase = _PHRASES.get(fault["type"], fault["msg"].removeprefix("Input should be "))
    return InputError(here, phrase, fault["input"])


def _steps(path: list[Any], document: Any) -> Iterator[tuple[Any, Any]]:
    """Each step of a validation path that exists in the document, with the value it stands in."""
    for step in path:
        inside = (isinstance(document, Mapping) and step in document) or (
            isinstance(document, list) and isinstance(step, int)
        )
        if inside or step is path[-1]:
            yield step, document
        if inside:
            document = document[step]


def _key_path(path: list[Any], document: Any) -> str:
    """``clauses[2] (cluster-memory).threshold``: a path a person can follow in the file."""
    text = ""
    for step, container in _steps(path, document):
        if isinstance(step, int) and isinstance(container, list):
            row = container[step]
            name = row.get("id") if isinstance(row, Mapping) else None
            text += f"[{step}]" + (f" ({name})" if isinstance(name, str) else "")
        else:
            text += f".{step}" if text else str(step)
    return text


def _keys_beside(path: list[Any]) -> list[str]:
    """The keys that the form knows where an unknown one stands."""
    form: Any = RegimeFile
    kinds = {"cluster": ClusterClause, "run": RunClause, "obligation": Obligation}
    for step in path[:-1]:
        if step in kinds:
            form = kinds[step]
        elif isinstance(step, str):
            form = _form_of(form.model_fields[step].annotation)
    return list(form.model_fields)


def _form_of(annotation: Any) -> Any:
    """The model inside an annotation such as ``list[Band]`` or ``Counts | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _form_of(part)) is not None), None)


def regime_schema_markdown() -> str:
    """The form of a regime file as Markdown tables, made from the models: one table for each mapping."""
    forms: list[type[BaseModel]] = [
        RegimeFile,
        RegimeSource,
        Definitions,
        ClusterClause,
        Counts,
        Grouping,
        RunClause,
        Band,
        Obligation,
        Size,
    ]
    lines: list[str] = []
    for form in forms:
        lines += [f"### {form.__name__}", "", form.__doc__ or "", "", "| key | value | meaning |", "|---|---|---|"]
        for key, field in form.model_fields.items():
            needed = "" if field.is_required() else " (optional)"
            lines.append(f"| `{key}`{needed} | {_plain(field.annotation)} | {field.description} |")
        lines.append("")
    return "\n".join(lines)


def _plain(annotation: Any) -> str:
    """A type in words."""
    origin, parts = get_origin(annotation), [part for part in get_args(annotation) if part is not type(None)]
    if origin is Annotated:
        return _plain(parts[0])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_plain(part) for part in parts))
    if origin is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin is list:
        return f"list of {_plain(parts[0])}"
    if origin is dict:
        return "mapping"
    return {str: "text", float: "number", bool: "true or false"}.get(
        annotation, f"[{getattr(annotation, '__name__', annotation)}]"
    )
