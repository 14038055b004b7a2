"""Where regimes come from: those that ship, by name; a person's own, by file; an amendment extends another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from thresher.arrays import Array
from thresher.catalog import Chip
from thresher.errors import InputError
from thresher.regime import clauses as _clauses
from thresher.regime.classification import ClusterRow, Decision, classify
from thresher.regime.clauses import Measure, RunConsequence
from thresher.regime.schema import ClusterClause, Definitions, Obligation, RegimeFile, RunClause, parse_regime
from thresher.sources import read_text, read_yaml

_NOT_REGIMES = ("parameters.yaml",)
_DEEPEST = 16


@dataclass(frozen=True, slots=True)
class Regime:
    """A rule, clause by clause, ready to be applied."""

    name: str
    title: str
    jurisdiction: str
    status: str
    in_force_from: str | None
    in_force_to: str | None
    source_title: str
    source_address: str
    definitions: Definitions | None
    clauses: tuple[ClusterClause | RunClause | Obligation, ...]

    @property
    def cluster_clauses(self) -> tuple[ClusterClause, ...]:
        """The clauses that a set of chips can cross."""
        return tuple(clause for clause in self.clauses if isinstance(clause, ClusterClause))

    @property
    def run_clauses(self) -> tuple[RunClause, ...]:
        """The clauses that a training run can cross."""
        return tuple(clause for clause in self.clauses if isinstance(clause, RunClause))

    @property
    def obligations(self) -> tuple[Obligation, ...]:
        """The duties."""
        return tuple(clause for clause in self.clauses if isinstance(clause, Obligation))

    @property
    def interconnect_limit_gbit_s(self) -> float | None:
        """The least interconnect above which some clause counts separate nodes together; None where none does."""
        limits = [
            clause.grouping.interconnect_gbit_s_over
            for clause in self.cluster_clauses
            if clause.grouping.over == "networked" and clause.grouping.interconnect_gbit_s_over is not None
        ]
        return min(limits, default=None)

    def classify(self, rows: Sequence[ClusterRow]) -> list[Decision]:
        """Decide for every cluster of a table whether this rule covers it, by which clause and with what margin."""
        return classify(rows, self.cluster_clauses, self.definitions)

    def measure_nodes(self, chip: Chip, chips_per_node: Array, nodes_together: Array = 1) -> dict[str, Measure]:
        """Every cluster clause's value for nodes of one chip type, by clause id; see ``clauses.measure_nodes``."""
        return {
            clause.id: _clauses.measure_nodes(clause, self.definitions, chip, chips_per_node, nodes_together)
            for clause in self.cluster_clauses
        }

    def largest_uncovered_count(self, chip: Chip, most: int | None = None, over: str | None = None) -> int | None:
        """The most chips of a type that may stand together with no clause covering them.

        Parameters
        ----------
        chip
            The chip.
        most
            The largest count of interest: a bound above it is given as it.
        over
            Only clauses with this grouping, for instance ``owner``; all by default.

        Returns
        -------
        The count: 0 where one chip alone is covered; None where no clause bounds it.

        Raises
        ------
        InputError
            The catalog knows none of the chip's figures that a clause sums.
        """
        found: int | None = None
        for clause in self.cluster_clauses:
            if over is not None and clause.grouping.over != over:
                continue
            one = float(_clauses.measure_nodes(clause, self.definitions, chip, 1).value)
            if one > 0:
                # a chip either side of the quotient, for the strictness of the comparison and for rounding
                near = max(int(clause.threshold / one) - 1, 0)
                fits = sum(
                    not bool(_clauses.measure_nodes(clause, self.definitions, chip, near + more).covered)
                    for more in range(1, 4)
                )
                found = near + fits if found is None else min(found, near + fits)
        return found if found is None or most is None else min(found, most)

    def run_consequences(
        self, flop_performed: Array, kind: str = "pretraining", bits: Array = 16
    ) -> list[RunConsequence]:
        """What follows from training runs: for each band of each clause that counts this kind, which runs fall in it.

        Parameters
        ----------
        flop_performed
            Operations performed in the format used, any shape.
        kind
            ``pretraining``, ``post-training`` or ``biological``.
        bits
            Bits of one multiplied value in that format: 16, 8, 4; see ``clauses.counted_operations``.
        """
        known = {"pretraining", "post-training", "biological"}
        if kind not in known:
            raise InputError("kind of training", f"one of {', '.join(sorted(known))}", kind)
        return [
            consequence
            for clause in self.run_clauses
            if kind in clause.training
            for consequence in _clauses.run_consequences(clause, flop_performed, bits)
        ]


def regimes() -> list[str]:
    """The names of the regimes that ship, sorted."""
    names = (entry.name for entry in files("thresher.regime").joinpath("data").iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml") and name not in _NOT_REGIMES)


def load_regime(name_or_path: str | Path) -> Regime:
    """A regime that ships, by its name in any case, or a person's own, by its file.

    Raises
    ------
    InputError
        An unknown name, with the nearest known ones; a file that cannot be read; or the key of the file that is wrong.
    """
    return _regime(str(name_or_path))


def _regime(name_or_path: str) -> Regime:
    path = Path(name_or_path)
    if name_or_path.lower() in regimes():
        return _shipped(name_or_path.lower())
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        return _resolved(_read(path), str(path), path.parent, (str(path.resolve()),))
    from difflib import get_close_matches  # noqa: PLC0415 - only for a wrong name

    close = get_close_matches(name_or_path.lower(), regimes(), n=3, cutoff=0.4) or regimes()
    raise InputError("regime", f"a file that exists, or a known name ({', '.join(close)})", name_or_path)


@cache
def _shipped(name: str) -> Regime:
    where = f"thresher/regime/data/{name}.yaml"
    text = files("thresher.regime").joinpath("data", f"{name}.yaml").read_text("utf-8")
    return _resolved(read_yaml(text, where), where, None, (name,))


def _read(path: Path) -> Any:
    text = read_text(path)
    try:
        _check_plain(text, str(path))
        return read_yaml(text, str(path))
    except (yaml.YAMLError, ValueError) as error:
        # no line known: a control character, a date such as 2025-13-45, a number of thousands of digits
        raise InputError(str(path), f"valid YAML ({str(error).splitlines()[0]})") from None


def _check_plain(text: str, where: str) -> None:
    """Refuse nesting that would exhaust the C parser's stack, and aliases, which can unfold without end."""
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST or isinstance(event, yaml.AliasEvent):
                line = f" line {event.start_mark.line + 1}" if event.start_mark else ""
                raise InputError(f"{where}{line}", f"no aliases, and at most {_DEEPEST} levels of nesting")
    except yaml.MarkedYAMLError:
        return  # `read_yaml` says it with the line


def _resolved(document: Any, where: str, folder: Path | None, seen: tuple[str, ...]) -> Regime:
    """A regime with what it extends taken over."""
    form = parse_regime(document, where)
    base = _base(form, where, folder, seen)
    own = {clause.id: clause for clause in form.clauses}
    inherited = {clause.id: clause for clause in base.clauses} if base else {}
    merged = tuple(own.get(name, clause) for name, clause in inherited.items())
    regime = Regime(
        name=form.regime,
        title=form.title,
        jurisdiction=form.jurisdiction,
        status=form.status,
        in_force_from=form.in_force_from,
        in_force_to=form.in_force_to,
        source_title=form.source.title,
        source_address=form.source.address,
        definitions=form.definitions or (base.definitions if base else None),
        clauses=merged + tuple(clause for name, clause in own.items() if name not in inherited),
    )
    _check_definitions(regime, where)
    return regime


def _base(form: RegimeFile, where: str, folder: Path | None, seen: tuple[str, ...]) -> Regime | None:
    if form.extends is None:
        return None
    beside = folder / form.extends if folder else None
    if beside is not None and beside.suffix in {".yaml", ".yml"}:
        if str(beside.resolve()) in seen:
            raise InputError(f"{where}: extends", "a regime that does not, in the end, extend this one", form.extends)
        return _resolved(_read(beside), str(beside), beside.parent, (*seen, str(beside.resolve())))
    if form.extends not in regimes() or form.extends in seen:
        raise InputError(f"{where}: extends", f"a file beside this one, or one of {', '.join(regimes())}", form.extends)
    return _shipped(form.extends)


def _check_definitions(regime: Regime, where: str) -> None:
    for clause in regime.cluster_clauses:
        if clause.metric == "h100_equivalents" and regime.definitions is None:
            raise InputError(f"{where}: definitions", f"the H100-equivalent that clause {clause.id} counts in")
