"""The recognizer: sound in, words out. It runs what ships and imports no training framework.

recognizer = Recognizer.load()
for prediction in recognizer.predict("command.wav"):
    print(prediction.label, prediction.confidence)

stream = recognizer.stream()
for block in microphone:
    for posterior in stream.process(block):
        print(posterior.time, posterior.probabilities)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from echoic import audio
from echoic.runtime.bundle import Bundle
from echoic.runtime.tflite import StreamingRunner

if TYPE_CHECKING:
    import soxr

WINDOW_HOP = 0.25
"""Distance (s) of the windows in which a recording longer than a clip is heard."""

SETTLE_STEPS = 25
"""Steps of silence before a unit's influence is measured."""

EPSILON = 0.25
"""How far a unit is moved to measure its influence."""

TINY = 1e-30
"""Least probability of which a logarithm is taken."""


@dataclass(frozen=True)
class Prediction:
    """What was said in one stretch of sound.

    Attributes
    ----------
    start, end
        The stretch, in seconds from the beginning of the recording.
    label
        The most probable label.
    confidence
        Its probability, 0 to 1.
    top
        The most probable labels with their probabilities, best first.
    """

    start: float
    end: float
    label: str
    confidence: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Posterior:
    """What a stream's last step was heard as.

    Attributes
    ----------
    time
        The end of the step, in seconds of sound since the stream began.
    probabilities
        Of each label, shape (labels,), float32.
    state
        What the last recurrent layer hands on to the next step, its output h, shape (units,),
        float32; None if the model has no such layer.
    """

    time: float
    probabilities: npt.NDArray[np.float32]
    state: npt.NDArray[np.float32] | None = None


class Recognizer:
    """A trained model, ready to listen to clips; make one with `Recognizer.load`.

    Several threads may use one recognizer.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._clip = bundle.tflite("clip")
        self.clip_samples: int = self._clip.inputs["waveform"].shape[-1]
        """Samples of a clip: what the model hears at once."""

    @classmethod
    def load(cls, path: str | Path | None = None) -> Recognizer:
        """Load a model.

        Parameters
        ----------
        path
            A model's folder, or the name of one in ``models/`` or of one that ships with echoic;
            None means the default model, ``gru-12``.

        Raises
        ------
        FileNotFoundError
            There is no such model.
        BundleError, TFLiteError
            The folder is damaged; see `bundle`.
        """
        return cls(Bundle.load(path))

    @property
    def labels(self) -> tuple[str, ...]:
        """What the model can answer, in the order of its outputs."""
        return self.bundle.labels

    @property
    def sample_rate(self) -> int:
        """Samples a second that the model hears (Hz)."""
        return self.bundle.features.sample_rate

    def predict(
        self,
        waveform_or_path: npt.ArrayLike | str | Path,
        sample_rate: int | None = None,
        *,
        top: int = 3,
    ) -> list[Prediction]:
        """Name the words in a recording.

        Parameters
        ----------
        waveform_or_path
            Samples of shape (samples,), float32 in [-1, 1] or int16; or a file.
        sample_rate
            Samples a second (Hz) of the samples; None means 16,000. A file states its own.
        top
            How many labels each prediction lists.

        Returns
        -------
        list of Prediction
            One for up to a second of sound; for more, one for each window of a second, a quarter
            of a second apart.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        AudioError
            Not sound: see `audio.read` and `audio.as_waveform`.
        """
        if isinstance(waveform_or_path, str | Path):
            waveform = audio.read(waveform_or_path, sample_rate=self.sample_rate)
        else:
            waveform = audio.as_waveform(
                waveform_or_path, sample_rate=sample_rate, target_rate=self.sample_rate
            )
        return [
            self._prediction(start, min(start + self.clip_samples, len(waveform)), row, top)
            for start, row in self._windows(waveform)
        ]

    def stream(
        self, *, sample_rate: int | None = None, graph: str | None = None
    ) -> StreamingRecognizer:
        """Begin to listen to sound that comes in blocks.

        Parameters
        ----------
        sample_rate
            Samples a second (Hz) of the sound; None means 16,000.
        graph
            Which of the model's files to run; None means ``stream``, ``stream_int8`` is smaller.

        Returns
        -------
        StreamingRecognizer
            With a memory of its own: any number can listen at once.

        Raises
        ------
        FileNotFoundError
            The model has no such file: it needs whole clips, or was not exported.
        BundleError, TFLiteError
            The file is damaged; see `bundle`.
        """
        return StreamingRecognizer(self.bundle, sample_rate=sample_rate, graph=graph)

    def probabilities(self, waveforms: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Probabilities of clips, (clips, samples) to (clips, labels), one clip at a time."""
        return np.stack([self._hear(waveform) for waveform in waveforms])

    def _windows(self, waveform: audio.Waveform) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Yield the first sample and the probabilities of each window; the last ends the sound."""
        last = max(len(waveform) - self.clip_samples, 0)
        hop = round(WINDOW_HOP * self.sample_rate)
        for start in [*range(0, last, hop), last]:
            yield start, self._hear(waveform[start : start + self.clip_samples])

    def _hear(self, waveform: audio.Waveform) -> npt.NDArray[np.float32]:
        clip = audio.fix_length(waveform, self.clip_samples)
        return self._clip(waveform=clip[None])["probabilities"][0]

    def _prediction(
        self, start: int, end: int, probabilities: npt.NDArray[np.float32], top: int
    ) -> Prediction:
        best = np.argsort(-probabilities, kind="stable")[: max(top, 1)]
        ranked = tuple((self.labels[i], float(probabilities[i])) for i in best)
        label, confidence = ranked[0]
        return Prediction(
            start / self.sample_rate, end / self.sample_rate, label, confidence, ranked
        )


class StreamingRecognizer:
    """A model that listens to a stream, a block at a time; make one with `Recognizer.stream`.

    How the stream is cut into blocks makes no difference to what is heard. It may be used from any
    thread, from one at a time.
    """

    _steps: int
    _waiting: npt.NDArray[np.float32]
    _resampler: soxr.ResampleStream | None

    def __init__(
        self, bundle: Bundle, *, sample_rate: int | None = None, graph: str | None = None
    ) -> None:
        self._step = StreamingRunner(bundle.tflite(graph or "stream"))
        self._hidden = _hidden(self._step.states)
        self.labels = bundle.labels
        self.model_rate = bundle.features.sample_rate
        self.sample_rate = sample_rate or self.model_rate
        self.reset()

    @property
    def step_seconds(self) -> float:
        """Time (s) between two posteriors."""
        return self._step.shape[0] / self.model_rate

    def process(self, samples: npt.ArrayLike) -> list[Posterior]:
        """Hear the next block.

        Parameters
        ----------
        samples
            Any number of them, shape (samples,), float32 in [-1, 1] or int16.

        Returns
        -------
        list of Posterior
            One for each step that the block completes; what is left waits for the next block.

        Raises
        ------
        AudioError
            Not sound: see `audio.as_waveform`. The block is not heard at all, the stream goes on.
        """
        array = np.asarray(samples)
        if array.shape == (0,):
            return []
        waveform = audio.as_waveform(array)
        if self._resampler is not None:
            waveform = self._resampler.resample_chunk(waveform)
        self._waiting = np.concatenate([self._waiting, waveform])
        size = self._step.shape[0]
        n_steps = len(self._waiting) // size
        steps = self._waiting[: n_steps * size].reshape(n_steps, size)
        self._waiting = self._waiting[n_steps * size :]
        return [self._hear(step) for step in steps]

    def influence(self) -> npt.NDArray[np.float32] | None:
        """Measure how much each unit of the state speaks for each label.

        In silence one unit after the other is raised and lowered, and a step is taken: the
        difference of the log-probabilities, less its mean over the labels. (An LSTM's cell is
        moved, not its output, which it would not remember.) The stream itself does not notice.

        Returns
        -------
        ndarray or None
            Shape (units, labels), float32; None if the model has no recurrent layer.
        """
        if self._hidden is None:
            return None
        cell = f"{self._hidden.removesuffix('_h')}_c"
        step = StreamingRunner(self._step.model)
        name = cell if cell in step.states else self._hidden
        silence = np.zeros(step.shape, np.float32)
        for _ in range(SETTLE_STEPS):
            step(silence)
        settled, tensor = step.states, step.model.inputs[name]
        rest = tensor.dequantize(settled[name])
        differences = []
        for unit in range(rest.shape[-1]):
            heard = []
            for change in (EPSILON, -EPSILON):
                moved = rest.copy()
                moved[0, unit] += change
                step.states = {**settled, name: tensor.quantize(moved)}
                heard.append(np.log(np.maximum(step(silence), TINY)))
            differences.append(heard[0] - heard[1])
        effects = np.array(differences, np.float32)
        return effects - effects.mean(axis=1, keepdims=True)

    def reset(self) -> None:
        """Forget what was heard and begin a new stream, at time 0."""
        self._step.reset()
        self._steps = 0
        self._waiting = np.zeros(0, np.float32)
        self._resampler = _resampler(self.sample_rate, self.model_rate)

    def _hear(self, step: npt.NDArray[np.float32]) -> Posterior:
        self._steps += 1
        probabilities = self._step(step)
        state = None
        if self._hidden is not None:
            tensor = self._step.model.outputs[self._hidden]
            state = tensor.dequantize(self._step.states[self._hidden])[0]
        return Posterior(self._steps * self.step_seconds, probabilities, state)


def _hidden(states: Iterable[str]) -> str | None:
    """The output of the last recurrent layer among the names of states, which end in its place."""
    layers = {int(name.split("_")[-2]): name for name in states if name.endswith("_h")}
    return layers[max(layers)] if layers else None


def _resampler(sample_rate: int, target_rate: int) -> soxr.ResampleStream | None:
    """Resample block by block; the low quality reaches its latency of 11 ms and no more."""
    if sample_rate == target_rate:
        return None
    import soxr

    return soxr.ResampleStream(sample_rate, target_rate, 1, dtype="float32", quality="LQ")


def merge(predictions: Sequence[Prediction], *, at_least: int = 2) -> list[Prediction]:
    """Join neighbouring windows of one label: what was said, once.

    A word of up to three quarters of a second lies whole in two windows or more. What a single
    window hears alone is mostly a part of a word that the window's edge has cut, so a run of fewer
    than ``at_least`` windows is left out.

    Returns
    -------
    list of Prediction
        Each with the time from the beginning of its first window to the end of its last, and the
        confidence of its most confident one.
    """
    runs: list[list[Prediction]] = []
    for prediction in predictions:
        if runs and runs[-1][-1].label == prediction.label:
            runs[-1].append(prediction)
        else:
            runs.append([prediction])
    merged = []
    for run in runs:
        if len(run) >= min(at_least, len(predictions)):
            best = max(run, key=lambda p: p.confidence)
            merged.append(
                Prediction(run[0].start, run[-1].end, best.label, best.confidence, best.top)
            )
    return merged
