"""Who may ask the lab, for how much, and what every answer tells the browser."""

import re
import socket
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from thresher.errors import InputError
from thresher.lab import charts
from thresher.lab.app import create_app
from thresher.lab.pages import PAGES
from thresher.lab.security import COOKIE, HEADERS, MOST_BODY, MOST_QUERY, Guard
from thresher.lab.serve import address_of, listen
from thresher.lab.settings import LabSettings

HOME = "http://127.0.0.1:8765"
TOKEN = "correct-horse-battery"
EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
OWN = {"Origin": HOME}
PARTS = {"HX-Request": "true"}


def client_of(settings=None, base=HOME):
    """A client of a lab that is not on a port."""
    return TestClient(create_app(settings or LabSettings()), base_url=base, follow_redirects=False)


@pytest.fixture(scope="module")
def client():
    with client_of() as opened:
        yield opened


@pytest.fixture(scope="module")
def guarded():
    """A client of a lab that needs a token."""
    with client_of(LabSettings(token=TOKEN)) as opened:
        yield opened


@pytest.fixture(scope="module")
def behind():
    """A client of three handlers behind the guard: one that reads, one that fails, one that fails after it began."""

    async def reads(request):
        return PlainTextResponse(str(len(await request.body())))

    async def fails(_request):
        raise ValueError("a secret of the program")

    app = Starlette(routes=[Route("/reads", reads, methods=["GET", "POST"]), Route("/fails", fails)])
    app.add_middleware(Guard, settings=LabSettings())
    with TestClient(app, base_url=HOME, raise_server_exceptions=False) as opened:
        yield opened


# ---- whom it answers to ----


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8765", "localhost", "LOCALHOST:80", "[::1]:8765", "[::1]"])
def test_this_machine_s_names_are_answered(client, host):
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example",
            "evil.example:8765",
            "127.0.0.1.evil.example",
            "localhost.evil.example:8765",
            "localhost:",
            "",
        ),
        *("0.0.0.0:8765", "127.0.0.1@evil.example", "[::1].evil.example", "127.0.0.1:8765:1", "127.0.0.1:port"),
        *("192.168.1.4:8765", "localhost:²"),
    ],
)
@pytest.mark.parametrize("path", ["/healthz", "/policy", "/static/lab.js", "/policy.json"])
def test_another_name_is_refused_so_that_no_site_can_be_pointed_here(client, host, path):
    answer = client.get(path, headers={"Host": host.encode("latin-1")})
    assert answer.status_code == 421
    assert answer.text == "This lab does not answer to that name.\n"


def test_a_name_that_was_given_is_answered_with_any_port():
    with client_of(LabSettings(names=("Lab.Example", "other.example:9000"))) as client:
        for host in ("lab.example", "LAB.example:8765", "other.example", "other.example:80", "127.0.0.1"):
            assert client.get("/healthz", headers={"Host": host}).status_code == 200
        assert client.get("/healthz", headers={"Host": "third.example"}).status_code == 421


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("0.0.0.0", "0.0.0.0:8765"),
        ("192.168.1.4", "192.168.1.4"),
        ("fd00::7", "[fd00::7]:8765"),
        ("127.0.0.2", "127.0.0.2:1"),
    ],
)
def test_a_lab_answers_to_the_address_that_it_listens_on(host, name):
    with client_of(LabSettings(host=host, token=TOKEN)) as client:
        assert client.get("/healthz", headers={"Host": name, "Authorization": f"Bearer {TOKEN}"}).status_code == 200


# ---- who asks ----


@pytest.mark.parametrize(
    "origin",
    [
        *("http://evil.example", "https://evil.example:8765", "null", "http://127.0.0.1:9999", "http://127.0.0.1"),
        *("http://[", "file://", "http://127.0.0.1:8765.evil.example", "127.0.0.1:8765", ""),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_site_s_page_is_refused(client, method, origin):
    assert client.request(method, "/healthz", headers={"Origin": origin}).status_code == 403


def test_the_lab_s_own_pages_may_ask(behind):
    assert behind.get("/reads", headers=OWN).status_code == 200
    assert behind.post("/reads", headers=OWN, content=b"four").text == "4"
    assert behind.post("/reads", headers={"Sec-Fetch-Site": "same-origin"}, content=b"four").text == "4"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}])
def test_a_change_without_an_origin_is_refused(behind, method, headers):
    assert behind.request(method, "/reads", headers=headers).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_may_link_here_and_not_more(client, site):
    link = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/healthz", headers=link).status_code == 200
    for change in ({"Sec-Fetch-Dest": "iframe"}, {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}):
        assert client.get("/healthz", headers=link | change).status_code == 403


# ---- the token ----


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/policy", "/policy.json", "/static/lab.js", "/charts/x.json", "/nosuch", "/static/"]
)
@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong-token-wrong"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Cookie": f"{COOKIE}_8765=wrong"},
        {"Cookie": f"other={TOKEN}"},
        {"Cookie": "\"';;=="},
    ],
)
def test_nothing_is_answered_without_the_token(guarded, path, wrong):
    answer = guarded.get(path, headers=wrong)
    assert answer.status_code == 401
    assert "thresher lab" in answer.text
    assert TOKEN not in answer.text


def test_a_wrong_token_in_the_address_opens_nothing(guarded):
    assert guarded.get("/healthz?token=wrong-token-wrong").status_code == 401
    assert guarded.get("/healthz", params={"token": "né" * 20}).status_code == 401


@pytest.mark.parametrize(
    "right",
    [{"Authorization": f"Bearer {TOKEN}"}, {"Authorization": f"bearer {TOKEN}"}, {"Cookie": f"{COOKIE}_8765={TOKEN}"}],
)
@pytest.mark.parametrize("path", ["/healthz", "/static/lab.js"])
def test_the_token_opens_everything(guarded, path, right):
    assert guarded.get(path, headers=right).status_code == 200


def test_a_token_in_the_address_becomes_a_cookie_and_leaves_the_address():
    with client_of(LabSettings(token=TOKEN)) as client:
        answer = client.get("/policy", params={"compute": "16", "token": TOKEN, "regime": "a&b"})
        assert answer.status_code == 303
        assert answer.headers["location"] == "/policy?compute=16&regime=a%26b"
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert client.get("/healthz").text == "ok\n"


@pytest.mark.parametrize(
    "path", ["//evil.example/", "///evil.example", "//evil.example//x", "/\\evil.example", "/a%0d%0aX: y"]
)
def test_a_token_in_the_address_never_leads_elsewhere(guarded, path):
    answer = guarded.get(f"{HOME}{path}", params={"token": TOKEN})
    location = answer.headers["location"]
    assert urlsplit(location).netloc == ""
    assert re.fullmatch(r"/[^/\\\r\n].*", location)


def test_a_token_with_signs_is_read_from_the_address_that_was_printed():
    token = 'a&b=c#d%e+f;g"h,i/j?k'
    settings = LabSettings(token=token)
    with client_of(settings) as client:
        assert client.get(address_of(settings, 8765)).headers["location"] == "/"
        assert client.get("/healthz").status_code == 200


# ---- how much ----


def test_a_long_body_is_refused(behind):
    assert behind.post("/reads", headers=OWN, content=b"x" * MOST_BODY).text == str(MOST_BODY)
    assert behind.post("/reads", headers=OWN, content=b"x" * (MOST_BODY + 1)).status_code == 413


def test_a_long_body_without_a_length_is_refused(behind):
    answer = behind.post("/reads", headers=OWN, content=(b"x" * 4096 for _ in range(MOST_BODY // 4096 + 1)))
    assert answer.status_code == 413
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]


@pytest.mark.parametrize("length", ["²", "-1", "1e3", "9" * 5000, str(MOST_BODY + 1)])
def test_a_length_that_is_none_is_refused(behind, length):
    assert behind.post("/reads", headers=OWN | {"Content-Length": length.encode("latin-1")}).status_code == 413


def test_a_long_query_is_refused(client):
    assert client.get("/healthz?" + "x" * MOST_QUERY).status_code == 200
    assert client.get("/healthz?" + "x" * (MOST_QUERY + 1)).status_code == 414


def spoken(lab: str, text: bytes) -> bytes:
    """What a served lab answers to these bytes."""
    with socket.create_connection((urlsplit(lab).hostname, urlsplit(lab).port), timeout=20) as line:
        line.sendall(text)
        return line.makefile("rb").read()


def test_a_served_lab_refuses_the_same(lab):
    place = urlsplit(lab).netloc.encode()
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    begun = b"POST /policy HTTP/1.1\r\nHost: " + place + b"\r\nOrigin: http://" + place + b"\r\nConnection: close\r\n"
    assert spoken(lab, b"GET /healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").startswith(
        b"HTTP/1.1 421"
    )
    assert spoken(lab, b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 421")
    two_names = b"GET /healthz HTTP/1.1\r\nHost: " + place + b"\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert spoken(lab, two_names).startswith(b"HTTP/1.1 400")
    assert spoken(lab, begun + b"Content-Length: 999999\r\n\r\n").startswith(b"HTTP/1.1 413")
    answer = spoken(lab, begun + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
    assert answer.split()[1] in (b"405", b"413")  # the page of the policy takes no POST, and so reads none
    well = spoken(lab, b"GET /healthz HTTP/1.1\r\nHost: " + place + b"\r\nConnection: close\r\n\r\n")
    assert well.endswith(b"ok\n")
    assert b"\r\nserver:" not in well.lower()


# ---- what every answer says ----

ASKED = {
    "a page": ("GET", "/policy", {}, 200),
    "its head alone": ("HEAD", "/healthz", {}, 200),
    "the first address": ("GET", "/", {}, 307),
    "a file": ("GET", "/static/lab.js", {}, 200),
    "JSON": ("GET", "/policy.json?compute=many", {}, 422),
    "a wrong value": ("GET", "/policy?compute=many", PARTS, 200),
    "no such page": ("GET", "/nosuch", {}, 404),
    "no such file": ("GET", "/static/nosuch.js", {}, 404),
    "no such chart": ("GET", "/charts/nosuch.json", {}, 404),
    "another method": ("DELETE", "/healthz", OWN, 405),
    "another name": ("GET", "/", {"Host": "evil.example"}, 421),
    "another origin": ("GET", "/", {"Origin": "http://evil.example"}, 403),
    "a long query": ("GET", "/?" + "x" * 9000, {}, 414),
    "a long body": ("POST", "/", OWN | {"Content-Length": "999999"}, 413),
}


@pytest.mark.parametrize("asked", ASKED)
def test_every_answer_tells_the_browser_what_it_may_do(client, asked):
    method, path, headers, status = ASKED[asked]
    answer = client.request(method, path, headers=headers)
    assert answer.status_code == status
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert answer.headers["cache-control"] == ("private, max-age=86400" if asked == "a file" else "no-store")


def test_a_failure_says_so_with_the_same_headers_and_shows_no_code(behind):
    answer = behind.get("/fails")
    assert answer.status_code == 500
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
    assert "secret" not in answer.text
    assert "terminal" in answer.text


def test_the_policy_of_pages_lets_nothing_foreign_or_inline_in():
    rules = dict(part.strip().split(" ", 1) for part in HEADERS["Content-Security-Policy"].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == rules["form-action"] == "'self'"
    assert rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert not any("unsafe" in rule or "http" in rule or "*" in rule for rule in rules.values())


# ---- files ----

CLIMBING = [
    *(
        "../app.py",
        "..%2fapp.py",
        "%2e%2e/app.py",
        "%2e%2e%2fapp.py",
        "..\\app.py",
        "..%5capp.py",
        "....//app.py",
        "%252e%252e/app.py",
    ),
    *(
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "vendor/../../app.py",
        "vendor/%2e%2e/%2e%2e/app.py",
        "lab.js%00.css",
        "",
        "vendor",
        "vendor/",
    ),
]


@pytest.mark.parametrize("path", CLIMBING)
@pytest.mark.parametrize("folder", ["static", "charts"])
def test_no_path_leads_out_of_the_files_that_are_served(client, lab, folder, path):
    assert client.get(f"{HOME}/{folder}/{path}").status_code in (404, 405)
    place = urlsplit(lab).netloc.encode()
    raw = f"GET /{folder}/{path} HTTP/1.1\r\n".encode() + b"Host: " + place + b"\r\nConnection: close\r\n\r\n"
    answer = spoken(lab, raw)
    assert answer.split()[1] in (b"404", b"405", b"400")
    assert b"create_app" not in answer
    assert b"root:" not in answer


def test_charts_are_found_by_the_names_that_there_are(client):
    for name in charts.names():
        assert (
            client.get(f"/charts/{name}.json").json()["$schema"].startswith("https://vega.github.io/schema/vega-lite/")
        )
    assert client.get("/charts/..%2f..%2fapp.json").status_code == 404


# ---- what stands in pages ----


class Loaded(HTMLParser):
    """The addresses that a page makes a browser load or send to, the links it offers, and what has no place in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        for name, value in given.items():
            if name == "href" and tag in ("a", "area"):
                self.links.append(value)
            elif name in (
                "src",
                "href",
                "action",
                "formaction",
                "data",
                "poster",
                "srcset",
                "hx-get",
                "hx-post",
                "data-spec",
            ):
                self.loads.append(value)
            elif name == "style" or name.startswith(("on", "hx-on")):
                self.inline.append(f"{tag} {name}={value}")
        if tag == "style" or (tag == "script" and "src" not in given and given.get("type") != "application/json"):
            self.inline.append(tag)


@pytest.mark.parametrize("path", [one.path for one in PAGES] + ["/nosuch"])
def test_pages_load_nothing_from_elsewhere_and_hold_no_script_of_their_own(client, path):
    found = Loaded(client.get(path).text)
    assert found.loads
    assert all(address.startswith("/") and not address.startswith("//") for address in found.loads), found.loads
    assert not found.inline
    assert all(urlsplit(link).scheme in ("", "http", "https") for link in found.links)


def test_our_own_files_name_no_address_elsewhere(client):
    for name in ("lab.js", "lab.css", "icon.svg"):
        text = client.get(f"/static/{name}").text.replace("http://www.w3.org/", "")
        assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]", text)


@pytest.mark.parametrize("path", [one.path for one in PAGES])
@pytest.mark.parametrize("headers", [{}, PARTS])
def test_what_a_person_writes_is_shown_and_never_run(client, path, headers):
    names = set(re.findall(r'name="([a-z_0-9]+)"', client.get(path).text)) - {"viewport"}
    for name in sorted(names) or ["q"]:
        answer = client.get(path, params={name: EVIL}, headers=headers)
        assert answer.status_code in (200, 422)
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text


def test_a_wrong_value_is_told_in_the_field_s_own_words(client):
    answer = client.get("/policy", params={"compute": EVIL})
    assert "&lt;script&gt;alert(1)" in answer.text
    assert client.get("/policy.json", params={"compute": EVIL}).json()["error"].count(EVIL) == 1


# ---- how it is started ----


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--host", "0.0.0.0"], "--host"),
        (["--host", "::"], "--host"),
        (["--host", "lab.example"], "--host"),
        (["--host", "0.0.0.0", "--token", "short"], "--token"),
        (["--token", "sixteen letters and a space"], "--token"),
        (["--token", "né" * 10], "--token"),
        (["--port", "70000"], "--port"),
        (["--host", "no such machine", "--token", TOKEN], "--host"),
    ],
)
def test_a_lab_that_is_not_safe_or_cannot_be_had_is_refused(options, named):
    command = [sys.executable, "-m", "thresher", "lab", "--no-browser", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"thresher: {named}: expected")
    assert done.stderr.count("\n") == 1


def test_a_port_in_use_is_told(lab):
    with pytest.raises(InputError, match="a port that is free"):
        listen(LabSettings(port=urlsplit(lab).port))


def test_the_address_printed_is_one_that_a_browser_finds():
    assert address_of(LabSettings(), 1) == "http://127.0.0.1:1/"
    assert address_of(LabSettings(host="::1"), 1) == "http://[::1]:1/"
    assert address_of(LabSettings(host="0.0.0.0", token=TOKEN), 1) == f"http://127.0.0.1:1/?token={TOKEN}"
