"""How is a curve of errors drawn? By hand, as SVG: a log axis, lines, dots, and marks on the origins."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Literal

WIDTH, HEIGHT = 760, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 54, 34
LOW, HIGH = -9, 1
"""Powers of ten at the ends of the axis; zero is drawn at the lower one."""

COLOURS: dict[str, dict[str, str]] = {
    "light": {
        **{"paper": "#ffffff", "ink": "#24292f", "faint": "#d8dee4", "quiet": "#57606a"},
        **{"cumulative": "#0072b2", "isolated": "#c24a00", "rounding": "#6e7781", "after": "#00795c"},
    },
    "dark": {
        **{"paper": "#1c1f26", "ink": "#e6e8eb", "faint": "#3a3f4a", "quiet": "#a8b0bb"},
        **{"cumulative": "#56b4e9", "isolated": "#ff9d5c", "rounding": "#9aa3ae", "after": "#3fd0a5"},
    },
}
"""Okabe and Ito's, which the colour-blind tell apart, made darker or lighter for the contrast."""


@dataclass(frozen=True)
class Curve:
    """A name, a number a pair (None where there is none), how it is drawn, and the name of its colour."""

    name: str
    values: tuple[float | None, ...]
    how: Literal["line", "dots", "dashes"]
    colour: str


@dataclass(frozen=True)
class Chart:
    """Curves over the walk; ``marks`` are words at places of the walk, from 0."""

    title: str
    curves: tuple[Curve, ...]
    marks: Mapping[int, str]

    def drawn(self, colours: Mapping[str, str]) -> str:
        """The chart as SVG."""
        body = "\n".join(self._parts(colours))
        words = escape(f"{self.title}: {', '.join(curve.name for curve in self.curves)}", quote=True)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{words}" font-family="system-ui, sans-serif" font-size="12">\n'
            f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="{colours["paper"]}"/>\n{body}\n</svg>\n'
        )

    def _parts(self, colours: Mapping[str, str]) -> Iterator[str]:
        yield text(LEFT, 20, self.title, colours["ink"], weight="600")
        x = float(LEFT)
        for curve in self.curves:
            yield sample(x, curve.how, colours[curve.colour])
            yield text(x + 26, 40, curve.name, colours["ink"])
            x += 46 + 6.1 * len(curve.name)
        for power in range(LOW, HIGH + 1, 2):
            y = self._y(10.0**power)
            yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{colours["faint"]}"/>'
            yield text(LEFT - 8, y + 4, f"1e{power}" if power else "1", colours["quiet"], anchor="end")
        yield text(WIDTH - RIGHT, HEIGHT - 12, "pairs, in walk order →", colours["quiet"], anchor="end")
        yield text(LEFT, HEIGHT - 12, "rel_l2", colours["quiet"])
        for place, word in self.marks.items():
            x = self._x(place)
            yield (
                f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="{colours["isolated"]}" stroke-width="1" '
                'stroke-dasharray="2 3"/>'
            )
            anchor = "end" if x > WIDTH * 0.7 else "start"
            yield text(x + (-6 if anchor == "end" else 6), TOP + 12, word, colours["isolated"], anchor=anchor)
        for curve in self.curves:
            yield from self._curve(curve, colours[curve.colour])

    def _curve(self, curve: Curve, colour: str) -> Iterator[str]:
        points = [
            (self._x(place), self._y(value)) for place, value in enumerate(curve.values) if value is not None
        ]
        if curve.how == "dots":
            yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.6" fill="{colour}"/>' for x, y in points)
        elif points:
            path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            dash = ' stroke-dasharray="5 4"' if curve.how == "dashes" else ""
            width = 1.3 if curve.how == "dashes" else 2.2
            yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dash}/>'

    def _x(self, place: int) -> float:
        most = max(len(curve.values) for curve in self.curves)
        return LEFT + 10 + (WIDTH - LEFT - RIGHT - 20) * place / max(most - 1, 1)

    @staticmethod
    def _y(value: float) -> float:
        power = min(max(math.log10(value) if value > 0 else LOW, LOW), HIGH)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (power - LOW) / (HIGH - LOW)


def text(x: float, y: float, words: str, colour: str, *, anchor: str = "start", weight: str = "400") -> str:
    """A line of text."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(words)}</text>"
    )


def sample(x: float, how: str, colour: str) -> str:
    """What a curve looks like, before its name."""
    if how == "dots":
        return f'<circle cx="{x + 12:.1f}" cy="36" r="3.6" fill="{colour}"/>'
    dash = ' stroke-dasharray="5 4"' if how == "dashes" else ""
    return f'<path d="M{x:.1f} 36h20" stroke="{colour}" stroke-width="2"{dash}/>'
