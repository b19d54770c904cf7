"""How does the HTML page look? ``python -m tests.docs.screens``, where Chromium is there.

The bundled example is located, and its page opened in headless Chromium: both themes, wide and narrow.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.docs.figures import IMAGES, located

SIZES = {"wide": (1400, 2050), "narrow": (400, 1900)}
THEMES = {"light": "1", "dark": "0"}
"""What Chromium calls them."""

COLOURS = 200
"""Of a screenshot: more are not seen, and the file is a third as large."""

OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def main() -> int:
    """Write the four screenshots."""
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "report.html"
        with located("resize") as report:
            report.save(page)
        for theme, number in THEMES.items():
            for name, (width, height) in SIZES.items():
                shot = IMAGES / f"page-{name}-{theme}.png"
                own = [
                    f"--user-data-dir={scratch}/profile",
                    f"--blink-settings=preferredColorScheme={number}",
                    f"--window-size={width},{height}",
                    f"--screenshot={shot}",
                ]
                subprocess.run(["chromium", *OPTIONS, *own, page.as_uri()], check=True, capture_output=True)
                with Image.open(shot) as picture:
                    picture.convert("RGB").quantize(COLOURS).save(shot, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
