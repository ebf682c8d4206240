"""What is behind one accuracy: which words, which speakers, how sure, and what of other words?

Everything here follows from answers that there are already (`Evaluation`); nothing is heard again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from echoic import metrics, plots
from echoic.evaluation.clips import Evaluation, accuracy_report, fraction
from echoic.evaluation.scores import DIGITS
from echoic.labels import SILENCE, UNKNOWN
from echoic.reports.sections import Section, Tile
from echoic.runtime.bundle import Bundle

BINS = 15
"""Bins of confidence, from 0 to 1."""

RECALL = 0.95
"""Part of the commands that is to be accepted where the others are counted."""

DRAWS = 1000
"""How often chance is drawn to see what it alone would do."""

WORST = 10
"""How many speakers are listed."""

GROUPS = ((1, 5), (6, 10), (11, 20), (21, 40), (41, None))
"""Speakers by number of clips, from and to."""

TINY = 1e-30
"""Least probability of which a logarithm is taken."""


class Origin(NamedTuple):
    """What a clip's name tells: the word and who says it, None where it does not."""

    word: str | None
    speaker: str | None


def origin(name: str) -> Origin:
    """Read the word and the speaker from a clip's name in `Examples`.

    A data set's is ``word/speaker_nohash_n.wav``. In a test archive other words stand in the
    file's name, ``_unknown_/word_speaker_nohash_n.wav``; silence has neither.
    """
    folder, _, file = name.rpartition("/")
    before, marker, _ = file.partition("_nohash_")
    speaker = before if marker else None
    if folder == UNKNOWN:
        word, joined, who = before.rpartition("_")
        return Origin(word, who) if marker and joined else Origin(None, speaker)
    return Origin(None if folder in ("", SILENCE) else folder, speaker)


def groups(evaluation: Evaluation) -> list[str | int]:
    """Return whose each clip is, for `metrics.cluster_bootstrap_interval`.

    A clip of nobody, such as silence, stands for itself.
    """
    return [origin(name).speaker or i for i, name in enumerate(evaluation.examples.names)]


def analyze(bundle: Bundle, evaluation: Evaluation) -> list[Section]:
    """Look at answers from all sides.

    Parameters
    ----------
    bundle
        The model that gave them.
    evaluation
        The answers.

    Returns
    -------
    list of Section
        `classes`, `speakers`, `calibration` and `open_set`.
    """
    return [part(bundle, evaluation) for part in (classes, speakers, calibration, open_set)]


def classes(bundle: Bundle, evaluation: Evaluation) -> Section:
    """Tell how often each label is right: recall, precision and what is taken for what."""
    report = evaluation.report()
    low, high = report["interval"]
    text = f"{report['accuracy']:.2%} of {report['n']:,} clips are right ({_range(low, high)})."
    tiles = []
    if without := report.get("without_silence"):
        low, high = without["interval"]
        tiles.append(
            Tile(
                value=f"{without['accuracy']:.1%}",
                name="without silence",
                note=f"{_range(low, high, name='')}, {without['n']:,} clips",
            )
        )
        text += (
            f" Without {SILENCE} it is {without['accuracy']:.2%} of {without['n']:,} "
            f"({_range(low, high)}), which is the figure to compare: silence in the official "
            "archive is cut from noises that training may use."
        )
    data: dict[str, Any] = {
        key: report[key]
        for key in ("accuracy", "n", "interval", "without_silence")
        if key in report
    }
    rows = []
    data["classes"] = {}
    for i, (label, row) in enumerate(report["classes"].items()):
        right, n = int(evaluation.confusion[i, i]), row["n"]
        interval = metrics.wilson_interval(right, n) if n else None
        rounded = interval and [round(x, DIGITS) for x in interval]
        data["classes"][label] = {**row, "interval": rounded}
        rows.append(
            (
                label,
                f"{n:,}",
                _percent(row["recall"]),
                _range(*interval, name="") if interval else "–",
                _percent(row["precision"]),
            )
        )
    recalls = {k: r["recall"] for k, r in report["classes"].items() if r["recall"] is not None}
    figure = None
    if len(recalls) > 1:
        worst = min(recalls, key=lambda label: recalls[label])
        tiles.append(
            Tile(
                value=f"{recalls[worst]:.1%}",
                name=f"of “{worst}”, the hardest label",
                note=f"of {report['classes'][worst]['n']:,} clips",
            )
        )
        text += (
            " Recall is the part of a label's clips that were heard as it, precision the part of "
            "what was heard as it that was. In the picture rows are what was said, columns what "
            "was answered; everything off the diagonal is a mistake. Intervals are Wilson's, 95 %."
        )
        (figure,) = evaluation.pictures(bundle.name).values()
    else:
        text += " All clips are of one label, so nothing can be said of what is taken for what."
    return Section(
        key="classes",
        title="Which words",
        text=text,
        data=data,
        columns=("label", "clips", "recall", "95 % interval", "precision"),
        rows=tuple(rows),
        figure=figure,
        tiles=tuple(tiles),
    )


def speakers(bundle: Bundle, evaluation: Evaluation) -> Section:
    """Tell for whom it errs, beside what chance alone would do with as many clips."""
    title = "For whom"
    who = [origin(name).speaker for name in evaluation.examples.names]
    spoken = np.array([speaker is not None for speaker in who])
    names, index = np.unique([s for s in who if s is not None], return_inverse=True)
    if len(names) < 2:
        said = f"all are of one speaker, {names[0]}" if len(names) else "none has a speaker"
        return Section(
            key="speakers",
            title=title,
            text="Nothing can be said of how much speakers differ: of these clips "
            f"{said}. Speakers are read from file names, as in yes/0a7c2a8d_nohash_0.wav.",
            data=None,
        )
    right = evaluation.predicted == evaluation.examples.targets
    clips = np.bincount(index)
    hits = np.bincount(index, weights=right[spoken]).astype(np.int64)
    accuracy = hits / clips
    whole = accuracy_report(evaluation.examples.targets, evaluation.predicted)
    by_speaker = metrics.cluster_bootstrap_interval(right, groups(evaluation))
    p = hits.sum() / clips.sum()
    chance = np.random.default_rng(0).binomial(clips, p, (DRAWS, len(clips))) / clips
    spread, expected = _spread(accuracy, clips, p), _spread(chance, clips, p)
    usual = np.quantile(expected, (0.025, 0.975))
    beyond = np.sqrt(max(spread**2 - np.mean(expected**2), 0))
    tenth, by_chance = np.quantile(accuracy, 0.1), np.quantile(chance, 0.1, axis=1).mean()
    # Among equals first who said most, for whom it is least by chance.
    worst = np.lexsort((-clips, accuracy))[:WORST]
    data = {
        "speakers": len(names),
        "clips": int(clips.sum()),
        "clips_of_a_speaker": {
            "median": float(np.median(clips)),
            "least": int(clips.min()),
            "most": int(clips.max()),
        },
        "accuracy": whole["accuracy"],
        "interval": whole["interval"],
        "speaker_interval": [round(x, DIGITS) for x in by_speaker],
        "median": fraction(np.median(accuracy)),
        "percentile_10": fraction(tenth),
        "percentile_10_by_chance": fraction(by_chance),
        "standard_deviation": fraction(spread),
        "standard_deviation_by_chance": fraction(expected.mean()),
        "standard_deviation_by_chance_interval": [round(float(x), DIGITS) for x in usual],
        "standard_deviation_beyond_chance": fraction(beyond),
        "worst": [
            {"speaker": str(names[i]), "n": int(clips[i]), "accuracy": fraction(accuracy[i])}
            for i in worst
        ],
        "by_clips": _by_clips(clips, hits, accuracy),
    }
    if spread > usual[1]:
        verdict = (
            f"more than chance gives, by {100 * beyond:.1f} points: it understands some people "
            "worse than others, or they said harder words"
        )
    else:
        verdict = "no more than chance gives: these clips do not show that it serves some worse"
    text = (
        f"{len(names)} speakers gave {clips.sum():,} clips, the median {np.median(clips):g} each. "
        f"The median speaker is understood {np.median(accuracy):.1%} of the time, one in ten at "
        f"most {tenth:.1%}. Few clips each make any two speakers differ by chance: the accuracies "
        f"spread by {100 * spread:.1f} points (standard deviation, weighted by clips), where "
        f"chance alone would spread them by {100 * usual[0]:.1f} to {100 * usual[1]:.1f} if all "
        f"were understood equally well. That is {verdict}. Clips of one speaker succeed and fail "
        f"together, so the accuracy of {whole['accuracy']:.2%} has a {_range(*by_speaker)} where "
        f"whole speakers are drawn anew, beside {_range(*whole['interval'], name='')} where clips "
        "are taken as independent."
    )
    return Section(
        key="speakers",
        title=title,
        text=text,
        data=data,
        columns=("clips of a speaker", "speakers", "clips", "accuracy", "95 % interval", "worst"),
        rows=tuple(
            (
                row["clips"],
                f"{row['speakers']:,}",
                f"{row['n']:,}",
                _percent(row["accuracy"]),
                _range(*row["interval"], name=""),
                _percent(row["worst"]),
            )
            for row in data["by_clips"]
        ),
        figure=plots.speakers(
            hits,
            clips,
            chance=chance,
            names=[
                str(name) if i in worst[:3] and accuracy[i] < 1 else ""
                for i, name in enumerate(names)
            ],
            title=f"{_title(bundle, evaluation)}: {len(names)} speakers",
        ),
        tiles=(
            Tile(
                value=f"{tenth:.1%}",
                name="at most, for a tenth of the speakers",
                note=f"by chance alone it would be {by_chance:.1%}",
            ),
        ),
    )


def calibration(bundle: Bundle, evaluation: Evaluation) -> Section:
    """Tell whether it is right as often as it is sure, and which temperature would make it so."""
    probabilities = evaluation.probabilities
    targets = evaluation.examples.targets
    right = evaluation.predicted == targets
    confidence = np.clip(probabilities.max(axis=1), 0, 1)
    bins = metrics.reliability_bins(confidence, right, bins=BINS)
    error = metrics.expected_calibration_error(confidence, right, bins=BINS)
    logs = np.log(np.maximum(probabilities.astype(np.float64), TINY))
    stored = bundle.training.temperature
    best = None if right.all() or len(bundle.labels) < 2 else _best_temperature(logs, targets)
    data: dict[str, Any] = {
        "n": len(targets),
        "accuracy": round(float(right.mean()), DIGITS),
        "confidence": fraction(confidence.mean()),
        "expected_calibration_error": round(error, 5),
        "negative_log_likelihood": round(_nll(logs, targets), 5),
        "temperature": stored,
        "best_temperature": best and round(best, 3),
        "negative_log_likelihood_at_best": best and round(_nll(logs / best, targets), 5),
        "bins": [
            {
                "lower": round(b.lower, DIGITS),
                "upper": round(b.upper, DIGITS),
                "n": b.n,
                "confidence": fraction(b.confidence),
                "accuracy": fraction(b.accuracy),
            }
            for b in bins
        ],
    }
    gap = 100 * (confidence.mean() - right.mean())
    text = (
        f"On average it is {confidence.mean():.1%} sure and {right.mean():.1%} right"
        f"{_leaning(gap)}. The distance of confidence from accuracy, over {BINS} bins of equal "
        f"width, is {100 * error:.2f} points on average (expected calibration error); the negative "
        f"log-likelihood of the right label is {data['negative_log_likelihood']:.3f} nats. "
    )
    if stored is None:
        text += "No temperature was fitted in training. "
    else:
        text += f"A temperature of {stored:.3g} was fitted on validation and is part of the model. "
    if best is None:
        text += "Which one would be best here cannot be said, for nothing was mistaken."
    else:
        text += (
            f"The best for these very clips would divide its logits by {best:.3g} more, for "
            f"{data['negative_log_likelihood_at_best']:.3f} nats; 1 would mean that nothing is "
            "left to mend. It is a check, and never used."
        )
    return Section(
        key="calibration",
        title="Is it as sure as it is right?",
        text=text,
        data=data,
        columns=("confidence", "answers", "mean confidence", "right", "95 % interval"),
        rows=tuple(
            (
                f"{100 * b.lower:.0f} – {100 * b.upper:.0f} %",
                f"{b.n:,}",
                f"{b.confidence:.1%}",
                f"{b.accuracy:.1%}",
                _range(*metrics.wilson_interval(round(b.accuracy * b.n), b.n), name=""),
            )
            for b in bins
        ),
        figure=plots.reliability(bins, title=_title(bundle, evaluation)),
        tiles=(
            Tile(
                value=f"{100 * error:.1f} points",
                name="between sure and right",
                note="expected calibration error",
            ),
        ),
    )


def open_set(bundle: Bundle, evaluation: Evaluation) -> Section:
    """Tell how well it refuses words that it does not know, heard in training or never."""
    title = "Words that it does not know"
    examples = evaluation.examples
    commands = [i for i, label in enumerate(examples.labels) if label not in (SILENCE, UNKNOWN)]
    known = np.isin(examples.targets, commands)
    other = np.zeros(len(examples), dtype=bool)
    if UNKNOWN in examples.labels:
        other = examples.targets == examples.labels.index(UNKNOWN)
    if not known.any() or not other.any():
        lacking = "clips of its words" if other.any() else "clips of words that it does not know"
        return Section(
            key="open_set",
            title=title,
            text=f"Nothing can be said of what it refuses: this test has no {lacking}.",
            data=None,
        )
    scores = evaluation.probabilities[:, commands].max(axis=1)
    words = np.array([origin(name).word or "" for name in examples.names])
    unseen = np.isin(words, bundle.recipe.data.unseen_words)
    kinds = {
        "heard in training": other & ~unseen,
        "never heard in training": other & unseen,
        "all": other,
    }
    _, threshold = metrics.false_accept_rate(scores[known], scores[other], recall=RECALL)
    data: dict[str, Any] = {
        "commands": int(known.sum()),
        "recall": RECALL,
        "threshold": round(threshold, 5),
        **{
            kind.replace(" ", "_"): _refusal(scores[known], scores[which])
            for kind, which in kinds.items()
        },
        "words": [],
    }
    rows = []
    for word in sorted({str(word) for word in words[other]}):
        which = other & (words == word)
        refused = float(np.mean(scores[which] < threshold))
        answers = np.bincount(evaluation.predicted[which], minlength=len(examples.labels))[commands]
        taken = examples.labels[commands[answers.argmax()]] if answers.any() else None
        data["words"].append(
            {
                "word": word or None,
                "heard_in_training": bool(not unseen[which].any()),
                "n": int(which.sum()),
                "rejected": fraction(refused),
                "not_answered_as_command": fraction(1 - answers.sum() / which.sum()),
                "most_often_taken_for": taken,
            }
        )
    # The worst first: what may be confused is what a reader looks for.
    data["words"].sort(key=lambda row: (row["rejected"], row["word"] or ""))
    rows = [
        (
            row["word"] or "(not named)",
            "yes" if row["heard_in_training"] else "never",
            f"{row['n']:,}",
            _percent(row["rejected"]),
            _percent(row["not_answered_as_command"]),
            row["most_often_taken_for"] or "–",
        )
        for row in data["words"]
    ]
    said = [
        f"{data[key]['false_accept_rate']:.1%} of {data[key]['n']:,} clips of words {kind} "
        f"({_range(*data[key]['interval'])}; AUROC {data[key]['auroc']:.4f})"
        for kind in ("heard in training", "never heard in training")
        if (key := kind.replace(" ", "_")) and data[key]
    ]
    text = (
        "A clip's score is the largest probability of a command, whichever. At the threshold "
        f"that accepts {RECALL:.0%} of {known.sum():,} clips of commands ({threshold:.3g}) it also "
        f"accepts {' and '.join(said)}. AUROC is the probability that a command scores above "
        "another word: 1 is perfect, 0.5 a coin. A word is rejected if its score is below the "
        "threshold; beside it stands how often the answer itself was no command."
    )
    if not kinds["never heard in training"].any():
        text += (
            " No clip is of a word that was kept out of training, so how it meets new ones is "
            "not known from this test."
        )
    new = data["never_heard_in_training"]
    others = new or data["all"]
    return Section(
        key="open_set",
        title=title,
        text=text,
        data=data,
        columns=("word", "heard in training", "clips", "rejected", "no command", "taken for"),
        rows=tuple(rows),
        figure=plots.open_set(
            scores[known],
            {
                f"words {kind}": scores[kinds[kind]]
                for kind in ("heard in training", "never heard in training")
            },
            threshold=threshold,
            recall=RECALL,
            title=_title(bundle, evaluation),
        ),
        tiles=(
            Tile(
                value=f"{others['false_accept_rate']:.1%}",
                name=f"of {'new' if new else 'other'} words accepted",
                note=f"by a threshold that accepts {RECALL:.0%} of commands; {others['n']:,} clips",
            ),
        ),
    )


def _by_clips(
    clips: npt.NDArray[np.int64], hits: npt.NDArray[np.int64], accuracy: npt.NDArray[np.float64]
) -> list[dict[str, Any]]:
    """Return figures of speakers who gave about as many clips, a row a group that has any."""
    rows = []
    for low, high in GROUPS:
        which = (clips >= low) & (clips <= (high or clips.max()))
        if which.any():
            right, n = int(hits[which].sum()), int(clips[which].sum())
            rows.append(
                {
                    "clips": f"{low} – {high}" if high else f"{low} or more",
                    "speakers": int(which.sum()),
                    "n": n,
                    "accuracy": fraction(right / n),
                    "interval": [round(x, DIGITS) for x in metrics.wilson_interval(right, n)],
                    "worst": fraction(accuracy[which].min()),
                }
            )
    return rows


def _refusal(
    positive: npt.NDArray[np.float32], negative: npt.NDArray[np.float32]
) -> dict[str, Any] | None:
    """Return what scores of commands and of other words are worth; None without any of these."""
    if not len(negative):
        return None
    rate, _ = metrics.false_accept_rate(positive, negative, recall=RECALL)
    n = len(negative)
    return {
        "n": n,
        "auroc": round(metrics.auroc(positive, negative), 5),
        "false_accept_rate": round(rate, DIGITS),
        "interval": [round(x, DIGITS) for x in metrics.wilson_interval(round(rate * n), n)],
    }


def _spread(accuracy: npt.NDArray[np.float64], clips: npt.NDArray[np.int64], overall: float) -> Any:
    """Return the standard deviation of accuracies, (..., speakers), weighted by clips.

    Weighted so that its square is Pearson's chi-squared but for a factor, the usual measure of
    whether proportions differ, and is what chance gives plus the variance of the speakers.
    """
    return np.sqrt(np.average((accuracy - overall) ** 2, weights=clips, axis=-1))


def _nll(logs: npt.NDArray[np.float64], targets: npt.NDArray[np.int64]) -> float:
    """Mean negative log-likelihood (nats) of logits, (n, labels), that need not be normalized."""
    from scipy.special import logsumexp

    right = logs[np.arange(len(targets)), targets]
    return float(np.mean(logsumexp(logs, axis=1) - right))


def _best_temperature(logs: npt.NDArray[np.float64], targets: npt.NDArray[np.int64]) -> float:
    """Find the temperature of the least negative log-likelihood (Guo et al. 2017)."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda log: _nll(logs / np.exp(log), targets), bounds=(-3, 3), method="bounded"
    )
    return float(np.exp(found.x))


def _leaning(points: float) -> str:
    if abs(points) < 0.05:
        return ""
    return f": {abs(points):.1f} points too {'sure' if points > 0 else 'modest'}"


def _title(bundle: Bundle, evaluation: Evaluation) -> str:
    return " ".join(
        [bundle.name, "on", evaluation.protocol, str(evaluation.details.get("split", ""))]
    ).strip()


def _range(low: float, high: float, *, name: str = "95 % interval ") -> str:
    return f"{name}{low:.1%} – {high:.1%}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
