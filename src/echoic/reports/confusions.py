"""The section of confusions, with recordings to listen to."""

from __future__ import annotations

from echoic.evaluation.clips import Evaluation
from echoic.reports.format import count, percent
from echoic.reports.sections import Section, Sound

PAIRS, FILES = 8, 3
"""Confusions in a report, and recordings of each."""


def confusions(evaluation: Evaluation) -> Section:
    """Show the most frequent confusions, with the most confident mistakes of each."""
    labels, probabilities = evaluation.examples.labels, evaluation.probabilities
    of_label = evaluation.confusion.sum(axis=1)
    wrong = int(of_label.sum() - evaluation.confusion.trace())
    found = evaluation.mistakes(pairs=PAIRS, files=FILES)
    sounds, data, rows = [], [], []
    for pair in found:
        true, predicted = pair["true"], pair["predicted"]
        of = int(of_label[labels.index(true)])
        clips = []
        for name, i in zip(pair["files"], pair["indices"], strict=True):
            confidence = float(probabilities[i, labels.index(predicted)])
            right = float(probabilities[i, labels.index(true)])
            clips.append({"file": name, "predicted": round(confidence, 4), "true": round(right, 4)})
            sounds.append(
                Sound(
                    name=name,
                    title=f"“{true}”, predicted “{predicted}”",
                    note=f"{predicted} {percent(confidence)}, {true} {percent(right)}",
                    waveform=evaluation.examples.waveforms[i],
                )
            )
        data.append(
            {**{k: pair[k] for k in ("true", "predicted", "count")}, "of": of, "clips": clips}
        )
        rows.append((true, predicted, count(pair["count"]), percent(pair["count"] / of)))
    if found:
        listed = sum(pair["count"] for pair in found)
        text = (
            f"{count(wrong)} clips were predicted wrong; the most frequent confusions are "
            f"{count(listed)} of them. Below are the most confident mistakes of each, as the model "
            "received them. Listen before you judge: some clips are cut short, some hold another "
            "word than their name says."
        )
    else:
        text = "No clip was predicted wrong."
    return Section(
        key="confusions",
        title="Confusions",
        text=text,
        data=data,
        columns=("true", "predicted", "clips", "of the label's clips") if rows else (),
        rows=tuple(rows),
        sounds=tuple(sounds),
    )
