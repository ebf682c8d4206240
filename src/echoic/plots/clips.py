"""Pictures of sound: predictions for a clip or a recording, and augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from echoic import audio, features
from echoic.labels import SILENCE
from echoic.plots.panels import (
    AMPLITUDE,
    MFCC,
    NAME_ROW,
    check_clip,
    check_posteriors,
    draw_bars,
    draw_mfcc,
    draw_posteriors,
    draw_scale,
    draw_waveform,
    feature_axis,
    half_height,
    looks,
    place_names,
    standardize,
)
from echoic.plots.style import WIDTH, Floats, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from echoic.config import AugmentationConfig, FeatureConfig
    from echoic.runtime.recognizer import Recognizer

LEGEND_COLUMNS = 7


def prediction(
    waveform: npt.NDArray[np.float32],
    *,
    sample_rate: int,
    mfcc: Floats,
    hop_length: int,
    labels: Sequence[str],
    times: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    detected: npt.ArrayLike | None = None,
    axis: str = MFCC,
    title: str = "",
) -> Figure:
    """Draw the way from sound to word: waveform, MFCC and probabilities.

    The first two panels share a time axis, and so does the third where there are several
    instants: a label that ever exceeds 5 % is coloured, named above its highest point and listed
    in the legend; a word is also named above its other peaks over one half where there is room.
    The other labels are pale grey. ``_silence_`` is black and ``_unknown_`` grey, for they are no
    words. A single instant is shown as one bar a label, in the vocabulary's order.

    Each MFCC is standardized over the clip (its mean subtracted, then divided by its standard
    deviation), because coefficient 0, the loudness, spans far more than the others. Column k is
    the k-th hop, the newest samples of frame k.

    Parameters
    ----------
    waveform : ndarray of float32, shape (samples,)
        In [-1, 1].
    sample_rate : int
        In Hz.
    mfcc : ndarray of float, shape (frames, n_mfcc)
        Features of this waveform: ``frames == samples // hop_length``.
    hop_length : int
        Samples from one frame to the next.
    labels : sequence of str
        The vocabulary, in the model's order.
    times : array-like of float, shape (n,)
        Instants of the probabilities, in seconds from the waveform's start, ascending.
    probabilities : array-like of float, shape (n, labels)
        From 0 to 1.
    detected : array-like of bool, shape (n, labels), optional
        Where a label is detected: only such labels are coloured, and named by their peaks there. A
        single instant is drawn without regard to it.
    axis : str
        Name of the features, where they are others than MFCC; see `panels.feature_axis`.
    title : str
        Name of the recording; a long one is wrapped.

    Returns
    -------
    matplotlib.figure.Figure
        1200 pixels wide, with three panels.

    Raises
    ------
    ValueError
        If an array is empty, not finite, or of a shape or range that does not fit the others.
    """
    check_clip(waveform, mfcc, sample_rate=sample_rate, hop_length=hop_length)
    instants, posteriors = np.asarray(times, float), np.asarray(probabilities, float)
    check_posteriors(instants, posteriors, labels)
    duration = max(len(waveform) / sample_rate, float(instants[-1]))

    single = len(instants) == 1
    meant = posteriors
    if detected is not None:
        if np.shape(detected) != posteriors.shape:
            raise ValueError(
                f"`detected` must have the shape of `probabilities`, {posteriors.shape}. "
                f"Received: shape={np.shape(detected)}."
            )
        meant = np.where(np.asarray(detected), posteriors, 0.0)
    names = [] if single else place_names(instants, meant, labels, duration)
    rows = 1 + max((name.row for name in names), default=-1)
    heights = [1.3, 1.7, 0.2 + 0.18 * len(labels) if single else 2.0]
    room = 1.2 + rows * NAME_ROW / 72
    if not single:
        room += 0.2 * ceil((1 + len(looks(meant, labels))) / LEGEND_COLUMNS)
    with new_figure(WIDTH, sum(heights) + room, title) as figure:
        top, middle, bottom = figure.subplots(3, 1, height_ratios=heights)
        top.set_ylabel(AMPLITUDE)
        draw_waveform(top, waveform, sample_rate=sample_rate)
        top.tick_params(labelbottom=False)
        middle.set_ylabel(axis)
        image = draw_mfcc(middle, standardize(mfcc, by=mfcc), hop=hop_length / sample_rate)
        # Inside the panel's frame, so that the panel stays aligned with the others.
        draw_scale(image, cax=middle.inset_axes((1.012, 0, 0.012, 1)))
        for axes in (top, middle):
            axes.set_xlim(0, duration)
        if single:
            middle.set_xlabel("Time (s)")
            bottom.set_xlabel(f"Probability at {instants[0]:.2f} s")
            draw_bars(bottom, posteriors[0], labels)
        else:
            middle.tick_params(labelbottom=False)
            bottom.set_xlim(0, duration)
            bottom.set_xlabel("Time (s)")
            bottom.set_ylabel("Probability")
            shown = draw_posteriors(bottom, instants, posteriors, labels, names, meant=meant)
            figure.legend(handles=shown, loc="outside lower center", ncols=LEGEND_COLUMNS)
            figure.align_ylabels([top, middle, bottom])
    return figure


def recording(recognizer: Recognizer, path: str | Path) -> Figure:
    """Draw a recording with a model's predictions: `prediction` of a file, window by window.

    The words are those of `recognizer.merge`: what two windows agree on, and not one alone.

    Raises
    ------
    FileNotFoundError, AudioError
        See `Recognizer.predict`.
    """
    from echoic.runtime.recognizer import merge

    config = recognizer.bundle.features
    waveform = audio.read(path, sample_rate=config.sample_rate)
    labels = recognizer.labels
    predictions = recognizer.predict(waveform, windows=True, top=len(labels))
    if len(predictions) == 1:  # a short clip is padded with zeros
        waveform = audio.fix_length(waveform, recognizer.clip_samples)
    merged = merge(predictions)
    words = [p.label for p in merged if p.label != SILENCE] or [SILENCE]
    detected = [
        [
            any(p.label == x and p.start <= w.start and w.end <= p.end for p in merged)
            for x in labels
        ]
        for w in predictions
    ]
    return prediction(
        waveform,
        sample_rate=config.sample_rate,
        mfcc=features.compute(waveform, config),
        hop_length=config.hop_length,
        labels=labels,
        times=np.array([p.end for p in predictions]),
        probabilities=np.array([[dict(p.top)[x] for x in labels] for p in predictions]),
        detected=detected,
        axis=feature_axis(config),
        title=f"{Path(path).name}: {', '.join(words)}",
    )


def augmentations(
    examples: Sequence[tuple[str, npt.NDArray[np.float32], Floats]],
    *,
    sample_rate: int,
    hop_length: int,
    axis: str = MFCC,
    title: str = "",
) -> Figure:
    """Draw augmented versions of a clip: a row each, waveform left and MFCC right.

    All rows share their scales. Each MFCC is standardized with the mean and the standard
    deviation that it has in the first row, so that a change of colour is a change of sound.

    Parameters
    ----------
    examples : sequence of (str, ndarray of float32, ndarray of float)
        Name, waveform of shape (samples,) in [-1, 1] and MFCC of shape (frames, n_mfcc), with
        ``frames == samples // hop_length``. The first is the untouched clip.
    sample_rate : int
        In Hz.
    hop_length : int
        Samples from one frame to the next.
    axis : str
        Name of the features; see `prediction`.
    title : str
        What is shown; a long one is wrapped.

    Returns
    -------
    matplotlib.figure.Figure
        1200 pixels wide, with two panels an example.

    Raises
    ------
    ValueError
        If there is no example, or an array is empty, not finite or of a shape that does not
        fit the others.
    """
    if not examples:
        raise ValueError(
            "`examples` must hold at least the untouched clip. Received: none. "
            "Pass (name, waveform, mfcc) for each row."
        )
    untouched = examples[0][2]
    for name, waveform, mfcc in examples:
        check_clip(waveform, mfcc, sample_rate=sample_rate, hop_length=hop_length)
        if mfcc.shape[1] != untouched.shape[1]:
            raise ValueError(
                "`examples` must have equally many MFCC in each row. Received: "
                f"{untouched.shape[1]} in the first and {mfcc.shape[1]} in {name!r}. "
                "Make all of them with the same feature config."
            )
    n = len(examples)
    duration = max(len(waveform) for _, waveform, _ in examples) / sample_rate
    with new_figure(WIDTH, 1.25 * n + 0.4, title) as figure:
        grid = figure.subplots(n, 2, sharex=True, sharey="col", squeeze=False)
        for (left, right), (name, waveform, mfcc) in zip(grid, examples, strict=True):
            left.set_title(name)
            draw_waveform(left, waveform, sample_rate=sample_rate)
            standardized = standardize(mfcc, by=untouched)
            image = draw_mfcc(right, standardized, hop=hop_length / sample_rate)
        height = max(half_height(waveform) for _, waveform, _ in examples)
        grid[0, 0].set_ylim(-height, height)
        grid[0, 0].set_xlim(0, duration)
        for axes, label in zip(grid[-1], (AMPLITUDE, axis), strict=True):
            axes.set_xlabel("Time (s)")
            axes.set_ylabel(label)
        draw_scale(image, ax=list(grid[:, 1]), aspect=35 * n, pad=0.02)
    return figure


def augmented(
    path: str | Path, *, config: AugmentationConfig, feature_config: FeatureConfig, seed: int = 0
) -> Figure:
    """Draw each transformation of an `AugmentationConfig` alone, applied to a recording.

    Those that a probability governs are applied for certain. The noise is white, the other voice
    of a mixup is the recording itself, backwards.

    Raises
    ------
    FileNotFoundError, AudioError
        See `audio.read`.
    """
    from echoic import augmentation as a

    rate = feature_config.sample_rate
    waveform = audio.fix_length(audio.read(path, sample_rate=rate), rate)[None]
    log_mel = features.log_mel(waveform, feature_config)
    bands = features.band_frequencies(feature_config)
    rng = np.random.default_rng(seed)
    noise = rng.uniform(-0.5, 0.5, 10 * rate).astype(np.float32)
    both = np.concatenate([waveform, waveform[:, ::-1]])
    waveforms = {
        "as it is": waveform,
        "another voice": a.mixup(both, np.eye(2, dtype=np.float32), probability=1, rng=rng)[0],
        "speed_perturb": a.speed_perturb(waveform, config.speed_perturb, probability=1, rng=rng),
        "shift": a.shift(waveform, round(config.shift * rate), rng=rng),
        "reverberation": a.reverberate(
            waveform, config.rt60, probability=1, sample_rate=rate, rng=rng
        ),
        "noise": a.add_noise(waveform, [noise], config.snr, probability=1, rng=rng),
        "gain": a.gain(waveform, config.gain, rng=rng),
    }
    log_mels = {
        "microphone": a.random_eq(log_mel, config.random_eq, rng=rng),
        "bandwidth": a.low_pass(
            log_mel, config.bandwidth, probability=1, band_frequencies=bands, rng=rng
        ),
        "time masks": a.mask(
            log_mel, count=config.time_masks, longest=config.time_mask, axis=1, rng=rng
        ),
        "frequency masks": a.mask(
            log_mel, count=config.frequency_masks, longest=config.frequency_mask, axis=2, rng=rng
        ),
    }
    rows = [(name, w[0], features.compute(w[0], feature_config)) for name, w in waveforms.items()]
    for name, m in log_mels.items():
        limited = np.maximum(m[0], np.float32(feature_config.floor_db))
        rows.append((name, waveform[0], features.from_log_mel(limited, feature_config)))
    return augmentations(
        rows,
        sample_rate=rate,
        hop_length=feature_config.hop_length,
        axis=feature_axis(feature_config),
    )
