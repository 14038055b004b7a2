"""The lab as an application: its pages, files and guard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from thresher.errors import ThresherError
from thresher.lab import charts
from thresher.lab.pages import A_DAY, PAGES, as_json, is_part, page
from thresher.lab.security import Guard
from thresher.lab.settings import LabSettings
from thresher.lab.work import Cancelled, Workshop

GONE = 499
"""The status, by the custom of servers, for an asker who has left; nobody reads it."""


class KeptFiles(StaticFiles):
    """Files that a browser may keep: their addresses carry the version."""

    def file_response(self, *args, **kwargs) -> Response:  # type: ignore[no-untyped-def]
        """A file with its headers."""
        response = super().file_response(*args, **kwargs)
        response.headers.update(A_DAY)
        return response


def create_app(settings: LabSettings | None = None) -> Starlette:
    """The lab, ready to be served.

    Raises
    ------
    InputError
        A file of the settings is not what it should be.
    """
    from thresher.lab.about.views import first_view as of_the_model  # noqa: PLC0415 - each page brings its own half of the house
    from thresher.lab.policy.views import first_view  # noqa: PLC0415

    chosen = settings or LabSettings()
    first = (*first_view(chosen), of_the_model())

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.workshop = Workshop()
        await _warm(app.state.workshop, *first)
        yield
        app.state.workshop.close()

    app = Starlette(
        routes=[
            Route("/", _first),
            Route("/charts/{name}.json", _chart),
            Route("/healthz", _well),
            *_routes(),
            Mount("/static", KeptFiles(directory=str(files("thresher.lab").joinpath("static")))),
        ],
        middleware=[Middleware(Guard, settings=chosen), Middleware(GZipMiddleware, minimum_size=2048, compresslevel=4)],
        exception_handlers={ThresherError: _refused, Cancelled: _gone, 404: _missing},
        lifespan=lifespan,
    )
    app.state.settings = chosen
    return app


async def _warm(workshop: Workshop, central: tuple[Any, ...], *later: tuple[Any, ...]) -> None:
    """Work out what most people see first before anyone asks: the first view is then there at once, what comes later soon."""
    await workshop.begin(*central)
    for work in later:
        workshop.begin(*work)


def _routes() -> list[Route]:
    from thresher.lab.about.views import routes as about  # noqa: PLC0415
    from thresher.lab.leads.views import routes as leads  # noqa: PLC0415
    from thresher.lab.map_of_lines.views import routes as design_space  # noqa: PLC0415
    from thresher.lab.plan.views import routes as plan  # noqa: PLC0415 - each page brings its own half of the house
    from thresher.lab.policy.views import routes as policy  # noqa: PLC0415

    return [*plan, *policy, *design_space, *about, *leads]


async def _first(_request: Request) -> Response:
    return RedirectResponse(PAGES[0].path, status_code=307)


async def _well(_request: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _chart(request: Request) -> Response:
    found = charts.specification(request.path_params["name"])
    return JSONResponse(found, headers=A_DAY) if found else JSONResponse({"error": "no such chart"}, status_code=404)


async def _refused(request: Request, error: Exception) -> Response:
    """What a person can mend: a page of its own, a word on the page that asks for a part, or JSON."""
    if request.url.path.endswith(".json"):
        return as_json({"error": str(error)}, 422)
    if is_part(request):
        return PlainTextResponse(str(error), 422, {"HX-Reswap": "none"})  # lab.js says it; the answer stays as it is
    return page(request, "refused.html.j2", status=422, error=str(error))


async def _gone(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse("", status_code=GONE)


async def _missing(request: Request, _error: Exception) -> Response:
    if request.url.path.endswith(".json"):
        return as_json({"error": "no such page"}, 404)
    return page(request, "missing.html.j2", status=404)
