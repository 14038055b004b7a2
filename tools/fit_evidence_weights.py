"""Fits the weights of evidence of a screening on sample jurisdictions whose truth is known.

What: for each level of each finding its log10 likelihood ratio, by `thresher.screening.evidence.fit_weights`: a logistic
regression over owners, balanced between those that hide a covered cluster and those that do not, monotone in the level,
bounded by log10(1 + owners that show the level). The penalty is the one of a few that gives the least Cllr over
jurisdictions left out.

Data: the sample records of seeds 1001 and on (the benchmark's are 11 to 20), 2,000 parties each, with 5 to 20 evaders so that
there are enough to learn from.

Run from the root of the repository: ``python tools/fit_evidence_weights.py [SEEDS]``. It takes about half a minute a seed
and core, and writes ``src/thresher/screening/data/weights.csv``.
"""

from __future__ import annotations

import csv
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from screened import Screened, screened
from thresher.screening.evidence import Weight, all_findings, cllr, fit_weights

FIRST_SEED = 1001
PENALTIES = (0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03)
FOLDS = 5
TARGET = Path("src/thresher/screening/data/weights.csv")


def score(fitted: list[list[Weight]], levels: np.ndarray) -> np.ndarray:
    """The log10 likelihood ratio of each owner: the weights of what is known, added up."""
    total = np.zeros(len(levels))
    for at, by_level in enumerate(fitted):
        values = np.array([one.log10_likelihood_ratio for one in by_level])
        known = levels[:, at] >= 0
        total[known] += values[levels[known, at]]
    return total


def main() -> None:
    """Screen the jurisdictions, choose the penalty, fit, and write the weights."""
    seeds = range(FIRST_SEED, FIRST_SEED + int(sys.argv[1] if len(sys.argv) > 1 else 40))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        worlds: list[Screened] = list(pool.map(_one, seeds))
    levels = np.concatenate([one.levels for one in worlds])
    hides = np.concatenate([one.hides for one in worlds])
    fold = np.concatenate([np.full(len(one.hides), at % FOLDS) for at, one in enumerate(worlds)])
    most = [len(one.edges) for one in all_findings().values()]
    left_out = {}
    for penalty in PENALTIES:
        ratios = np.zeros(len(hides))
        for one in range(FOLDS):
            train = fold != one
            ratios[~train] = score(fit_weights(levels[train], hides[train], most, penalty=penalty), levels[~train])
        left_out[penalty] = cllr(ratios, hides)
        print(f"penalty {penalty:g}: Cllr over jurisdictions left out {left_out[penalty]:.3f}")
    penalty = min(left_out, key=left_out.__getitem__)
    fitted = fit_weights(levels, hides, most, penalty=penalty)
    with TARGET.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("finding", "level", "log10_likelihood_ratio", "share_of_hiders", "share_of_others", "owners"))
        for name, by_level in zip(all_findings(), fitted, strict=True):
            for level, one in enumerate(by_level):
                writer.writerow(
                    (
                        name,
                        level,
                        f"{one.log10_likelihood_ratio:.4f}",
                        f"{one.share_of_hiders:.4f}",
                        f"{one.share_of_others:.4f}",
                        one.owners,
                    )
                )
    print(f"penalty {penalty:g}; {hides.sum()} of {len(hides)} owners hide; wrote {TARGET}")


def _one(seed: int) -> Screened:
    return screened(seed, evaders=5 + 5 * (seed % 4))


if __name__ == "__main__":
    main()
