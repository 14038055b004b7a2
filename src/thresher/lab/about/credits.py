"""The libraries that run in the browser, with their versions and licences."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from thresher.sources import read_yaml

SERVED = "src/thresher/lab/"
"""What the record's paths begin with; the rest is the address."""


@dataclass(frozen=True, slots=True)
class Library:
    """One library: its name on npm, version, licence, what it does, and the address of its licence's text."""

    name: str
    version: str
    licence: str
    title: str
    text: str


@cache
def libraries() -> tuple[Library, ...]:
    """Every library of ``static/vendor/vendor.yaml`` of which a file is served; not those that only tests use."""
    where = "static/vendor/vendor.yaml"
    document = read_yaml(files("thresher.lab").joinpath(*where.split("/")).read_text("utf-8"), f"thresher/lab/{where}")
    found = []
    for row in document["packages"]:
        served = [f"/{file['to'].removeprefix(SERVED)}" for file in row["files"] if file["to"].startswith(SERVED)]
        if served:
            licence = next(address for address in served if "/licences/" in address)
            found.append(Library(row["name"], str(row["version"]), row["licence"], row["title"], licence))
    return tuple(found)
