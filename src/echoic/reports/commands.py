"""Commands that measure a model again."""

from __future__ import annotations

ARCHIVE = "data/speech_commands_test_set_v0.02"


def evaluate_command(
    model: str,
    *,
    data: str | None = None,
    split: str | None = None,
    continuous: bool = False,
    file: str = "stream",
    stream: bool = False,
    negatives: bool = False,
    report: str | None = None,
    max_clips: int | None = None,
    update_card: bool = False,
) -> str:
    """Return the command that evaluates a model, such as ``echoic evaluate models/gru-12 ...``.

    Without ``data`` it is on the official test archive. The arguments are the command's options.
    """
    words = ["echoic evaluate", f"models/{model}"]
    words += ["--stream"] if stream else []
    words += [f"--data {data}"] if data else [f"--test-set {ARCHIVE}"]
    words += [f"--split {split}"] if split else []
    words += ["--continuous"] if continuous else []
    words += [f"--file {file}"] if file != "stream" else []
    words += ["--negatives FOLDER"] if negatives else []
    words += [f"--report {report}"] if report else []
    words += [f"--max-clips {max_clips}"] if max_clips else []
    words += ["--update-card"] if update_card else []
    return " ".join(words)
