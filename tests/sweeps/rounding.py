"""How large is the isolated error of operators that are right?

    python -m tests.sweeps.rounding FILE.jsonl        # what ``tests.sweeps.architectures --out`` wrote

Prints, over every clean pair, quantiles of rel_l2 and max_rel in units of 2**-24, how many lie above the 24
roundings from which a segment is measured again, and the smallest error of an origin.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np

UNIT = 2.0**-24


def main() -> None:
    """Print the figures for one file."""
    rows = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    clean = [p for row in rows for p in row["pairs"] if p["state"] in ("clean", "inherited")]
    faulty = [p for row in rows for p in row["pairs"] if p["state"] == "origin"]
    print(f"{len(rows)} model pairs, {len(clean)} right values, {len(faulty)} origins")
    above: Counter[str] = Counter()
    for metric in ("rel_l2", "max_rel"):
        errors = np.array([p["isolated"][metric] for p in clean]) / UNIT
        quantiles = ", ".join(f"{q:g}%: {np.percentile(errors, q):.1f}" for q in (50, 95, 99, 99.9, 100))
        print(f"{metric}, roundings: {quantiles}")
        above.update(p["candidate_op"] for p, e in zip(clean, errors, strict=True) if e > 24)
    print("above 24 roundings:", ", ".join(f"{op} {count}" for op, count in above.most_common()) or "none")
    known = [p["isolated"]["rel_l2"] for p in faulty if p["isolated"]["rel_l2"] is not None]
    print(f"smallest rel_l2 of an origin: {min(known) / UNIT:.0f} roundings" if known else "no origin")


if __name__ == "__main__":
    main()
