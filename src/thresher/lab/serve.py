"""The lab on a port of this machine, until it is interrupted."""

from __future__ import annotations

import errno
import os
import socket
import threading
import webbrowser
from collections.abc import Callable
from importlib.util import find_spec
from types import FrameType
from urllib.parse import urlencode

import uvicorn
from starlette.applications import Starlette

from thresher.errors import InputError
from thresher.lab.app import create_app
from thresher.lab.settings import LabSettings

SHUTDOWN_SECONDS = 3
"""How long those who wait are let finish; a computation ends at its next step."""
THIS_MACHINE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where a browser on this machine finds a lab that listens on all addresses."""


def serve(settings: LabSettings, *, browser: bool = True, tell: Callable[[str], None] = print) -> None:
    """Serve the lab and open it in the browser; ends when it is interrupted.

    With a token the address is only told: what a browser is started with, others on the machine can read.

    Raises
    ------
    InputError
        The address cannot be had, or a file is not what it should be.
    """
    _check_stores(settings)
    ready = server(settings)
    listening = listen(settings)
    url = address_of(settings, listening.getsockname()[1])
    tell(f"the lab is at {url} (Ctrl-C ends it)")
    if browser and settings.token is None:
        threading.Timer(0.5, webbrowser.open, [url]).start()
    ready.run(sockets=[listening])


def _check_stores(settings: LabSettings) -> None:
    """Refuse what is no store before anyone waits for it; without the evidence half the page itself says what to install."""
    if settings.stores and find_spec("duckdb") is not None:
        from thresher.records.store import check_file  # noqa: PLC0415 - only the leads need the evidence half

        for store in settings.stores:
            check_file(store)


class LabServer(uvicorn.Server):
    """A server that ends what is being worked out when it is interrupted, so that those who wait are answered."""

    def __init__(self, app: Starlette, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ctrl-C, or the system's wish that it end."""
        self._app.state.workshop.close()
        super().handle_exit(sig, frame)


def server(settings: LabSettings) -> uvicorn.Server:
    """What serves a lab; ``run(sockets=[...])`` does, until its ``should_exit`` is set."""
    app = create_app(settings)
    return LabServer(
        app,
        uvicorn.Config(
            app,
            log_level="warning",
            ws="none",
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        ),
    )


def listen(settings: LabSettings) -> socket.socket:
    """A socket on the address asked for; port 0 takes any that is free."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=128)
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise InputError("--port", f"a port that is free ({os.strerror(error.errno)})", settings.port) from None
        raise InputError("--host", "an address of this machine", settings.host) from None


def address_of(settings: LabSettings, port: int) -> str:
    """The lab's address for a browser, with its token where it has one."""
    shown = THIS_MACHINE.get(settings.host, settings.host)
    host = f"[{shown}]" if ":" in shown else shown
    return f"http://{host}:{port}/" + (f"?{urlencode({'token': settings.token})}" if settings.token else "")
