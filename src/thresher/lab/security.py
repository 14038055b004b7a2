"""What every request must satisfy before a page sees it, and what every answer says to the browser."""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from thresher.lab.settings import LabSettings

COOKIE = "thresher_lab"
MOST_BODY = 256 * 1024
"""Bytes of a request's body: forms and one plan file."""
LONGEST_LENGTH = 20
"""Digits of a length that are read as a number at all."""
MOST_QUERY = 8192
SAFE = ("GET", "HEAD")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""On every answer: nothing but our own files runs, is shown, is asked or is framed.

The referrer stays among our own pages. With ``no-referrer`` a browser would send ``Origin: null`` with a form of ours, too.
"""
FROM_ELSEWHERE = ("cross-site", "same-site")
"""What ``Sec-Fetch-Site`` says of what another site's page asks for; another port of this machine is one, too."""


class TooLarge(Exception):
    """A body longer than the lab takes."""


class Guard:
    """Middleware: checks host, origin, token and size of every request, and adds the headers of ``HEADERS``.

    The Host header is checked so that no other site's name can be pointed at this address (DNS rebinding), the Origin so that no
    other site's page can send anything here, or make the lab compute; a link from elsewhere may be followed.
    """

    def __init__(self, app: ASGIApp, settings: LabSettings) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        started = False

        async def sent(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, sent)
            return
        try:
            await self.app(scope, _bounded(receive), sent)
        except Exception as error:
            if not started:
                await _failure(error)(scope, receive, sent)
            if started or not isinstance(error, TooLarge):
                raise  # the server's log has it

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self.settings.answers_to(host):
            return _plain(421, "This lab does not answer to that name.")
        origin = headers.get("origin")
        if (origin is not None and _place(origin) != host.lower()) or _embedded_elsewhere(headers):
            return _plain(403, "Another site's page may not ask anything of this lab.")
        known_own = origin is not None or headers.get("sec-fetch-site") in ("same-origin", "none")
        if scope["method"] not in SAFE and not known_own:
            return _plain(403, "A change must come from this lab's own pages.")
        if len(scope["query_string"]) > MOST_QUERY:
            return _plain(414, f"An address may have at most {MOST_QUERY:,} characters after the question mark.")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > LONGEST_LENGTH or int(length) > MOST_BODY:
            return _failure(TooLarge())
        return None if self.settings.token is None else self._without_token(scope, headers)

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        """Nothing where the request brings the token; a token in the address becomes a cookie, and leaves the address."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for name, value in query if name == "token"]
        if given and self._is_token(given[0]):
            rest = urlencode([(name, value) for name, value in query if name != "token"])
            path = "/" + quote(scope["path"].lstrip("/"))  # two slashes would begin another site's address
            response = RedirectResponse(f"{path}{'?' if rest else ''}{rest}", status_code=303)
            response.set_cookie(
                cookie_name(headers), given[0], httponly=True, samesite="lax"
            )  # lax: a shared link is followed
            return response
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if (scheme.lower() == "bearer" and self._is_token(bearer)) or self._is_token(_cookie(headers)):
            return None
        return _plain(401, "This lab needs its token: open the address that `thresher lab` printed.")

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), (self.settings.token or "").encode())


def _bounded(receive: Receive) -> Receive:
    """The body, refused as soon as it is longer than the lab takes."""
    read = 0

    async def bounded() -> Message:
        nonlocal read
        message = await receive()
        if message["type"] == "http.request":
            read += len(message.get("body", b""))
            if read > MOST_BODY:
                raise TooLarge
        return message

    return bounded


def _place(origin: str) -> str:
    """The name and port of an origin; nothing where it has none (``null``) or is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _embedded_elsewhere(headers: Headers) -> bool:
    """Whether another site's page asks for this as a part of itself (an image, a frame, a script), not a person by a link."""
    followed = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")
    return headers.get("sec-fetch-site") in FROM_ELSEWHERE and not followed


def cookie_name(headers: Headers) -> str:
    """The cookie of the token: browsers keep cookies by host, not by port, and several labs may run on one."""
    return f"{COOKIE}_{headers.get('host', '').rpartition(':')[2]}"


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(cookie_name(headers))
    except CookieError:
        return ""
    return "" if found is None else found.value


def _failure(error: Exception) -> Response:
    if isinstance(error, TooLarge):
        return _plain(413, f"A request may have at most {MOST_BODY:,} bytes.")
    return _plain(500, "The lab failed at this; what happened stands in the terminal that it was started from.")


def _plain(status: int, text: str) -> Response:
    return PlainTextResponse(text + "\n", status_code=status)
