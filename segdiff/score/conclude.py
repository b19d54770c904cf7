"""What do the numbers amount to? From the sums over all images to the report and its one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from segdiff.core.answer import Verdict
from segdiff.core.errors import InputError
from segdiff.inputs import InputComparison
from segdiff.score.areas import Scores
from segdiff.score.attribution import Attribution, Home, Passage, attributed, with_published
from segdiff.score.bounds import Bounds
from segdiff.score.compare import CANDIDATE, REFERENCE, SAME_INPUT, Summary
from segdiff.score.protocol import DATASET, LABEL_CENTRED, Protocol, steps_between
from segdiff.score.report import ScoreReport, SideScores

CLEAR_SHARE = 1e-4
"""Masks agree while fewer pixels than this differ clearly: a hundredth of a point of pixel accuracy."""

MAX_REL = 1e-2
"""Raw outputs agree up to this part of the reference's largest value. Rounding through a DeepLabV3P with
random weights reaches 7e-5; the planted fault of the bundled example reaches 0.99."""

ZERO = "0.00"
"""Points that are none to the digits printed."""


@dataclass(frozen=True)
class Terms:
    """Under which protocols the two sides are scored, and what was printed for them (fractions)."""

    reference: Protocol
    candidate: Protocol
    reference_score: float | None = None
    candidate_score: float | None = None

    def protocols(self) -> tuple[Protocol, ...]:
        """All protocols that the table needs, the reference's first."""
        return (self.reference, *steps_between(self.reference, self.candidate))


def fraction(score: float | None, what: str) -> float | None:
    """A printed score as a fraction: 95.10 and 0.951 mean the same. Raises InputError outside 0 to 100."""
    if score is None:
        return None
    if not 0 <= score <= 100:
        raise InputError(f"{what} is {score:g}; an mIoU is 0 to 100 percent, or 0 to 1.")
    return score / 100 if score > 1 else score


def score_report(
    summary: Summary,
    terms: Terms,
    shown: tuple[Protocol, ...],
    sources: Mapping[str, str],
    names: tuple[str, ...],
    bounds: Bounds | None = None,
    fed: InputComparison | None = None,
    rounding: float = 0.0,
) -> ScoreReport:
    """The report, without what only its maker knows (remarks, pictures, times).

    ``shown`` are the protocols whose scores are given, ``sources`` where each side comes from, ``fed`` what
    the candidate's own preprocessing does otherwise, ``rounding`` how far the reference's raw output is from
    itself by rounding alone, as a part of its largest value. Raises InputError where no image was left.
    """
    if not summary.images:
        raise InputError(_nothing_used(summary))
    table = table_of(summary, terms, bounds, fed)
    verdict: Verdict = "agrees" if _agree(summary, rounding) else "diverges"
    return ScoreReport(
        verdict=verdict,
        sentence=_sentence(summary, table, sources),
        names=names,
        images=summary.images,
        labelled=summary.labelled,
        skipped=summary.skipped,
        sides=tuple(_side(summary, name, source, shown) for name, source in sources.items()),
        attribution=table,
        agreement=summary.agreement,
        output=summary.output,
        worst=summary.worst,
        problems=tuple(summary.problems),
        input=fed,
    )


def _nothing_used(summary: Summary) -> str:
    """The cause itself where it is the same for all images, else the first."""
    if not summary.problems:
        return "No image could be used."
    causes = {problem.partition(": ")[2] for problem in summary.problems}
    if len(causes) == 1 and len(summary.problems) > 1 and all(causes):
        return (
            f"No image could be used, all {summary.skipped} for the same reason: {causes.pop().rstrip('.')}."
        )
    more = f" (and {summary.skipped - 1} more skipped)" if summary.skipped > 1 else ""
    return f"No image could be used: {summary.problems[0].rstrip('.')}{more}."


def is_doubtful(summary: Summary) -> bool:
    """Whether masks differ clearly though the raw outputs hardly do: a network may amplify rounding."""
    close = summary.output is not None and summary.output.max_rel <= MAX_REL
    return close and summary.agreement.clear_share > CLEAR_SHARE


def _agree(summary: Summary, rounding: float) -> bool:
    if is_doubtful(summary):
        return summary.output is not None and summary.output.max_rel <= rounding
    if summary.output is not None and not summary.output.max_rel <= MAX_REL:
        return False
    return summary.agreement.clear_share <= CLEAR_SHARE


def _side(summary: Summary, name: str, source: str, shown: tuple[Protocol, ...]) -> SideScores:
    return SideScores(name, source, {p: _scores(summary, name, p) for p in shown} if summary.labelled else {})


def _scores(summary: Summary, side: str, protocol: Protocol) -> Scores:
    return summary.tallies[side, protocol.frame].scores(protocol.over)


def table_of(
    summary: Summary, terms: Terms, bounds: Bounds | None, fed: InputComparison | None = None
) -> Attribution | None:
    """The attribution table; None without labels."""
    if not summary.labelled:
        return None

    def lookup(side: str, protocol: Protocol) -> float:
        return _scores(summary, side, protocol).miou

    def side(name: str, home: str, kind: str, text: str) -> Passage:
        return Passage(home, kind, text, lambda protocol: lookup(name, protocol))  # type: ignore[arg-type]

    if (SAME_INPUT, terms.candidate.frame) in summary.tallies:
        changes = [
            side(SAME_INPUT, "network", "network", "network: the candidate on the reference's input"),
            side(CANDIDATE, "input", "input", f"input: the candidate on its own{_named(fed)}"),
        ]
    elif bounds is None:  # both models ran; saved masks come with bounds
        changes = [side(CANDIDATE, "network", "network", "network: the candidate on the same input")]
    else:
        changes = [side(CANDIDATE, "input or network", "masks", "input or network: the candidate's masks")]
    table = attributed(
        lambda protocol: lookup(REFERENCE, protocol), changes, terms.reference, terms.candidate
    )
    centred = None
    if terms.reference == DATASET and (REFERENCE, LABEL_CENTRED) in summary.tallies:
        centred = lookup(REFERENCE, Protocol("dataset", LABEL_CENTRED))
    return with_published(table, terms.reference_score, terms.candidate_score, centred, bounds)


def _named(fed: InputComparison | None) -> str:
    """The kinds of what was found, for the row."""
    if fed is None or not fed.findings:
        return ""
    if fed.assumed:
        return ", where the reference's is assumed"
    proven = " (proven)" if fed.proven else ""
    return f": {', '.join(dict.fromkeys(finding.kind for finding in fed.findings))}{proven}"


def _sentence(summary: Summary, table: Attribution | None, sources: Mapping[str, str]) -> str:
    masks = _masks_words(summary)
    if table is None:
        return f"{masks} There are no labels, so there is no score."
    if not table.by_home():
        return f"{masks} The scores are the same, {100 * table.start:.2f}."
    return f"{_gap_words(table)} {masks}"


def _gap_words(table: Attribution) -> str:
    """What a person would say of the gap."""
    told = tuple(table.by_home().items())
    gap = signed(sum(points for _, points in told) / 1e4)
    start, end = f"{100 * table.start:.2f}", f"{100 * table.end:.2f}"
    words = f"From {start} to {end} the score changes by {gap} points"
    if len(told) == 1:
        return f"{words}, all of them from {HOMES[told[0][0]]}."
    return (
        f"{words}: {', '.join(f'{signed(points / 1e4)} come from {HOMES[home]}' for home, points in told)}."
    )


HOMES: Mapping[Home, str] = {
    "score": "how the score is computed",
    "input": "the input",
    "network": "the network",
    "input or network": "the masks themselves, that is input or network",
    "unexplained": "something that the masks do not show",
}
"""What a person calls each home."""


def signed(points: float) -> str:
    """Points with their sign, in hundredths of the whole: ``-4.85``; ``0.00`` is without."""
    rounded = round(100 * points, 2)
    return f"{rounded:+.2f}" if rounded else ZERO


def _masks_words(summary: Summary) -> str:
    found = summary.agreement
    pictures = f"{summary.images} image{'s' if summary.images != 1 else ''}"
    if not found.changed:
        return f"The masks of {pictures} are equal in every pixel."
    words = f"The masks of {pictures} differ in {found.share:.2%} of the pixels"
    if found.clear == found.changed:
        return f"{words}."
    if not found.clear:
        return f"{words}, all of them ties within rounding."
    return f"{words}, clearly in {found.clear_share:.2%}."
