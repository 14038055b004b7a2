"""Screenshots of the lab's pages for the documentation: `python tools/screenshots.py [PAGE ...]`, into docs/images."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from lab_running import browser, lab_in_thread, sample_store
from thresher.lab.pages import PAGES
from thresher.lab.settings import LabSettings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
RECORDS = ROOT / "reports" / "lab-records"
DESK, TELEPHONE = (1280, 900), (400, 900)
MOST_BYTES = 250_000
COLOURS = 256
WAIT_MS = 300_000
EXAMPLES = {"/policy": "?compute=8"}
"""What a page is asked, where its first view says less."""
SETTLED = """() => document.readyState === "complete" && !document.querySelector(".htmx-request, .pending, #answer progress")
    && [...document.querySelectorAll("figure.chart")].every((one) => one.dataset.drawn === "1")"""


def main() -> None:
    """Take them all, or those of the pages that are named."""
    wanted = sys.argv[1:] or [_name(one.path) for one in PAGES]
    IMAGES.mkdir(parents=True, exist_ok=True)
    RECORDS.mkdir(parents=True, exist_ok=True)
    store = sample_store(RECORDS)
    with lab_in_thread(LabSettings(port=0, stores=(store,))) as lab, browser() as opened:
        for one in PAGES:
            if _name(one.path) in wanted:
                _take(opened, lab, one.path, f"lab-{_name(one.path)}")
        if "policy" in wanted:
            _take(opened, lab, "/policy", "lab-policy-dark", scheme="dark")
            _take(opened, lab, "/policy", "lab-policy-telephone", size=TELEPHONE)


def _name(path: str) -> str:
    return path.strip("/")


def _take(
    opened: Browser, lab: str, path: str, name: str, *, scheme: str = "light", size: tuple[int, int] = DESK
) -> None:
    context = opened.new_context(
        base_url=lab,
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        reduced_motion="reduce",
        device_scale_factor=1,
    )
    page = context.new_page()
    page.goto(path + EXAMPLES.get(path, ""))
    page.wait_for_function(SETTLED, timeout=WAIT_MS)
    if size == TELEPHONE:
        page.locator("#answer .verdict").first.evaluate("(one) => one.scrollIntoView({ block: 'end' })")
    page.wait_for_timeout(500)  # charts take their width once more when a scroll bar comes or goes
    content = _smaller(page.screenshot(animations="disabled"))
    context.close()
    if len(content) > MOST_BYTES:
        raise SystemExit(f"{name}: {len(content):,} bytes, more than {MOST_BYTES:,}")
    (IMAGES / f"{name}.png").write_bytes(content)
    print(f"docs/images/{name}.png {len(content):,} bytes")


def _smaller(content: bytes) -> bytes:
    """The same picture in at most 256 colours, which flat pages hardly have."""
    written = io.BytesIO()
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
    return written.getvalue()


if __name__ == "__main__":
    main()
