"""The section of streams: what the model's folder knows of them, or how to measure it."""

from __future__ import annotations

from typing import Any

from echoic.reports.commands import evaluate_command
from echoic.reports.format import (
    NONE,
    count,
    per_hour,
    per_hour_with_interval,
    percent,
    percents,
    seconds,
)
from echoic.reports.sections import Section, Tile
from echoic.runtime.bundle import Bundle

COLUMNS = (
    "stream",
    "words",
    "missed (95 %)",
    "wrong word",
    "median delay",
    "95th percentile",
    "false accepts",
    "an hour (95 %)",
)


def streams(model: Bundle) -> Section:
    """Show the figures of streams that are recorded in a model's folder."""
    stream = model.metrics.get("stream")
    continuous = model.metrics.get("archive-v0.02-endless")
    data = {"stream": stream, "continuous": continuous}
    if not (model.path / "stream.tflite").exists():
        text = "This model classifies whole clips: it has no TFLite file for streams."
        return Section(key="streams", title="Streams", text=text, data=data)
    rows: list[tuple[str, ...]] = []
    tiles: tuple[Tile, ...] = ()
    if stream:
        accepts = stream.get("negatives", stream["all"])["false_accepts"]
        tiles = (
            Tile(
                value=percent(stream["all"]["miss_rate"]),
                name="of words in streams missed",
                note=f"at {per_hour(accepts)} false accepts an hour",
                better="lower",
                level=stream["all"]["miss_rate"],
            ),
        )
        text = (
            f"Words of `{stream['data']}` at known times, in noise, detected with the model's "
            "settings. A word is missed if it is not detected by "
            f"{stream['tolerance']:g} s after its end; delays are from there, the median and the "
            "95th percentile. Other sound holds no word of the vocabulary. These figures were "
            "measured before and are recorded in the model's folder; measure them again with"
        )
        recordings = {**stream["streams"], "all": stream["all"]}
        if "negatives" in stream:
            recordings["other sound"] = stream["negatives"]
        rows = [(name, *_cells(row)) for name, row in recordings.items()]
    else:
        text = "Misses and false accepts in streams were not measured yet; measure them with"
    source: str | None = "data/speech_commands_v0.02"
    if stream:
        source = f"data/{stream['data']}" if "split" in stream else None
    command = evaluate_command(
        model.name, stream=True, data=source, negatives=True, update_card=True
    )
    text += f"\n\n    {command}\n\n"
    if continuous:
        text += (
            "Continuously, without gaps and without resets, the accuracy is "
            f"{percent(continuous['accuracy'], 2)} of {count(continuous['n'])} clips of the test "
            f"archive (95 % interval {percents(continuous['interval'])}; the mean of three "
            "orders):"
        )
    else:
        text += "The accuracy without resets between clips was not measured yet; measure it with"
    text += f"\n\n    {evaluate_command(model.name, continuous=True, update_card=True)}"
    return Section(
        key="streams",
        title="Streams",
        text=text,
        data=data,
        columns=COLUMNS if rows else (),
        rows=tuple(rows),
        tiles=tiles,
    )


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    accepts = row["false_accepts"]
    fired = (
        f"{count(accepts['count'])} in {accepts['hours']:.2f} h",
        per_hour_with_interval(accepts),
    )
    if "words" not in row:
        return (*(NONE for _ in range(5)), *fired)
    return (
        count(row["words"]),
        f"{percent(row['miss_rate'])} ({percents(row['miss_rate_interval'])})",
        count(row["wrong_words"]),
        *(seconds(row["delay"][key]) for key in ("median", "p95")),
        *fired,
    )
