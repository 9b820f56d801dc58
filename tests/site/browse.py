"""Open pages of a built site in a browser: ``python tests/site/browse.py build/docs OUT``.

A headless Chromium with the width of a desktop and of a phone, light and dark. No page may be
wider than the window, formulas and pictures must be there, and nothing may be fetched from
elsewhere. OUT gets the screenshots. Needs playwright, and a Chromium: Debian's, or the one of
``playwright install chromium``.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

PAGES = ["index", "choose", "theory", "tutorials/csv", "reference/forecasting"]
WITH_FORMULAS = {"theory"}
WITH_PICTURES = {"choose", "tutorials/csv"}
WINDOWS = {"desktop": (1280, 900), "phone": (390, 844)}

SEEN = """() => ({
    width: document.documentElement.scrollWidth, window: window.innerWidth,
    formulas: document.querySelectorAll('mjx-container svg').length,
    raw: document.querySelectorAll('.math:not(:has(mjx-container))').length,
    errors: document.querySelectorAll('[data-mjx-error]').length,
    pictures: document.querySelectorAll('article img').length,
    missing: [...document.querySelectorAll('article img')].filter(i => !i.naturalWidth).length,
})"""


def faults_of(
    browser: Browser, site: Path, out: Path, page: str, size: str, light: str
) -> list[str]:
    width, height = WINDOWS[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=light, offline=True
    )
    context.set_default_timeout(180_000)  # a page with a thousand formulas, on a busy machine
    tab = context.new_page()
    fetched: list[str] = []
    tab.on("request", lambda request: fetched.append(request.url))
    tab.goto((site / f"{page}.html").as_uri(), wait_until="load")
    tab.wait_for_function("() => !window.MathJax || (MathJax.startup && MathJax.startup.promise)")
    tab.evaluate("() => window.MathJax ? MathJax.startup.promise.then(() => 1) : 1")
    # Pictures that wait until they are scrolled to are asked for at once.
    tab.evaluate(
        "() => Promise.all([...document.images].map(i => { i.loading = 'eager'; "
        "return i.decode().catch(() => 0); }))"
    )
    seen = tab.evaluate(SEEN)
    tab.screenshot(path=out / f"{page.replace('/', '-')}-{size}-{light}.png")
    context.close()
    faults = []
    if seen["width"] > seen["window"]:
        faults.append(f"is {seen['width']} wide in a window of {seen['window']}")
    if (page in WITH_FORMULAS and not seen["formulas"]) or seen["raw"] or seen["errors"]:
        faults.append(f"has formulas that are not set: {seen}")
    if (page in WITH_PICTURES and not seen["pictures"]) or seen["missing"]:
        faults.append(f"has pictures that are not there: {seen}")
    faults += [f"asks for {url}" for url in fetched if not url.startswith(("file:", "data:"))]
    return [f"{page}, {size}, {light}: {fault}" for fault in faults]


def main(site: Path, out: Path) -> int:
    out.mkdir(parents=True, exist_ok=True)
    faults = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for page in PAGES:
            for size in WINDOWS:
                for light in ("light", "dark"):
                    faults += faults_of(browser, site, out, page, size, light)
        browser.close()
    print("\n".join(faults) or f"{len(PAGES)} pages are whole; look at them in {out}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2])))
