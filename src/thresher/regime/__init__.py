"""The law as data: clauses, thresholds, obligations; is this cluster covered, by which clause, by what margin?"""

from thresher.regime.classification import (
    ClauseDecision,
    ClusterRow,
    Decision,
    decisions_as_json,
    read_clusters,
)
from thresher.regime.clauses import Measure, RunConsequence, counted_operations
from thresher.regime.library import Regime, load_regime, regimes
from thresher.regime.lint import Finding, lint_regime
from thresher.regime.schema import ClusterClause, Obligation, RunClause, regime_schema_markdown

__all__ = [
    "ClauseDecision",
    "ClusterClause",
    "ClusterRow",
    "Decision",
    "Finding",
    "Measure",
    "Obligation",
    "Regime",
    "RunClause",
    "RunConsequence",
    "counted_operations",
    "decisions_as_json",
    "lint_regime",
    "load_regime",
    "read_clusters",
    "regime_schema_markdown",
    "regimes",
]
