"""The launcher: atheris must see the readers' modules before anything imports them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"

LONGEST = 4096
"""Bytes of a file: the sound ones have fewer, and what a parser does wrong shows in a short one."""


def fuzz(name: str, options: list[str], corpora: list[str]) -> None:
    """Fuzz one parser in this process, which libFuzzer ends."""
    import atheris

    with atheris.instrument_imports(include=["segdiff.readers"]):
        import segdiff.readers.onnx
        import segdiff.readers.pdmodel
        import segdiff.readers.pir  # noqa: F401
    from tests.readers.fuzz.parsers import PARSERS, attempt

    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    PARSERS[name].write(folder)
    itself = f"{sys.executable} -m tests.readers.fuzz --here {name}"  # for the shell, where it merges
    words = [itself, f"-max_len={LONGEST}", "-timeout=30", "-rss_limit_mb=4096", *options, *corpora]
    atheris.Setup(words, lambda data: attempt(name, folder, data))
    atheris.Fuzz()


def again(name: str, options: list[str], corpora: list[str]) -> int:
    """The same in a process of its own; its exit code."""
    words = [sys.executable, "-m", "tests.readers.fuzz", "--here", name, *options, *corpora]
    return subprocess.run(words, check=False).returncode


def main(name: str, options: list[str]) -> int:
    """Fuzz from the corpus; with ``--keep`` what reaches more becomes part of it, as few files as will do."""
    from tests.readers.fuzz.parsers import sound

    kept = CORPUS / name
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        os.environ["TMPDIR"] = place
        work = Path(place) / "corpus"
        shutil.copytree(kept, work)
        (work / "sound").write_bytes(sound(name))
        code = again(name, [option for option in options if option != "--keep"], [str(work)])
        if "--keep" in options and code == 0:
            shutil.rmtree(kept)
            kept.mkdir()
            code = again(name, ["-merge=1"], [str(kept), str(work)])
    return code


if __name__ == "__main__":
    if sys.argv[1] == "--here":
        given = sys.argv[2:]
        fuzz(given[0], [w for w in given[1:] if w[0] == "-"], [w for w in given[1:] if w[0] != "-"])
    else:
        sys.exit(main(sys.argv[1], sys.argv[2:]))
