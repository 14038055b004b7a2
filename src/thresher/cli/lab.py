"""The command ``lab``: the pages where people look, served on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from thresher.cli.shared import examples, progress


@click.command(
    epilog=examples(
        "thresher lab",
        "thresher lab --store records.store",
        "thresher lab --regime my-rule.yaml --port 9000 --no-browser",
    )
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; another address needs a token.")
@click.option("--port", type=int, default=8765, show_default=True, help="The port; 0 for any that is free.")
@click.option(
    "--token",
    envvar="THRESHER_LAB_TOKEN",
    help="What every request must bring; the address printed brings it. Better in the environment, as THRESHER_LAB_TOKEN:"
    " others on this machine can read what a command was started with.",
)
@click.option("--name", "names", multiple=True, metavar="NAME", help="A further name that browsers may call it by.")
@click.option(
    "--store", "stores", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
    help="A store of records for the page of leads; may be repeated.",
)  # fmt: skip
@click.option(
    "--regime", "regimes", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
    help="A regime file that the pages offer beside those that ship; may be repeated.",
)  # fmt: skip
@click.option(
    "--programme", "programmes", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
    help="A programme of countermeasures that the pages offer; may be repeated.",
)  # fmt: skip
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open the page in the browser.")
def lab(
    host: str,
    port: int,
    token: str | None,
    names: tuple[str, ...],
    stores: tuple[Path, ...],
    regimes: tuple[Path, ...],
    programmes: tuple[Path, ...],
    browser: bool,
) -> None:
    """Move a threshold and look: the policy lab, a map of the design space, plans, leads and the model as a web page.

    Served on this machine alone unless told otherwise; nothing is fetched from anywhere else.
    """
    from thresher.lab.serve import serve
    from thresher.lab.settings import LabSettings

    serve(LabSettings(host, port, token, names, stores, regimes, programmes), browser=browser, tell=progress)
