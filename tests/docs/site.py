"""Does the built site load anything from elsewhere? ``python -m tests.docs.site [FOLDER]``.

Links that a reader follows may lead anywhere. What a page loads by itself (scripts, styles, pictures, fonts)
must lie in the folder; every one of them must be there; the search index must know both languages.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {
    **{"script": "src", "img": "src", "iframe": "src", "source": "srcset", "video": "src", "audio": "src"},
    **{"embed": "src", "object": "data", "link": "href"},
}
QUIET = frozenset({"canonical", "alternate", "next", "prev"})
"""Links of a page's head that no browser loads."""

IN_STYLES = re.compile(r"url\(\s*['\"]?([^)'\"]+)|@import\s+['\"]([^'\"]+)")


class Loads(HTMLParser):
    """What a page loads, and what its own styles name."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.styling = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag that loads something."""
        given = dict(attrs)
        self.styling = tag == "style"
        if tag == "link" and set((given.get("rel") or "").split()) & QUIET:
            return
        address = given.get(LOADS.get(tag, ""))
        if address:
            self.found.append(address)
        self.found += in_styles(given.get("style") or "")

    def handle_data(self, data: str) -> None:
        """What stands in a style."""
        if self.styling:
            self.found += in_styles(data)

    def handle_endtag(self, tag: str) -> None:
        """A style ends."""
        self.styling = self.styling and tag != "style"


def in_styles(text: str) -> list[str]:
    """The addresses that a style sheet loads."""
    return [first or second for first, second in IN_STYLES.findall(text)]


def loaded(file: Path) -> list[str]:
    """What a page, a style sheet or a picture loads."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".css":
        return in_styles(text)
    reader = Loads()
    reader.feed(text)
    return reader.found


def faults(site: Path) -> Iterator[str]:
    """One line for each thing that is elsewhere, or nowhere."""
    pages = [file for kind in ("html", "css", "svg") for file in sorted(site.rglob(f"*.{kind}"))]
    for file in pages:
        for address in loaded(file):
            parts = urlsplit(address)
            if parts.scheme == "data" or address.startswith("#"):
                continue
            if parts.scheme or parts.netloc or address.startswith("//"):
                yield f"{file.relative_to(site)} loads {address}"
            elif file.name != "404.html" and not (file.parent / unquote(parts.path)).exists():
                yield f"{file.relative_to(site)} loads {address}, which is not there"
    for folder in (site, site / "zh"):
        index = json.loads((folder / "search" / "search_index.json").read_text(encoding="utf-8"))
        places = {entry["location"] for entry in index["docs"]}
        if "causes/resize.html#resizecoordinate_mode" not in places:
            yield f"the search in {folder.name} does not know resize.coordinate_mode"
        if not (folder / "search" / "search_index.js").exists():
            yield f"the search in {folder.name} has no index that can be read from a folder"
        for place in places:
            if not (folder / place.partition("#")[0]).exists():
                yield f"the search in {folder.name} leads to {place}, which is not there"


def main() -> int:
    """Print the faults; 1 where there is one."""
    found = list(faults(Path(sys.argv[1] if len(sys.argv) > 1 else "site")))
    print("\n".join(found) or "the site needs nothing from elsewhere")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
