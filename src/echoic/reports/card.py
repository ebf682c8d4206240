"""The model card: what ``echoic.json`` says, for people, in the form that model hubs read."""

from __future__ import annotations

from typing import Any

from echoic.config import TrainingConfig
from echoic.labels import SILENCE, UNKNOWN
from echoic.runtime.bundle import Bundle

PROTOCOLS = {
    "archive-v0.02": (
        "the official 12-class test archive of Speech Commands v0.02 "
        "(`speech_commands_test_set_v0.02`), kept out of the training and of the choice of weights"
    ),
    "archive-v0.02-endless": (
        "the same clips, shuffled, without gaps between them or resets of the model's memory; each "
        "is judged by its last moment; the mean of three orders"
    ),
    "archive-v0.02-endless int8": (
        "those clips in those orders, heard by `stream_int8.tflite`, whose weights are int8 and "
        "whose memory nobody clears either"
    ),
    "hash-split validation": (
        "the validation side of a data set; by that of the training data the best epoch was chosen"
    ),
    "hash-split test": "the test side of the data set, by the official list and hash rule",
}


def write_card(bundle: Bundle) -> None:
    """Write the model card of a model into its folder."""
    (bundle.path / "README.md").write_text(render(bundle), encoding="utf-8")


def render(bundle: Bundle) -> str:
    """Write the model card of a model, as Markdown with a YAML header."""
    return "\n".join(
        [
            *_header(bundle),
            *_introduction(bundle),
            *_figures(bundle),
            *_report(bundle),
            *_files(bundle),
            *_streams(bundle),
            *_training(bundle),
            *_limits(bundle),
            *_credits(bundle),
        ]
    )


def _header(bundle: Bundle) -> list[str]:
    lines = [
        "---",
        "license: cc-by-4.0",
        "language: en",
        "library_name: keras",
        "pipeline_tag: audio-classification",
        "tags: [speech-commands, keyword-spotting, mfcc, rnn, tflite, echoic]",
        "datasets: [speech_commands]",
        "metrics: [accuracy]",
    ]
    clips = _on_clips(bundle)
    if clips:
        lines += ["model-index:", f"- name: {bundle.name}", "  results:"]
    for protocol, figures in clips.items():
        lines += [
            "  - task: {type: audio-classification}",
            f"    dataset: {{name: {protocol}, type: speech_commands}}",
            f"    metrics: [{{type: accuracy, value: {figures['accuracy']:.4f}}}]",
        ]
    return [*lines, "---", ""]


def _introduction(bundle: Bundle) -> list[str]:
    labels = bundle.labels
    words = [label for label in labels if label not in (SILENCE, UNKNOWN)]
    others = " and ".join(f"`{x}`" for x in labels if x in (SILENCE, UNKNOWN))
    features = bundle.features
    version = bundle.training.versions.get("echoic", "?")
    frames = 1000 * features.hop_length / features.sample_rate
    return [
        f"# {bundle.name}",
        "",
        f"Names the word in a second of speech: {', '.join(words)}"
        + (f"; else {others}." if others else "."),
        f"Keras network, {bundle.training.parameters:,} parameters, on {features.n_mfcc} "
        f"MFCC every {frames:.0f} ms; made with echoic {version}.",
        "",
        "| file | what it is |",
        "|---|---|",
        "| `clip.tflite` | waveform (1, 16000) float32 in [-1, 1], 16 kHz, to probabilities "
        f"(1, {len(labels)}); the MFCC is inside, nothing else is needed |",
        *_streaming_files(bundle),
        "| `model.keras` | the network: MFCC to logits |",
        "| `echoic.json` | features, labels, recipe, figures: what a program must know |",
        "| `labels.txt` | the labels, in the order of the outputs |",
        "",
        "```python",
        "import echoic",
        "",
        f'recognizer = echoic.Recognizer.load("{bundle.name}")',
        'print(recognizer.predict("command.wav"))',
        "```",
        "",
    ]


def _streaming_files(bundle: Bundle) -> list[str]:
    present = bundle.fingerprints
    lines = []
    smaller = [f"`{name}.tflite`" for name in ("clip_float16", "clip_int8") if name in present]
    if smaller:
        lines.append(f"| {', '.join(smaller)} | the same, smaller |")
    if "stream" in present:
        lines.append(
            "| `stream.tflite` | the next samples and the states to probabilities and the states |"
        )
    if "stream_int8" in present:
        lines.append(
            "| `stream_int8.tflite`, `listen.py` | the same, smaller; and a script that runs it |"
        )
    if "core_int8" in present:
        lines.append(
            "| `core_int8.tflite` | coefficients and states, int8 throughout: for "
            "microcontrollers |"
        )
    return lines


def _on_clips(bundle: Bundle) -> dict[str, Any]:
    """Figures of protocols that count clips, by protocol."""
    return {k: figures for k, figures in bundle.metrics.items() if "accuracy" in figures}


def _figures(bundle: Bundle) -> list[str]:
    clips = _on_clips(bundle)
    if not clips:
        return []
    lines = [
        "## How often it is right",
        "",
        "| protocol | clips | accuracy | 95 % interval | without `_silence_` |",
        "|---|---:|---:|---:|---:|",
    ]
    for protocol, figures in clips.items():
        low, high = figures["interval"]
        without = figures.get("without_silence")
        spoken = _percent(without and without["accuracy"], digits=2)
        lines.append(
            f"| `{protocol}` | {figures['n']:,} | **{figures['accuracy']:.2%}** "
            f"| {low:.1%} – {high:.1%} | {spoken} |"
        )
    lines.append("")
    for protocol, figures in clips.items():
        lines += [
            f"`{protocol}`: {PROTOCOLS.get(protocol, protocol)}. Reproduce it with",
            "",
            f"    {_command(bundle, protocol)}",
            "",
            *(f"> {warning}\n" for warning in figures.get("warnings", [])),
        ]
    # The smaller file's figures stand beside those of what the pictures show.
    whole = {k: row for k, row in clips.items() if row.get("file", "stream") == "stream"}
    protocol, figures = list((whole or clips).items())[-1]
    lines += [
        f"By label, on `{protocol}`:",
        "",
        "| label | clips | recall | precision |",
        "|---|---:|---:|---:|",
    ]
    for label, row in figures["classes"].items():
        lines.append(
            f"| {label} | {row['n']:,} | {_percent(row['recall'])} | {_percent(row['precision'])} |"
        )
    return [*lines, "", "![Confusion matrix](confusion.png)", ""]


def _report(bundle: Bundle) -> list[str]:
    """What stood at the head of a report."""
    lines: list[str] = []
    for protocol, figures in _on_clips(bundle).items():
        if not (report := figures.get("report")):
            continue
        limit = report["max_clips"]
        which = f"{limit:,} of the" if limit else "all"
        command = f"{_command(bundle, protocol)} --report report/"
        lines += [
            "## What its report says",
            "",
            f"On `{protocol}`; other conditions on {which} spoken clips.",
            "",
            "| | figure | what it is | |",
            "|---|---:|---|---|",
            *(
                f"| {row['section']} | **{row['value']}** | {row['name']} | {row['note']} |"
                for row in report["heads"]
            ),
            "",
            f"    {command}{f' --limit {limit}' if limit else ''}",
            "",
        ]
    return lines


def _files(bundle: Bundle) -> list[str]:
    """What `echoic export` measured of each file."""
    if (files := bundle.files) is None:
        return []
    archive = files.protocol == "archive-v0.02"
    where = "the official test archive" if archive else "validation"
    streams = "stream" in files.measured
    lines = [
        "## The files, measured",
        "",
        f"On {files.n:,} clips of {where}, each from a blank state; LiteRT, one thread.",
        "*Points* is the accuracy less the Keras network's; *largest* is the largest difference of",
        "a probability from it;"
        + (
            " *ten minutes* is how often the best label is that of `stream.tflite` in the last "
            "minute of a stream of ten, never reset."
            if streams
            else " *ten minutes* is for files that hear streams."
        ),
        "A call takes a second of sound"
        + (" (`clip`) or one step of the stream" if streams else "")
        + "; *real time* is its time over the sound's. Sizes and answers are the same everywhere, "
        "times and memory are of one machine.",
        "",
        "| file | kB | accuracy | points | largest | ten minutes | call, median | p99 | real time "
        "| memory |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in files.measured.items():
        memory = row.peak_memory
        lines.append(
            f"| `{name}.tflite` | {row.size / 1e3:,.0f} | {row.accuracy:.2%} "
            f"| {100 * row.difference:+.2f} | {row.largest_difference:.1g} "
            f"| {_percent(row.late_agreement)} | {1e6 * row.median_latency:,.0f} µs "
            f"| {1e6 * row.p99_latency:,.0f} µs "
            f"| {row.median_latency / row.seconds:.2g} "
            f"| {'–' if memory is None else f'{memory / 1e6:.0f} MB'} |"
        )
    if left_out := files.left_out:
        losses = ", ".join(f"`{name}` ({100 * lost:+.1f})" for name, lost in left_out.items())
        lines += ["", f"Not kept, as they would lose too many points: {losses}."]
    calibration = files.calibration
    command = f"echoic export models/{bundle.name} --data data/{calibration.data}"
    if archive:
        command += " --test-set data/speech_commands_test_set_v0.02"
    command += f" --out runs/{bundle.name}"
    inside = f"The MFCC is inside `clip`{' and `stream`' if streams else ''}, always in float32."
    if "core_int8" in files.measured:
        inside += (
            f" `core_int8` takes coefficients, and its ranges are from {calibration.clips} "
            "clips of the validation side, played as one stream."
        )
    if streams:
        inside += (
            " A state starts at zeros (of `core_int8`: at its zero point) and is handed back as "
            "it came."
        )
    warnings = [f"> {warning}\n" for warning in files.warnings]
    return [*lines, "", f"    {command}", "", *warnings, inside, ""]


def _streams(bundle: Bundle) -> list[str]:
    """What was missed in streams, and what was taken for a word that was none."""
    if not (figures := bundle.metrics.get("stream")):
        return []
    lines = [
        "## In a stream",
        "",
        f"Words of `{figures['data']}` ({figures.get('split', 'all')}) at known times, in noise at "
        "a stated ratio, decided with the settings in `echoic.json`. A word is missed if it is not",
        f"detected by {figures['tolerance']:g} s after its end; delays are from there.",
        "",
        "| stream | words | missed | of them for another word | delay, median | 95th percentile |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, row in {**figures["streams"], "all": figures["all"]}.items():
        if "words" not in row:
            continue
        low, high = row["miss_rate_interval"]
        delay = row["delay"]
        lines.append(
            f"| {name} | {row['words']:,} | **{row['miss_rate']:.1%}** ({low:.1%} – {high:.1%}) "
            f"| {row['wrong_words']:,} | {_seconds(delay['median'])} | {_seconds(delay['p95'])} |"
        )
    lines.append("")
    heard = {"those streams": figures["all"]}
    if "negatives" in figures:
        heard["recordings without any of its words"] = figures["negatives"]
    for name, row in heard.items():
        accepts = row["false_accepts"]
        low, high = accepts["interval"]
        rate = (
            f"{accepts['per_hour']:.1f} an hour, 95 % interval {low:.1f} to {high:.1f}"
            if accepts["count"]
            else f"which shows no more than that they are fewer than {high:.1f} an hour (95 %)"
        )
        of = (
            f"{accepts['on_unknown']:,} of them at other words; " if "on_unknown" in accepts else ""
        )
        lines.append(
            f"- False accepts in {name}: {accepts['count']:,} in {accepts['hours']:.2f} h; "
            f"{of}{rate}."
        )
    archive = "split" not in figures
    command = f"echoic evaluate models/{bundle.name} --stream "
    command += f"--test-set data/{figures['data']}" if archive else f"--data data/{figures['data']}"
    command += " --split test" if figures.get("split") == "test" else ""
    command += " --negatives FOLDER" if "negatives" in figures else ""
    lines += ["", f"    {command}"]
    return [*lines, "", *(["![Detection error trade-off](det.png)", ""] if figures["det"] else [])]


def _command(bundle: Bundle, protocol: str) -> str:
    command = f"echoic evaluate models/{bundle.name}"
    if protocol.startswith("archive"):
        endless = " --endless" if "endless" in protocol else ""
        graph = bundle.metrics[protocol].get("file", "stream")
        endless += f" --graph {graph}" if graph != "stream" else ""
        return f"{command} --test-set data/speech_commands_test_set_v0.02{endless}"
    split = {"hash-split test": "test"}.get(protocol, "validation")
    data = bundle.metrics[protocol].get("data", "speech_commands_v0.02")
    return f"{command} --data data/{data} --split {split}"


def _training(bundle: Bundle) -> list[str]:
    training, recipe = bundle.training, bundle.recipe
    counts = training.counts
    clips = {side: sum(by_label.values()) for side, by_label in counts.items()}
    commands = {
        side: sum(n for label, n in by_label.items() if label != UNKNOWN)
        for side, by_label in counts.items()
    }
    data = recipe.data
    lines = [
        "## What it was trained on",
        "",
        f"- Data: {training.data}; {clips['training']:,} clips for training "
        f"({commands['training']:,} of the vocabulary, "
        f"{clips['training'] - commands['training']:,} other words to draw from), "
        f"{clips['validation']:,} for validation, split by speaker.",
    ]
    if extra := training.extra_data:
        lines.append(
            f"- Among the clips for training are those of {', '.join(extra)}, which are not of "
            "that data: see `data/README.md`."
        )
    if teachers := training.teachers:
        weight = recipe.training.teacher_weight
        names = [f"an earlier {x}" if x == bundle.name else x for x in teachers]
        lines.append(
            f"- It was also taught by {', '.join(names)}: {weight:.0%} of each target is "
            + ("the mean of their answers" if len(teachers) > 1 else "its answer")
            + (
                " to the recording as it is, heard once before the training."
                if recipe.training.cache_teacher
                else " to the same clip."
            )
        )
    if init := training.initial_weights:
        lines.append(f"- It began with the weights of {init}.")
    for name in bundle.training.pretrained_sources:
        source, _ = PRETRAINED[name]
        lines.append(
            f"- By what it began with or by whom it was taught it has learned from {source}, "
            "which heard many other recordings: what it knows is not from its data alone, and "
            "words that its training never named may have been named there."
        )
    if temperature := training.temperature:
        lines.append(
            f"- Its logits were divided by {temperature:.2f}, the temperature that fits validation "
            "best; a probability means what it says."
        )
    if recipe.training.logit_adjustment:
        lines.append(
            "- Before it hears anything, each label is as likely to it as any other, however often "
            "training heard it; the validation set, which holds many other words, favours a "
            "network that expects them."
        )
    if data.unseen_words:
        lines.append(f"- Words never heard in training: {', '.join(data.unseen_words)}.")
    if data.unseen_noises:
        lines.append(f"- Noises never heard in training: {', '.join(data.unseen_noises)}.")
    versions = ", ".join(f"{name} {version}" for name, version in training.versions.items())
    backend = f"; trained on {training.backend}" if training.backend else ""
    lines += [
        f"- SHA-256 of the sorted file list: `{training.files_sha256}`.",
        f"- {_epochs(recipe.training)} epochs, the best on validation was "
        f"{training.best_epoch}; seed {training.seed}; {versions}{backend}.",
        f"- Command: `{training.command}`.",
        "",
        "| layer | settings |",
        "|---|---|",
    ]
    for row in recipe.model.layers:
        settings = ", ".join(f"{k} {v}" for k, v in row.items() if k != "type")
        lines.append(f"| {row['type']} | {settings or '–'} |")
    return [*lines, ""]


def _epochs(training: TrainingConfig) -> str:
    cooldown = training.cooldown_epochs
    return f"{training.epochs} + {cooldown}" if cooldown else str(training.epochs)


def _limits(bundle: Bundle) -> list[str]:
    return [
        "## Limits",
        "",
        "- It knows single English words of about half a second, said one at a time. It always "
        "answers: a word that it does not know should come out as `_unknown_`, and sometimes comes "
        "out as a command. Do not let it do anything that cannot be undone.",
        "- The speakers of Speech Commands are volunteers at their own computers. The data says "
        "nothing of their age, sex or accent, so how much worse the model serves some people than "
        "others is not known from these figures.",
        "- Silence in the official test archive is cut from the same noise recordings that "
        "training may use; that is why every figure is also given without it.",
        "",
    ]


def _credits(bundle: Bundle) -> list[str]:
    others = "".join(f" {PRETRAINED[name][1]}" for name in bundle.training.pretrained_sources)
    return [
        "## Credits and licence",
        "",
        "Trained on Speech Commands by Pete Warden and Google, "
        "[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/): P. Warden, "
        '"Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition", 2018, '
        "[arXiv:1804.03209](https://arxiv.org/abs/1804.03209). The recordings were changed by the "
        "augmentation that `echoic.json` lists. The weights are released under CC BY 4.0 as well; "
        f"please credit echoic and Speech Commands.{others}",
        "",
    ]


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"


def _percent(fraction: float | None, *, digits: int = 1) -> str:
    return "–" if fraction is None else f"{fraction:.{digits}%}"


PRETRAINED = {
    "speech_embedding": (
        "Google's speech embedding (Lin et al. 2020, "
        "[arXiv:2002.01322](https://arxiv.org/abs/2002.01322))",
        "What it learned from Google's speech embedding is Apache-2.0.",
    ),
    "whisper": (
        "OpenAI's Whisper, tiny.en (Radford et al. 2022, "
        "[arXiv:2212.04356](https://arxiv.org/abs/2212.04356))",
        "What it learned from OpenAI's Whisper is MIT.",
    ),
}
"""Networks that learned from other data, by the files that data/make_*.py write: source, terms."""
