"""Pictures: what a recognizer heard, how it learned, where it errs.

Each function gives a `matplotlib.figure.Figure`, already laid out; `save` writes it. None touches
`pyplot`, its windows or the reader's settings, so a picture comes out the same in a script, a
notebook or a test. matplotlib is imported with the first picture.

Colours are those of Okabe and Ito, which readers with any colour vision can tell apart
(M. Okabe and K. Ito, "Color Universal Design", 2008, https://jfly.uni-koeln.de/color/).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from echoic import audio, features, metrics
from echoic.labels import SILENCE, UNKNOWN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from echoic.augmentation import AugmentationConfig
    from echoic.features import FeatureConfig
    from echoic.recognizer import Recognizer

__all__ = [
    "augmentations",
    "augmented",
    "confusion_matrix",
    "det_curve",
    "history",
    "prediction",
    "recording",
    "save",
]

Floats = npt.NDArray[np.floating[Any]]

WIDTH = 8.0  # inches
DPI = 150
INK, GREY, PALE = "#222222", "#767676", "#CCCCCC"
BLUE, VERMILLION = "#0072B2", "#D55E00"
PALETTE = (BLUE, VERMILLION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINES = ("-", "--", ":", "-.")  # One a round through the palette.
STYLE = {
    "figure.dpi": DPI,
    "figure.constrained_layout.h_pad": 0.06,  # inches
    "figure.constrained_layout.w_pad": 0.08,
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # A "$" in a name or a title is a "$".
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 4,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "agg.path.chunksize": 20_000,  # A minute of samples is more than Agg draws as one path.
}

SHOWN = 0.05  # A label that never exceeds this probability stays grey and unnamed.
AMPLITUDE = "Amplitude\n(full scale = 1)"
MFCC = "MFCC\n(coefficient)"
DEVIATIONS = "Standard deviations\nfrom the mean"


def prediction(
    waveform: npt.NDArray[np.float32],
    *,
    sample_rate: int,
    mfcc: Floats,
    hop_length: int,
    labels: Sequence[str],
    times: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    title: str = "",
) -> Figure:
    """Draw the way from sound to word: waveform, MFCC and probabilities.

    The first two panels share a time axis, and so does the third where there are several
    instants: a label that ever exceeds 5 % is coloured and named above its highest point, a
    word also above its other peaks over one half where there is room; the others are grey.
    ``_silence_`` and ``_unknown_``, which are no words, are black. A single instant is shown
    as one bar a label, in the vocabulary's order.

    Each MFCC is standardized over the clip (its mean subtracted, then divided by its standard
    deviation), for coefficient 0, the loudness, spans far more than the others. Column k is
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
    title : str
        What is heard; a long one is wrapped.

    Returns
    -------
    matplotlib.figure.Figure
        1200 pixels wide, with three panels.

    Raises
    ------
    ValueError
        If an array is empty, not finite, or of a shape or range that does not fit the others.
    """
    _check_clip(waveform, mfcc, sample_rate=sample_rate, hop_length=hop_length)
    instants, posteriors = np.asarray(times, float), np.asarray(probabilities, float)
    _check_posteriors(instants, posteriors, labels)
    duration = max(len(waveform) / sample_rate, float(instants[-1]))

    single = len(instants) == 1
    names = [] if single else _place_names(instants, posteriors, labels, duration)
    rows = 1 + max((name.row for name in names), default=-1)
    heights = [1.3, 1.7, 0.2 + 0.18 * len(labels) if single else 2.0]
    with _figure(WIDTH, sum(heights) + 1.2 + rows * NAME_ROW / 72, title) as figure:
        top, middle, bottom = figure.subplots(3, 1, height_ratios=heights)
        top.set_ylabel(AMPLITUDE)
        _draw_waveform(top, waveform, sample_rate=sample_rate)
        top.tick_params(labelbottom=False)
        middle.set_ylabel(MFCC)
        image = _draw_mfcc(middle, _standardized(mfcc, by=mfcc), hop=hop_length / sample_rate)
        # Inside the panel's frame, so that the panel stays aligned with the others.
        _draw_scale(image, cax=middle.inset_axes((1.012, 0, 0.012, 1)))
        for axes in (top, middle):
            axes.set_xlim(0, duration)
        if single:
            middle.set_xlabel("Time (s)")
            bottom.set_xlabel(f"Probability at {instants[0]:.2f} s")
            _draw_bars(bottom, posteriors[0], labels)
        else:
            middle.tick_params(labelbottom=False)
            bottom.set_xlim(0, duration)
            bottom.set_xlabel("Time (s)")
            bottom.set_ylabel("Probability")
            _draw_posteriors(bottom, instants, posteriors, labels, names)
            figure.align_ylabels([top, middle, bottom])
    return figure


def recording(recognizer: Recognizer, path: str | Path) -> Figure:
    """Draw a recording as a model hears it: `prediction` of a file, clip by clip.

    Raises
    ------
    FileNotFoundError, AudioError
        See `Recognizer.predict`.
    """
    from echoic.recognizer import merge

    config = recognizer.bundle.features
    waveform = audio.read(path, sample_rate=config.sample_rate)
    predictions = recognizer.predict(waveform, top=len(recognizer.labels))
    if len(predictions) == 1:  # a short clip is heard with the silence that follows it
        waveform = audio.fit_length(waveform, recognizer.clip_samples)
    heard = [p.label for p in merge(predictions) if p.label != SILENCE] or [SILENCE]
    return prediction(
        waveform,
        sample_rate=config.sample_rate,
        mfcc=features.mfcc(waveform, config),
        hop_length=config.hop_length,
        labels=recognizer.labels,
        times=np.array([p.end for p in predictions]),
        probabilities=np.array([[dict(p.top)[x] for x in recognizer.labels] for p in predictions]),
        title=f"{Path(path).name}: {', '.join(heard)}",
    )


def confusion_matrix(confusion: npt.ArrayLike, *, labels: Sequence[str], title: str = "") -> Figure:
    """Draw which label was taken for which.

    A cell holds its number of clips, blank for none, and is as dark as the square root of its
    share of the row, for otherwise only the diagonal would show. The shares on the diagonal,
    the recall of each label, stand on the right.

    Parameters
    ----------
    confusion : array-like of int, shape (n_labels, n_labels)
        Counts, rows true and columns predicted, as `metrics.confusion_matrix` gives them.
    labels : sequence of str
        Names of the rows and columns.
    title : str
        Model and protocol; a long one is wrapped.

    Returns
    -------
    matplotlib.figure.Figure
        As large as the number of labels needs.

    Raises
    ------
    ValueError
        If `confusion` is not a square matrix of counts, or there is not a name for each row.
    """
    recall = metrics.recall(confusion)
    counts = np.asarray(confusion)
    n = len(counts)
    if len(labels) != n:
        raise ValueError(
            f"`labels` must name the {n} rows of `confusion`. Received: {len(labels)} labels. "
            "Pass the vocabulary of the predictions."
        )
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    darkness = np.sqrt(shares)
    cell = 0.27 if n > 20 else 0.46  # inches
    digit = 0.64  # Width of a digit as a fraction of the font's size.
    size = min(9.0, 0.7 * 72 * cell / (digit * len(str(counts.max()))))
    side = max(n * cell, 2.0)
    with _figure(side + 2.2, side + 1.5, title) as figure:
        axes = figure.add_subplot()
        axes.imshow(darkness, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.argwhere(counts):
            axes.text(
                column,
                row,
                str(counts[row, column]),
                ha="center",
                va="center_baseline",
                fontsize=size,
                color="white" if darkness[row, column] > 0.55 else INK,
            )
        axes.set_xlabel("Predicted label")
        axes.set_ylabel("True label")
        axes.set_xticks(range(n), labels, rotation=90)
        axes.set_yticks(range(n), labels)
        # Minor ticks lie between the cells, to part them by pale lines.
        axes.set_xticks(np.arange(1, n) - 0.5, minor=True)
        axes.set_yticks(np.arange(1, n) - 0.5, minor=True)
        axes.grid(which="minor", color="#EEEEEE")
        right = axes.secondary_yaxis("right")
        right.set_ylabel("Recall (share of the row)", labelpad=8)
        right.set_yticks(range(n), ["n/a" if np.isnan(r) else f"{r:.1%}" for r in recall])
        for each in (axes, right):
            each.tick_params(which="both", length=0)
            each.spines[:].set_visible(False)
    return figure


def history(epochs: Mapping[str, Sequence[float]], *, title: str = "") -> Figure:
    """Draw how a training went: loss and accuracy by epoch, training against validation.

    The best epoch is that of the highest validation accuracy or, without one, of the lowest
    validation loss; the first among equals. Without validation none is marked.

    Parameters
    ----------
    epochs : mapping of str to sequence of float
        A Keras history: any of ``loss`` and ``val_loss`` in nats, ``accuracy`` and
        ``val_accuracy`` from 0 to 1, each a value an epoch; other keys are left aside. A value
        that is not finite leaves a gap, for a training that failed is worth a picture too.
    title : str
        What was trained; a long one is wrapped.

    Returns
    -------
    matplotlib.figure.Figure
        1200 pixels wide, with a panel for the loss and one for the accuracy, as far as given.

    Raises
    ------
    ValueError
        If none of the keys is there, or their values are none or differ in number.
    """
    panels = [
        (key, label)
        for key, label in (("loss", "Loss (nats)"), ("accuracy", "Accuracy (fraction)"))
        if {key, f"val_{key}"} & epochs.keys()
    ]
    curves = {
        key: np.where(np.isfinite(epochs[key]), epochs[key], np.nan)
        for key in ("loss", "accuracy", "val_loss", "val_accuracy")
        if key in epochs
    }
    lengths = {key: len(values) for key, values in curves.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise ValueError(
            "`epochs` must hold loss, accuracy, val_loss or val_accuracy, with equally many "
            f"values, at least one. Received: keys {list(epochs)}, of them usable {lengths}. "
            "Pass `model.fit(...).history`."
        )
    number = np.arange(1, 1 + max(lengths.values()))
    best = _best_epoch(curves)
    with _figure(WIDTH, 3.2, title) as figure:
        for axes, (key, label) in zip(
            np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True
        ):
            axes.set_xlabel("Epoch")
            axes.set_ylabel(label)
            axes.set_xlim(0.5, len(number) + 0.5)
            axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
            for curve, colour, meaning in (
                (key, GREY, "training"),
                (f"val_{key}", BLUE, "validation"),
            ):
                if curve in curves:
                    # With points, for a line needs two epochs without a gap between them.
                    axes.plot(number, curves[curve], ".-", color=colour, label=meaning)
            if best is not None and f"val_{key}" in curves:
                value = curves[f"val_{key}"][best]
                axes.axvline(best + 1, color=PALE, linewidth=1, zorder=0)
                axes.plot(best + 1, value, "o", color=VERMILLION, label=f"best epoch ({best + 1})")
                axes.set_title(f"Validation at epoch {best + 1}: {value:.3f}")
        # Panels may differ in their curves; a meaning is listed once.
        meanings: dict[str, Any] = {}
        for axes in figure.axes:
            handles, names = axes.get_legend_handles_labels()
            meanings |= zip(names, handles, strict=True)
        figure.legend(list(meanings.values()), list(meanings), loc="outside lower center", ncols=3)
    return figure


def det_curve(
    false_accepts: Sequence[int],
    miss_rates: Sequence[float],
    *,
    hours: float,
    thresholds: Sequence[float],
    chosen: tuple[int, float] | None = None,
    title: str = "",
) -> Figure:
    """Draw the trade of misses against false accepts: detection error trade-off (Martin 1997).

    A point a threshold, over false accepts an hour on a logarithmic axis, with the exact 95 %
    interval of that rate. Where nothing was accepted there is no rate: such points are hollow and
    stand in a grey margin, left of one in all the hours.

    Parameters
    ----------
    false_accepts : sequence of int, shape (n,)
        Number of false accepts at each threshold.
    miss_rates : sequence of float, shape (n,)
        Fraction of the words that were missed, from 0 to 1.
    hours : float
        In which the false accepts were counted, above 0.
    thresholds : sequence of float, shape (n,)
        From 0 to 1, ascending.
    chosen : (int, float), optional
        False accepts and miss rate of the settings in use.
    title : str
        Model and protocol; a long one is wrapped.

    Returns
    -------
    matplotlib.figure.Figure
        1200 pixels wide.

    Raises
    ------
    ValueError
        If the sequences are empty or differ in length, or a value is outside its range.

    References
    ----------
    A. Martin et al., "The DET curve in assessment of detection task performance", Eurospeech 1997.
    """
    counts, misses = np.asarray(false_accepts), 100 * np.asarray(miss_rates, float)
    if (
        counts.ndim != 1
        or not counts.size
        or not counts.shape == misses.shape == (len(thresholds),)
    ):
        raise ValueError(
            "`false_accepts`, `miss_rates` and `thresholds` must have a shape (n,), n at least 1. "
            f"Received: shapes {counts.shape}, {misses.shape} and ({len(thresholds)},). "
            "Pass one of each for each point."
        )
    if not ((misses >= 0) & (misses <= 100)).all():
        raise ValueError(
            f"`miss_rates` must be between 0 and 1. Received: {misses.min() / 100:g} to "
            f"{misses.max() / 100:g}. Divide the misses by the words."
        )
    intervals = np.array([metrics.poisson_interval(int(count), hours) for count in counts])
    least = 1 / hours  # One false accept in all that was heard.
    left = least / 4

    def place(count: npt.ArrayLike) -> Floats:
        """Put none in the middle of the margin."""
        return np.where(np.asarray(count) > 0, np.asarray(count) / hours, least / 2)

    shown = place(counts)
    with _figure(WIDTH, 4.2, title) as figure:
        axes = figure.add_subplot()
        axes.set_xscale("log")
        right = 1.6 * max(float(intervals.max()), 4 * least)
        axes.set_xlim(left, right)
        axes.axvspan(left, least / 2**0.5, color="#F2F2F2", linewidth=0)
        axes.hlines(misses, np.maximum(intervals[:, 0], left), intervals[:, 1], color=PALE)
        axes.plot(shown, misses, "-", color=BLUE, linewidth=1)
        heard = counts > 0
        axes.plot(shown[heard], misses[heard], "o", color=BLUE, label="one threshold")
        axes.plot(shown[~heard], misses[~heard], "o", color=BLUE, markerfacecolor="white")
        top = 1.25 * max(float(misses.max()), 100 * chosen[1] if chosen else 0.0, 1.0)
        last = (0.0, -1.0)
        for x, y, threshold in zip(shown, misses, thresholds, strict=True):
            # Names that would lie on each other are left out.
            if not 0.8 * last[0] < x < 1.25 * last[0] or abs(y - last[1]) > 0.05 * top:
                axes.annotate(
                    f"{threshold:g}",
                    (x, y),
                    (5, 5),
                    textcoords="offset points",
                    color=GREY,
                    fontsize=8,
                )
                last = (float(x), float(y))
        if chosen:
            axes.plot(
                place(chosen[0]),
                100 * chosen[1],
                "D",
                color=VERMILLION,
                markersize=8,
                label="the settings in use",
            )
        axes.set_ylim(0, top)
        axes.plot([], [], "-", color=PALE, label="95 % interval")
        axes.set_xlabel("False accepts per hour")
        axes.set_ylabel("Missed words (%)")
        axes.text(
            least / 2,
            0.98,
            f"none\nin {hours:.2g} h",
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="top",
            color=GREY,
        )
        axes.xaxis.set_major_formatter("{x:g}")
        axes.legend(loc="upper right")
    return figure


def augmentations(
    examples: Sequence[tuple[str, npt.NDArray[np.float32], Floats]],
    *,
    sample_rate: int,
    hop_length: int,
    title: str = "",
) -> Figure:
    """Draw what augmentation does to a clip: a row each, waveform left and MFCC right.

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
        _check_clip(waveform, mfcc, sample_rate=sample_rate, hop_length=hop_length)
        if mfcc.shape[1] != untouched.shape[1]:
            raise ValueError(
                "`examples` must have equally many MFCC in each row. Received: "
                f"{untouched.shape[1]} in the first and {mfcc.shape[1]} in {name!r}. "
                "Make all of them with the same feature config."
            )
    n = len(examples)
    duration = max(len(waveform) for _, waveform, _ in examples) / sample_rate
    with _figure(WIDTH, 1.25 * n + 0.4, title) as figure:
        grid = figure.subplots(n, 2, sharex=True, sharey="col", squeeze=False)
        for (left, right), (name, waveform, mfcc) in zip(grid, examples, strict=True):
            left.set_title(name)
            _draw_waveform(left, waveform, sample_rate=sample_rate)
            standardized = _standardized(mfcc, by=untouched)
            image = _draw_mfcc(right, standardized, hop=hop_length / sample_rate)
        peak = max(_peak(waveform) for _, waveform, _ in examples)
        grid[0, 0].set_ylim(-peak, peak)
        grid[0, 0].set_xlim(0, duration)
        for axes, label in zip(grid[-1], (AMPLITUDE, MFCC), strict=True):
            axes.set_xlabel("Time (s)")
            axes.set_ylabel(label)
        _draw_scale(image, ax=list(grid[:, 1]), aspect=35 * n, pad=0.02)
    return figure


def augmented(
    path: str | Path, *, config: AugmentationConfig, feature_config: FeatureConfig, seed: int = 0
) -> Figure:
    """Draw each transformation of an `AugmentationConfig` alone, applied to a recording.

    Those that a probability governs are applied for certain. The noise is white.

    Raises
    ------
    FileNotFoundError, AudioError
        See `audio.read`.
    """
    from echoic import augmentation as a

    rate = feature_config.sample_rate
    waveform = audio.fit_length(audio.read(path, sample_rate=rate), rate)[None]
    log_mel = features.log_mel(waveform, feature_config)
    bands = features.band_frequencies(feature_config)
    rng = np.random.default_rng(seed)
    noise = rng.uniform(-0.5, 0.5, 10 * rate).astype(np.float32)
    waveforms = {
        "as it is": waveform,
        "speed": a.speed(waveform, config.speed, probability=1, rng=rng),
        "shift": a.shift(waveform, round(config.shift * rate), rng=rng),
        "reverberation": a.reverberate(
            waveform, config.rt60, probability=1, sample_rate=rate, rng=rng
        ),
        "noise": a.add_noise(waveform, [noise], config.snr, probability=1, rng=rng),
        "gain": a.gain(waveform, config.gain, rng=rng),
    }
    log_mels = {
        "microphone": a.channel(log_mel, config.channel, rng=rng),
        "bandwidth": a.narrow(
            log_mel, config.bandwidth, probability=1, band_frequencies=bands, rng=rng
        ),
        "time masks": a.mask(
            log_mel, count=config.time_masks, longest=config.time_mask, axis=1, rng=rng
        ),
        "frequency masks": a.mask(
            log_mel, count=config.frequency_masks, longest=config.frequency_mask, axis=2, rng=rng
        ),
    }
    rows = [(name, w[0], features.mfcc(w[0], feature_config)) for name, w in waveforms.items()]
    rows += [(n, waveform[0], features.cepstrum(m[0], feature_config)) for n, m in log_mels.items()]
    return augmentations(rows, sample_rate=rate, hop_length=feature_config.hop_length)


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, at 150 pixels an inch.

    The file holds neither dates nor versions: the same figure gives the same bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Of one of the functions of this module.
    path : str or Path
        Ends in ``.png``; its folder exists.

    Raises
    ------
    ValueError
        If `path` does not end in ``.png``.
    """
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"`path` must end in .png. Received: {path}. Name a PNG file.")
    with _style():
        figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None})


# The frame of every picture


def _style() -> AbstractContextManager[None]:
    import matplotlib.style

    return matplotlib.style.context(["default", STYLE])


@contextmanager
def _figure(width: float, height: float, title: str) -> Iterator[Figure]:
    """Make a figure of this size in inches, in which the body draws; lay it out at the end."""
    from matplotlib.figure import Figure

    lines = textwrap.wrap(title, width=int(width * 9))  # Letters an inch, in 11 point bold.
    with _style():
        figure = Figure(figsize=(width, height + 0.2 * len(lines)), layout="constrained")
        if lines:
            figure.suptitle("\n".join(lines), x=0.08 / width, ha="left")
        yield figure
        # Ticks take their style when first drawn, so that must happen here; and a layout that
        # is settled once makes every later drawing the same.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


# Panels


def _draw_waveform(axes: Axes, waveform: npt.NDArray[np.float32], *, sample_rate: int) -> None:
    seconds = np.arange(len(waveform)) / sample_rate
    axes.plot(seconds, waveform, color=INK, linewidth=0.5)
    axes.set_ylim(-_peak(waveform), _peak(waveform))


def _peak(waveform: npt.NDArray[np.float32]) -> float:
    """Half the height of a waveform's axis; of digital silence it is not nothing."""
    return 1.05 * max(float(np.abs(waveform).max()), 0.01)


def _standardized(mfcc: Floats, *, by: Floats) -> Floats:
    """Subtract the mean of each coefficient of `by`, (frames, n_mfcc), divide by its deviation."""
    # A coefficient that is constant but for rounding stays so: its deviation spans hundreds.
    deviation = np.maximum(by.std(axis=0), 1e-3)
    return np.asarray((mfcc - by.mean(axis=0)) / deviation)


def _draw_mfcc(axes: Axes, standardized: Floats, *, hop: float) -> AxesImage:
    frames, n_mfcc = standardized.shape
    return axes.imshow(
        standardized.T,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=(0, frames * hop, -0.5, n_mfcc - 0.5),
        cmap="RdBu_r",
        vmin=-2.5,
        vmax=2.5,
    )


def _draw_scale(image: AxesImage, **place: Any) -> None:
    scale = image.axes.figure.colorbar(image, ticks=[-2, 0, 2], **place)
    scale.set_label(DEVIATIONS)
    scale.outline.set_visible(False)


class _Look(NamedTuple):
    """How a label is drawn."""

    colour: str
    line: str = "-"
    width: float = 1.6  # points


def _looks(posteriors: Floats, labels: Sequence[str]) -> dict[int, _Look]:
    """Give each label that ever exceeds `SHOWN` its look, the most probable first."""
    peaks = posteriors.max(axis=0)
    looks: dict[int, _Look] = {}
    words = 0
    for label in (int(i) for i in np.argsort(-peaks, kind="stable") if peaks[i] > SHOWN):
        if labels[label] in (SILENCE, UNKNOWN):
            looks[label] = _Look("black", "-" if labels[label] == SILENCE else "--", 1.0)
        else:
            rounds, colour = divmod(words, len(PALETTE))
            looks[label] = _Look(PALETTE[colour], LINES[rounds % len(LINES)])
            words += 1
    return looks


def _draw_bars(axes: Axes, posterior: Floats, labels: Sequence[str]) -> None:
    looks = _looks(posterior[np.newaxis], labels)
    colours = [looks[i].colour if i in looks else PALE for i in range(len(labels))]
    axes.barh(range(len(labels)), posterior, color=colours)
    for i in looks:
        inside = posterior[i] > 0.9
        axes.annotate(
            f"{posterior[i]:.2f}",
            (posterior[i], i),
            (-4 if inside else 4, 0),
            textcoords="offset points",
            ha="right" if inside else "left",
            va="center_baseline",
            color="white" if inside else INK,
        )
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(labels) - 0.5, -0.5)


# Names over the probabilities

NAME_SIZE, NAME_ROW = 9.0, 13.0  # Points.
PANEL = 6.0  # Inches that the panel is wide at least; a wider one only leaves more room.


class _Name(NamedTuple):
    """A name over the highest point of a curve."""

    text: str
    look: _Look
    time: float  # Of the point, in seconds.
    probability: float
    x: float  # Of the name's centre, in seconds.
    row: int  # From the panel upwards.


def _place_names(
    instants: Floats, posteriors: Floats, labels: Sequence[str], duration: float
) -> list[_Name]:
    """Place a name over each coloured curve, in the lowest row where it meets no other."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    bold = FontProperties(family="DejaVu Sans", weight="bold")
    looks = _looks(posteriors, labels)
    highest = {label: int(np.argmax(posteriors[:, label])) for label in looks}
    first = sorted((index, label) for label, index in highest.items())
    again = sorted(
        (index, label)
        for label in looks
        if labels[label] not in (SILENCE, UNKNOWN)
        for index in _peaks(posteriors[:, label])
        if index != highest[label]
    )
    names: list[_Name] = []
    taken: list[list[tuple[float, float]]] = []  # Of each row, the spans in seconds.
    for index, label in first + again:
        text = labels[label]
        points = TextPath((0, 0), text, size=NAME_SIZE, prop=bold).get_extents().width
        half = (points / 2 + 4) / (72 * PANEL) * duration
        time = float(instants[index])
        x = min(max(time, half), max(duration - half, half))
        free = [all(x + half <= a or b <= x - half for a, b in spans) for spans in taken]
        row = free.index(True) if True in free else len(taken)
        if row == len(taken):
            if index != highest[label]:
                continue  # A repeated name is not worth another row.
            taken.append([])
        taken[row].append((x - half, x + half))
        names.append(_Name(text, looks[label], time, float(posteriors[index, label]), x, row))
    return names


def _peaks(values: Floats) -> list[int]:
    """Index of the highest point of each stretch over one half."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], values > 0.5, [False]]).astype(int)))
    return [int(a + np.argmax(values[a:b])) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _draw_posteriors(
    axes: Axes,
    instants: Floats,
    posteriors: Floats,
    labels: Sequence[str],
    names: Sequence[_Name],
) -> None:
    looks = _looks(posteriors, labels)
    for label in range(posteriors.shape[1]):
        if label not in looks:
            axes.plot(instants, posteriors[:, label], color=PALE, linewidth=0.8, clip_on=False)
    # The most probable last, for it lies on top.
    for label, look in reversed(looks.items()):
        axes.plot(
            instants,
            posteriors[:, label],
            look.line,
            color=look.colour,
            linewidth=look.width,
            clip_on=False,
        )
    for name in names:
        colour = name.look.colour
        axes.plot(name.time, name.probability, "o", color=colour, markersize=4, clip_on=False)
        leader = [name.probability, 1.04]
        axes.plot([name.time] * 2, leader, color=colour, linewidth=0.6, clip_on=False)
        axes.annotate(
            name.text,
            (name.x, 1),
            (0, 4 + NAME_ROW * name.row),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            va="baseline",
            color=colour,
            fontsize=NAME_SIZE,
            fontweight="bold",
        )
    axes.set_ylim(-0.02, 1.04)


def _best_epoch(curves: Mapping[str, Floats]) -> int | None:
    """Index of the best epoch, None where validation never gave a finite value."""
    for key, sign in (("val_accuracy", 1), ("val_loss", -1)):
        if key in curves and np.isfinite(curves[key]).any():
            return int(np.nanargmax(sign * curves[key]))
    return None


# Checks


def _check_clip(
    waveform: npt.NDArray[np.float32], mfcc: Floats, *, sample_rate: int, hop_length: int
) -> None:
    if sample_rate < 1 or hop_length < 1:
        raise ValueError(
            "`sample_rate` (Hz) and `hop_length` (samples) must be at least 1. "
            f"Received: sample_rate={sample_rate}, hop_length={hop_length}. "
            "Take both from the feature config."
        )
    if waveform.ndim != 1 or not waveform.size or not np.issubdtype(waveform.dtype, np.floating):
        raise ValueError(
            "`waveform` must be a float array of shape (samples,), with at least one sample. "
            f"Received: dtype={waveform.dtype}, shape={waveform.shape}. "
            "Average the channels, and divide int16 by 32768."
        )
    _check_finite("waveform", waveform)
    frames = len(waveform) // hop_length
    if mfcc.ndim != 2 or not mfcc.size or len(mfcc) != frames:
        raise ValueError(
            f"`mfcc` must have a shape (frames, n_mfcc), here with {frames} frames, at least "
            f"one: {len(waveform)} samples // hop_length={hop_length}. "
            f"Received: shape={mfcc.shape}. Compute it from this waveform, time first."
        )
    _check_finite("mfcc", mfcc)


def _check_posteriors(instants: Floats, posteriors: Floats, labels: Sequence[str]) -> None:
    if (
        instants.ndim != 1
        or not posteriors.size
        or posteriors.shape != (len(instants), len(labels))
    ):
        raise ValueError(
            "`times` must have a shape (n,) and `probabilities` (n, labels), with n at least 1. "
            f"Received: times.shape={instants.shape}, probabilities.shape={posteriors.shape}, "
            f"{len(labels)} labels. Pass one row of probabilities for each instant."
        )
    _check_finite("times", instants)
    _check_finite("probabilities", posteriors)
    if (np.diff(instants) <= 0).any() or instants[0] < 0:
        raise ValueError(
            "`times` must ascend, in seconds from the waveform's start. "
            f"Received: {instants[0]:g} to {instants[-1]:g}, not ascending from 0. "
            "Subtract the start of the waveform from the stream's clock."
        )
    if posteriors.min() < 0 or posteriors.max() > 1 + 1e-6:
        raise ValueError(
            "`probabilities` must be between 0 and 1. "
            f"Received: {posteriors.min():g} to {posteriors.max():g}. "
            "Take the softmax of logits."
        )


def _check_finite(name: str, values: Floats) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        raise ValueError(
            f"`{name}` must be finite. Received: {int(np.sum(~finite))} of {values.size} values "
            "are NaN or infinite. Find out where they come from before drawing them."
        )
