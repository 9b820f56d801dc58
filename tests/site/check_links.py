"""Links, pictures and names of a built site: ``python tests/site/check_links.py build/docs``.

Every relative address must lead to a file of the site, every fragment to an element of it, and
every name of the C++ interface that Doxygen has seen must be in the reference.
"""

from __future__ import annotations

import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree


class Page(HTMLParser):
    """What a page links to, and where it can be entered."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.places: set[str] = {"", "top"}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.places.add(value)
            if name in ("href", "src") and value:
                self.addresses.append(value)


def broken_links(site: Path) -> list[str]:
    pages = {path.resolve(): Page(path) for path in sorted(site.rglob("*.html"))}
    assert pages, f"no pages in {site}"
    broken = []
    for path, page in pages.items():
        for address in page.addresses:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                if parts.scheme not in ("https", "http", "mailto", "data"):
                    broken.append(f"{path.relative_to(site)}: {address}")
                continue
            to = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            fragment = unquote(parts.fragment)
            if not to.is_file() or (to in pages and fragment not in pages[to].places):
                broken.append(f"{path.relative_to(site)}: {address}")
    return broken


def fetched_from_elsewhere(site: Path) -> list[str]:
    """Scripts, styles and pictures that a reader's browser would ask others for."""
    found = []
    for path in sorted(site.rglob("*.html")):
        for address in Page(path).addresses:
            parts = urlsplit(address)
            if parts.netloc and parts.path.endswith((".js", ".css", ".png", ".svg", ".woff2")):
                found.append(f"{path.relative_to(site)}: {address}")
    return found


def names_in_reference(site: Path) -> set[str]:
    """Of the inventory that Sphinx writes: a header of four lines, then compressed lines."""
    data = (site / "objects.inv").read_bytes()
    for _ in range(4):
        data = data[data.index(b"\n") + 1 :]
    lines = zlib.decompress(data).decode("utf-8").splitlines()
    return {line.split(" ")[0] for line in lines if " cpp:" in line}


def names_in_headers(xml: Path) -> set[str]:
    """Classes, structs, enumerations and functions of namespace memoa."""
    names = set()
    for path in xml.glob("*.xml"):
        if not path.name.startswith(("class", "struct", "namespacememoa")):
            continue
        for compound in ElementTree.parse(path).getroot().iter("compounddef"):
            name = compound.findtext("compoundname", "")
            if compound.get("kind") != "namespace":
                names.add(name)
            for member in compound.iter("memberdef"):
                if member.get("prot") == "public" and member.get("kind") != "friend":
                    names.add(f"{name}::{member.findtext('name')}")
    return {name for name in names if name.startswith("memoa::") and "~" not in name}


def main(site: Path) -> int:
    faults = [f"broken link in {one}" for one in broken_links(site)]
    faults += [f"not local: {one}" for one in fetched_from_elsewhere(site)]
    missing = names_in_headers(site / ".doctrees" / "doxygen" / "xml") - names_in_reference(site)
    faults += [f"not in the C++ reference: {name}" for name in sorted(missing)]
    print("\n".join(faults) or f"{site}: links and names are whole")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
