"""Sections of an analysis: per class, per speaker, calibration, open set."""

from __future__ import annotations

import numpy as np

from echoic import metrics, plots
from echoic.evaluation.analysis import Analysis
from echoic.evaluation.calibration import BINS
from echoic.evaluation.open_set import RECALL
from echoic.evaluation.result import Estimate, NotMeasured
from echoic.labels import SILENCE
from echoic.reports.format import count, percent, percents
from echoic.reports.pictures import pictures
from echoic.reports.sections import Section, Tile


def analysis_sections(analysis: Analysis) -> list[Section]:
    """Make sections of an analysis.

    Returns
    -------
    list of Section
        ``classes``, ``speakers``, ``calibration`` and ``open_set``.
    """
    return [part(analysis) for part in (classes, speakers, calibration, open_set)]


def classes(analysis: Analysis) -> Section:
    """Show recall and precision of each label, and the confusion matrix."""
    part = analysis.classes
    whole = part.accuracy
    text = f"Accuracy is {percent(whole.value, 2)} of {count(whole.n)} clips ({_range(whole)})."
    tiles = []
    if (spoken := part.without_silence) and spoken.value is not None:
        tiles.append(
            Tile(
                value=percent(spoken.value),
                name="accuracy without silence",
                note=f"{percents(spoken.interval)}, {count(spoken.n)} clips",
                better="higher",
                level=spoken.value,
            )
        )
        text += (
            f" Without {SILENCE} it is {percent(spoken.value, 2)} of {count(spoken.n)} "
            f"({_range(spoken)}). Compare models by this figure: silence in the official archive "
            "is cut from noises that training may use."
        )
    figure = None
    if len(part.present) > 1:
        worst = min(part.present, key=lambda row: row.recall.value or 0)
        assert worst.recall.value is not None  # it has clips
        tiles.append(
            Tile(
                value=percent(worst.recall.value),
                name=f"recall of “{worst.label}”, the lowest of all labels",
                note=f"of {count(worst.recall.n)} clips",
                better="higher",
                level=worst.recall.value,
                reference=None if whole.value is None else ("all clips", whole.value),
            )
        )
        text += (
            " Recall is the fraction of a label's clips that were predicted as it. Precision is "
            "the fraction of a label's predictions that were right. In the picture rows are true "
            "and columns predicted labels; clips off the diagonal are confusions. Intervals are "
            "Wilson's, 95 %."
        )
        figure = pictures(analysis.evaluation, analysis.model)["confusion.png"]
    else:
        text += " All clips are of one label, so there are no confusions to show."
    return Section(
        key="classes",
        title="Per class",
        text=text,
        data=part.report(),
        columns=("label", "clips", "recall", "95 % interval", "precision"),
        rows=tuple(
            (
                row.label,
                count(row.recall.n),
                percent(row.recall.value),
                percents(row.recall.interval),
                percent(row.precision),
            )
            for row in part.classes
        ),
        figure=figure,
        tiles=tuple(tiles),
    )


def speakers(analysis: Analysis) -> Section:
    """Show how much the accuracy differs between speakers, beside chance."""
    part = analysis.speakers
    if isinstance(part, NotMeasured):
        return _not_measured("speakers", "Per speaker", part)
    low, high = part.deviation_by_chance_interval
    if part.differs:
        verdict = (
            f"That is more than chance, by {100 * part.deviation_beyond_chance:.1f} points: the "
            "model serves some speakers worse than others, or they said harder words."
        )
    else:
        verdict = "That is within chance: these clips do not show that it serves some worse."
    text = (
        f"{count(len(part.names))} speakers gave {count(int(part.clips.sum()))} clips, the median "
        f"{np.median(part.clips):g} each. The median speaker has an accuracy of "
        f"{percent(float(np.median(part.accuracy)))}, one in ten has at most "
        f"{percent(part.percentile_10)}."
        "\n\n"
        "With few clips each, speakers differ by chance. The accuracies have a standard deviation "
        f"of {100 * part.deviation:.1f} points (weighted by clips); chance alone would give "
        f"{100 * low:.1f} to {100 * high:.1f} if all speakers were served equally well. {verdict}"
        "\n\n"
        "Clips of one speaker succeed and fail together. The accuracy of "
        f"{percent(part.overall.value, 2)} has a 95 % interval of "
        f"{percents(part.speaker_interval)} from resampled speakers, and of "
        f"{percents(part.overall.interval)} where clips are taken as independent."
    )
    worst = set(part.worst[:3])
    return Section(
        key="speakers",
        title="Per speaker",
        text=text,
        data=part.report(),
        columns=("clips of a speaker", "speakers", "clips", "accuracy", "95 % interval", "worst"),
        rows=tuple(
            (
                group.clips,
                count(group.speakers),
                count(group.accuracy.n),
                percent(group.accuracy.value),
                percents(group.accuracy.interval),
                percent(group.worst),
            )
            for group in part.groups
        ),
        figure=plots.speakers(
            part.hits,
            part.clips,
            chance=part.chance,
            names=[
                name if i in worst and part.accuracy[i] < 1 else ""
                for i, name in enumerate(part.names)
            ],
            title=f"{_title(analysis)}: {len(part.names)} speakers",
        ),
        tiles=(
            Tile(
                value=percent(part.percentile_10),
                name="accuracy that one speaker in ten does not exceed",
                note=f"of {count(len(part.names))} speakers",
                better="higher",
                level=part.percentile_10,
                reference=("by chance", part.percentile_10_by_chance),
            ),
        ),
    )


def calibration(analysis: Analysis) -> Section:
    """Show confidence against accuracy, and the best temperature."""
    part = analysis.calibration
    gap = 100 * (part.confidence - part.accuracy)
    leaning = ""
    if abs(gap) >= 0.05:
        side = "overconfident" if gap > 0 else "underconfident"
        leaning = f": it is {side} by {abs(gap):.1f} points"
    text = (
        f"Mean confidence is {percent(part.confidence)}, accuracy {percent(part.accuracy)}"
        f"{leaning}. The expected calibration error, the mean distance of confidence from "
        f"accuracy over {BINS} bins, is {100 * part.error:.2f} points. The negative "
        f"log-likelihood of the true label is {part.nll:.3f} nats."
        "\n\n"
    )
    if part.temperature is None:
        text += "Training fitted no temperature. "
    else:
        text += (
            f"Training fitted a temperature of {part.temperature:.3g} on validation; it is part "
            "of the model. "
        )
    if part.best_temperature is None:
        text += "No clip was wrong, so these clips have no best temperature."
    else:
        text += (
            f"On these clips, dividing the logits once more by {part.best_temperature:.3g} would "
            f"be best and give {part.best_nll:.3f} nats; 1 would mean perfect calibration. The "
            "figure is a check and is never applied."
        )
    return Section(
        key="calibration",
        title="Calibration",
        text=text,
        data=part.report(),
        columns=("confidence", "clips", "mean confidence", "accuracy", "95 % interval"),
        rows=tuple(
            (
                f"{100 * b.lower:.0f} – {100 * b.upper:.0f} %",
                count(b.n),
                percent(b.confidence),
                percent(b.accuracy),
                percents(metrics.wilson_interval(round(b.accuracy * b.n), b.n)),
            )
            for b in part.bins
        ),
        figure=plots.reliability(part.bins, title=_title(analysis)),
        tiles=(
            Tile(
                value=f"{100 * part.error:.1f} points",
                name="between confidence and accuracy",
                note="expected calibration error",
                better="lower",
                level=part.error,
            ),
        ),
    )


def open_set(analysis: Analysis) -> Section:
    """Show how well words outside of the vocabulary are rejected."""
    part = analysis.open_set
    if isinstance(part, NotMeasured):
        return _not_measured("open_set", "Open set", part)
    kinds = {
        "used in training": part.trained_refusal,
        "never used in training": part.unseen_refusal,
    }
    accepted = [
        f"{percent(row.false_accept_rate.value)} of {count(row.false_accept_rate.n)} clips of "
        f"words {kind} ({_range(row.false_accept_rate)}; AUROC {row.auroc:.4f})"
        for kind, row in kinds.items()
        if row
    ]
    text = (
        "A clip's score is the largest probability of a command. The threshold that accepts "
        f"{RECALL:.0%} of {count(len(part.commands))} clips of commands, {part.threshold:.3g}, "
        f"also accepts {' and '.join(accepted)}. AUROC is the probability that a command scores "
        "above another word: 1 is perfect, 0.5 is chance."
        "\n\n"
        "In the table a word is rejected if its score is below the threshold; beside it stands "
        "how often the predicted label was no command."
    )
    if not part.unseen_refusal:
        text += (
            " No clip is of a word that training never used, so this test does not tell how the "
            "model meets new words."
        )
    accepts = (part.unseen_refusal or part.refusal).false_accept_rate
    assert accepts.value is not None  # there are such clips
    return Section(
        key="open_set",
        title="Open set",
        text=text,
        data=part.report(),
        columns=("word", "used in training", "clips", "rejected", "no command", "taken for"),
        rows=tuple(
            (
                row.word or "(not named)",
                "yes" if row.in_training else "never",
                count(row.n),
                percent(row.rejected),
                percent(row.no_command),
                row.taken_for or "–",
            )
            for row in part.words
        ),
        figure=plots.open_set(
            part.commands,
            {
                "words used in training": part.trained,
                "words never used in training": part.unseen,
            },
            threshold=part.threshold,
            recall=RECALL,
            title=_title(analysis),
        ),
        tiles=(
            Tile(
                value=percent(accepts.value),
                name=f"of {'new' if part.unseen_refusal else 'other'} words accepted as commands",
                note=f"at a threshold that accepts {RECALL:.0%} of commands; "
                f"{count(accepts.n)} clips",
                better="lower",
                level=accepts.value,
            ),
        ),
    )


def _not_measured(key: str, title: str, part: NotMeasured) -> Section:
    return Section(key=key, title=title, text=f"Not measured. {part.reason}", data=None)


def _title(analysis: Analysis) -> str:
    evaluation = analysis.evaluation
    split = str(evaluation.details.get("split", ""))
    return " ".join(filter(None, (analysis.model, "on", evaluation.protocol, split)))


def _range(estimate: Estimate) -> str:
    return f"95 % interval {percents(estimate.interval)}"
