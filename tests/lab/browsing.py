"""What tests of pages do in the browser: move, wait, look for what is wrong."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
SERIOUS = ("serious", "critical")
WAIT_MS = 120_000
"""How long a page may take here: machines that run tests are slow, and time is measured elsewhere (benchmarks/lab_latency.py)."""
OWN_SCHEMES = ("data", "blob", "about")
TOLD_OTHERWISE = ("Failed to load resource", "Response Status Error Code")
"""How Chromium and htmx begin to say that an answer's status is an error."""
CANCELLED = "net::ERR_ABORTED"
"""How a request ends that a newer one replaced, or that became a download."""


class Watch:
    """What a page did that it must not: errors, refused or failed requests, requests to anyone but the lab."""

    def __init__(self, lab: str) -> None:
        self.host = urlsplit(lab).netloc
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.requests: list[str] = []
        self._allowed: set[int] = set()

    def allow(self, *statuses: int) -> None:
        """Expect answers of these statuses (422 for a wrong value)."""
        self._allowed |= set(statuses)

    def attach(self, context) -> None:
        """Watch every page of a browser's context."""
        context.on("console", self._console)
        context.on("weberror", lambda error: self.problems.append(f"page error: {error.error}"))
        context.on("request", self._request)
        context.on("response", self._response)
        context.on("requestfailed", self._failed)

    def _console(self, message) -> None:
        # that a status is an error is told by _response, which knows what is expected
        if message.type == "error" and not message.text.startswith(TOLD_OTHERWISE):
            self.problems.append(f"console: {message.text}")
        elif message.type == "warning":
            self.warnings.append(message.text)

    def _request(self, request) -> None:
        self.requests.append(request.url)
        parts = urlsplit(request.url)
        if parts.scheme not in OWN_SCHEMES and parts.netloc != self.host:
            self.problems.append(f"asked elsewhere: {request.url}")

    def _response(self, response) -> None:
        if response.status >= 400 and response.status not in self._allowed:
            self.problems.append(f"{response.status}: {response.url}")

    def _failed(self, request) -> None:
        if request.failure != CANCELLED:
            self.problems.append(f"failed ({request.failure}): {request.url}")


def settle(page) -> None:
    """Wait until nothing is under way: every part that follows is in, every chart drawn, every font there."""
    page.wait_for_function(
        """() => document.readyState === "complete"
            && !document.querySelector(".htmx-request, .htmx-added, .pending, #answer progress")
            && [...document.querySelectorAll("figure.chart")].every((one) => one.dataset.drawn === "1")""",
        timeout=WAIT_MS * (4 if page.locator("#map-progress").count() else 1),  # a whole map is many searches
    )


def told(page, selector: str, words: str) -> None:
    """Wait until something on the page says so, and until the page can be used again."""
    page.locator(selector, has_text=words).wait_for(timeout=WAIT_MS)
    settle(page)


def slider_of(page, field: str):
    """The slider of a field."""
    return page.locator(f'input[type="range"][data-for="f-{field}"]')


def move(page, field: str, place: float) -> None:
    """Drag a field's slider to a place (0 to 1 of its length) and let it go, and wait for the answer."""
    answered(page, lambda: slide(page, field, place, "input", "change"))


def slide(page, field: str, place: float, *events: str) -> None:
    """Put a field's slider to a place and send these events."""
    slider_of(page, field).evaluate(
        """(slider, [place, events]) => {
            slider.value = String(Math.round(Number(slider.min) + place * (Number(slider.max) - Number(slider.min))));
            for (const name of events) slider.dispatchEvent(new Event(name, { bubbles: true }));
        }""",
        [place, list(events)],
    )


def answered(page, act, kind: str = "") -> None:
    """Do something, and wait until the answer has been replaced; by one of a kind (``central``, ``intervals``) if it is named.

    And until what follows from it is in its place (lab.js, ready): htmx calls that as it takes ``htmx-added`` away.
    """
    page.evaluate("() => document.querySelectorAll('#answer > *').forEach((one) => one.setAttribute('data-old', ''))")
    act()
    wanted = f'#answer [data-answer="{kind}"]' if kind else "#answer > *"
    page.wait_for_function(
        """(wanted) => document.querySelector(wanted)
            && !document.querySelector("#answer > [data-old], #answer > .htmx-added")""",
        arg=wanted,
        timeout=WAIT_MS,
    )


def form_state(page) -> dict[str, str]:
    """What every control of the form stands at."""
    return page.evaluate(
        """() => {
            const controls = document.querySelectorAll("#controls input, #controls select, #controls textarea");
            const ticked = (one) => one.type === "checkbox" || one.type === "radio";
            const name = (one) => one.id || `${one.name || `slider ${one.dataset.for}`} ${ticked(one) ? one.value : ""}`;
            return Object.fromEntries([...controls].map((one) => [name(one), ticked(one) ? String(one.checked) : one.value]));
        }"""
    )


def open_all(page) -> None:
    """Open everything that can be opened, so that what it holds is looked at."""
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")


def overflow(page) -> list[str]:
    """What makes the page wider than its window; nothing where it fits."""
    return page.evaluate(
        """() => document.scrollingElement.scrollWidth <= innerWidth ? [] :
            [`${document.scrollingElement.scrollWidth} px in a window of ${innerWidth}`,
             ...[...document.body.querySelectorAll("*")].filter((one) => one.getBoundingClientRect().right > innerWidth + 1
                && !one.closest(".scroll, .plot, .skip, [popover]")).slice(0, 8).map((one) => one.outerHTML.slice(0, 140))]"""
    )


def audit(page, least=SERIOUS) -> list[str]:
    """What axe finds wrong for people with disabilities, of these impacts: rule, impact, and where."""
    page.evaluate(AXE.read_text("utf-8") + "\n;0")  # the debugger's door: the page's policy does not hold there
    found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: "
        + "; ".join(f"{node['target']} {node['html'][:120]}" for node in one["nodes"][:4])
        for one in found["violations"]
        if one["impact"] in least
    ]
