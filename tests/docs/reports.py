"""Are the reports in the docs what segdiff prints? ``python -m tests.docs.reports [--write] [NAME ...]``.

A block of a page under ``<!-- run: NAME: COMMANDS -->`` is what the commands print in a folder that holds
that case; ``<!-- report: NAME -->`` is ``segdiff locate`` on it. Without ``--write`` the pages that would
change are named.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests.docs.cases import CASES

ROOT = Path(__file__).parents[2]
MARKED = re.compile(r"(<!-- (?:report|run): (\w+)(?:: ([^>]*?))? -->\n+```text\n)(.*?)(```)", re.DOTALL)
WIDTH = 80


def pages() -> list[Path]:
    """Every page of the docs, and both READMEs."""
    return [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", *sorted(ROOT.glob("README.*.md"))]


@cache
def printed(name: str, commands: str = "") -> str:
    """What the commands print of a case, each after its own line; by default ``segdiff locate``."""
    with tempfile.TemporaryDirectory() as home:
        made = CASES[name](Path(home))
        shown = []
        for line in (commands or f"segdiff locate {' '.join(made)}").split(" && "):
            done = run(shlex.split(line), Path(home))
            if done.returncode not in (0, 1, 2) or "Traceback" in done.stderr:
                raise RuntimeError(f"{name}: {line}: {done.stderr}")
            said = done.stdout.strip() or done.stderr.strip()
            shown.append(f"$ {line}\n{said}\n")
        return "\n".join(shown)


def run(line: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """A segdiff command in a folder, 80 columns wide, without colours."""
    python = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    wide = {**os.environ, "PYTHONPATH": python, "COLUMNS": str(WIDTH), "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", *line]
    return subprocess.run(command, cwd=folder, env=wide, capture_output=True, text=True, timeout=300)


def written(text: str, only: frozenset[str] = frozenset()) -> str:
    """A page with its reports made anew."""

    def made(found: re.Match[str]) -> str:
        head, name, commands, _, tail = found.groups()
        if only and name not in only:
            return found.group()
        return f"{head}{printed(name, commands or '')}{tail}"

    return MARKED.sub(made, text)


def main() -> int:
    """Compare or write; 1 where a page is not what is printed."""
    parser = argparse.ArgumentParser(prog="python -m tests.docs.reports", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the pages")
    parser.add_argument("--show", action="store_true", help="print the reports of the cases named")
    parser.add_argument(
        "--run", default="", metavar="COMMANDS", help="with --show: what is run, joined by &&"
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    given = parser.parse_args()
    if given.show:
        for name in given.names or CASES:
            try:
                print(f"--- {name}\n{printed(name, given.run)}", flush=True)
            except Exception as error:
                print(f"--- {name}\n!!! {error}", flush=True)
        return 0
    stale = 0
    for page in pages():
        text = page.read_text(encoding="utf-8")
        new = written(text, frozenset(given.names))
        if new != text:
            stale = 1
            print(page.relative_to(ROOT))
            if given.write:
                page.write_text(new, encoding="utf-8")
    return stale


if __name__ == "__main__":
    sys.exit(main())
