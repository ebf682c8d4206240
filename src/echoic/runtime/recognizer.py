"""The recognizer: sound in, words out. It runs the TFLite files and needs no TensorFlow.

recognizer = Recognizer("gru-12")
for prediction in recognizer.predict("command.wav"):
    print(prediction.label, prediction.confidence)

stream = recognizer.stream()
for block in microphone:
    for posterior in stream.process(block):
        print(posterior.time, posterior.probabilities)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from echoic import audio
from echoic.audio import SAMPLE_RATE, Resampler, Waveform
from echoic.labels import SILENCE
from echoic.runtime.bundle import Bundle, BundleError
from echoic.runtime.tflite import StreamingRunner, TFLiteModel

Model = Bundle | str | Path | None
"""What names a model: its folder, read or not; the name of one; None for the default model."""

SHORT_CLIPS = 1.25
"""Length (clips) up to which a recording is taken for one word."""

WINDOW_HOP = 0.25
"""Distance (s) between the windows of a recording that is longer than a clip."""

SETTLE_STEPS = 25
"""Steps of silence before a unit's influence is measured."""

EPSILON = 0.25
"""How far a unit is moved to measure its influence."""

TINY = 1e-30
"""Least probability of which a logarithm is taken."""


@dataclass(frozen=True)
class Prediction:
    """The label of one stretch of a recording.

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
    """Probabilities after one step of a stream.

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


@runtime_checkable
class Block(Protocol):
    """A stretch of a source's sound, such as `microphone.Block`."""

    @property
    def samples(self) -> Waveform:
        """Mono, 16,000 Hz, (samples,)."""

    @property
    def time(self) -> float:
        """Time of the first sample (s)."""

    @property
    def gap(self) -> bool:
        """Whether sound is missing before it."""


class Recognizer:
    """A trained model that names the words in recordings and streams.

    A file of the model is read when it is first needed: ``clip.tflite`` by `predict`,
    ``stream.tflite`` by `stream`. Several threads may use one recognizer.

    Parameters
    ----------
    model
        A model's folder, the name of one in ``models/`` or of one that ships with echoic, or a
        `Bundle`; None means the default model, ``gru-12``.

    Attributes
    ----------
    bundle : Bundle
        The model's folder.

    Raises
    ------
    FileNotFoundError
        There is no such model.
    BundleError
        The folder is damaged.
    TypeError
        Something else than names a model.
    """

    def __init__(self, model: Model = None) -> None:
        self.bundle = _load(model)

    def __repr__(self) -> str:
        files = sorted(path.stem for path in self.bundle.path.glob("*.tflite"))
        path = str(self.bundle.path)
        return f"Recognizer({path!r}, labels=[{', '.join(self.labels)}], files={files})"

    @classmethod
    def load(cls, model: Model = None) -> Recognizer:
        """Load a model: the same as ``Recognizer(model)``."""
        return cls(model)

    @cached_property
    def _clip(self) -> TFLiteModel:
        return self.bundle.tflite("clip")

    @property
    def clip_samples(self) -> int:
        """Samples of a clip, the model's input."""
        return int(self._clip.inputs["waveform"].shape[-1])

    @property
    def labels(self) -> tuple[str, ...]:
        """What the model can answer, in the order of its outputs."""
        return self.bundle.labels

    @property
    def sample_rate(self) -> int:
        """The model's sample rate (Hz)."""
        return self.bundle.features.sample_rate

    def predict(
        self,
        waveform_or_path: npt.ArrayLike | str | Path,
        sample_rate: int | None = None,
        *,
        windows: bool = False,
        top: int = 3,
    ) -> list[Prediction]:
        """Name the words in a recording.

        A recording of up to a clip and a quarter (1.25 s) gets one label. A longer one is
        classified in windows of a clip, a quarter of a second apart; neighbouring windows of the
        same label become one word, see `merge`.

        Parameters
        ----------
        waveform_or_path
            Samples of shape (samples,), float32 in [-1, 1] or int16; or a file.
        sample_rate
            Samples a second (Hz) of the samples; None means 16,000. A file states its own.
        windows
            Return the label of each window instead of words.
        top
            How many labels each prediction lists.

        Returns
        -------
        list of Prediction
            One for a short recording. For a longer one its words in order, without
            ``_silence_``; the list may be empty. With ``windows`` one for each window.

        Raises
        ------
        FileNotFoundError
            There is no such file, or the model has no ``clip.tflite``.
        BundleError, TFLiteError
            ``clip.tflite`` is damaged.
        AudioError
            Not sound: see `audio.read` and `audio.as_waveform`.
        """
        if isinstance(waveform_or_path, str | Path):
            waveform = audio.read(waveform_or_path, sample_rate=self.sample_rate)
        else:
            waveform = audio.as_waveform(
                waveform_or_path, sample_rate=sample_rate, target_rate=self.sample_rate
            )
        heard = [
            self._prediction(start, min(start + self.clip_samples, len(waveform)), row, top)
            for start, row in self._windows(waveform)
        ]
        if windows:
            return heard
        if len(waveform) <= SHORT_CLIPS * self.clip_samples:
            words = [p for p in heard if p.label != SILENCE] or heard
            best = max(words, key=lambda p: p.confidence)
            return [dataclasses.replace(best, start=0.0, end=len(waveform) / self.sample_rate)]
        return [p for p in merge(heard) if p.label != SILENCE]

    def stream(
        self, *, sample_rate: int | None = None, file: str = "stream"
    ) -> StreamingRecognizer:
        """Begin to listen to sound that comes in blocks.

        Parameters
        ----------
        sample_rate
            Samples a second (Hz) of the sound; None means 16,000.
        file
            Which of the model's TFLite files to run: ``stream``, or ``stream_int8``, which is
            smaller.

        Returns
        -------
        StreamingRecognizer
            With a memory of its own: any number can listen at once.

        Raises
        ------
        FileNotFoundError
            The model has no such file: it needs whole clips, or was not exported.
        BundleError, TFLiteError
            The file is damaged; see `Bundle.tflite`.
        """
        return StreamingRecognizer(self.bundle, sample_rate=sample_rate, file=file)

    def probabilities(self, waveforms: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Probabilities of clips, (clips, samples) to (clips, labels), one clip at a time."""
        return np.stack([self._classify(waveform) for waveform in waveforms])

    def _windows(self, waveform: audio.Waveform) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """Yield the first sample and the probabilities of each window; the last ends the sound."""
        last = max(len(waveform) - self.clip_samples, 0)
        hop = round(WINDOW_HOP * self.sample_rate)
        for start in [*range(0, last, hop), last]:
            yield start, self._classify(waveform[start : start + self.clip_samples])

    def _classify(self, waveform: audio.Waveform) -> npt.NDArray[np.float32]:
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

    The posteriors do not depend on how the stream is cut into blocks, and a stream of another rate
    has those of a file of that rate. Any thread may use it, one at a time.

    Parameters
    ----------
    model, sample_rate, file
        See `Recognizer` and `Recognizer.stream`.

    Attributes
    ----------
    labels : tuple of str
        In the order of the probabilities.
    sample_rate, model_rate : int
        Sample rate (Hz) of the blocks, and of the model.
    delay : float
        Longest time (s) that a sample waits in the resampler; 0 at the model's rate.
    """

    _steps: int
    _start: float
    _waiting: Waveform

    def __init__(
        self, model: Model = None, *, sample_rate: int | None = None, file: str = "stream"
    ) -> None:
        bundle = _load(model)
        self._name = f"{bundle.path}/{file}.tflite"
        self._step = StreamingRunner(bundle.tflite(file))
        self._hidden = _hidden(self._step.states)
        self.labels = bundle.labels
        self.model_rate = bundle.features.sample_rate
        self.sample_rate = self.model_rate if sample_rate is None else sample_rate
        self._resampler = Resampler(self.sample_rate, self.model_rate)
        self.delay = self._resampler.delay
        self.reset()

    def __repr__(self) -> str:
        return f"StreamingRecognizer({self._name!r}, sample_rate={self.sample_rate})"

    @property
    def step_seconds(self) -> float:
        """Time (s) between two posteriors."""
        return self._step.shape[0] / self.model_rate

    def process(self, samples: npt.ArrayLike | Block) -> list[Posterior]:
        """Process the next block.

        Parameters
        ----------
        samples
            Shape (samples,), any number, float32 in [-1, 1] or int16; or a `microphone.Block`,
            which has 16,000 Hz. A block with a ``gap`` resets the stream and sets its clock to the
            block's time.

        Returns
        -------
        list of Posterior
            One for each step that the block completes; what is left waits for the next block.

        Raises
        ------
        AudioError
            The samples are no waveform, see `audio.as_waveform`. The block is skipped and the
            stream continues.
        ValueError
            A block, and the stream has not 16,000 Hz.
        """
        block = samples if isinstance(samples, Block) else None
        if block is not None and self.sample_rate != SAMPLE_RATE:
            raise ValueError(
                f"Expected samples at {self.sample_rate:,} Hz, received a block, which has "
                f"{SAMPLE_RATE:,} Hz. Make the stream with sample_rate={SAMPLE_RATE}."
            )
        array = np.asarray(samples if block is None else block.samples)
        if array.shape == (0,):
            return []
        waveform = audio.as_waveform(array)
        if block is not None and block.gap:
            self.reset()
            self._start = block.time
        return self._take(self._resampler.process(waveform))

    def flush(self) -> list[Posterior]:
        """End the stream: process what the resampler holds back.

        Returns
        -------
        list of Posterior
            Empty at the model's rate. A last incomplete step has no posterior. Call `reset`
            before another stream.
        """
        return self._take(self._resampler.flush())

    def _take(self, waveform: Waveform) -> list[Posterior]:
        self._waiting = np.concatenate([self._waiting, waveform])
        size = self._step.shape[0]
        n_steps = len(self._waiting) // size
        steps = self._waiting[: n_steps * size].reshape(n_steps, size)
        self._waiting = self._waiting[n_steps * size :]
        return [self._advance(step) for step in steps]

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
            outputs = []
            for change in (EPSILON, -EPSILON):
                moved = rest.copy()
                moved[0, unit] += change
                step.states = {**settled, name: tensor.quantize(moved)}
                outputs.append(np.log(np.maximum(step(silence), TINY)))
            differences.append(outputs[0] - outputs[1])
        effects = np.array(differences, np.float32)
        return effects - effects.mean(axis=1, keepdims=True)

    def reset(self) -> None:
        """Reset the states and begin a new stream at time 0."""
        self._step.reset()
        self._resampler.reset()
        self._steps = 0
        self._start = 0.0
        self._waiting = np.zeros(0, np.float32)

    def _advance(self, step: npt.NDArray[np.float32]) -> Posterior:
        self._steps += 1
        probabilities = self._step(step)
        state = None
        if self._hidden is not None:
            tensor = self._step.model.outputs[self._hidden]
            state = tensor.dequantize(self._step.states[self._hidden])[0]
        time = self._start + self._steps * self.step_seconds
        return Posterior(time, probabilities, state)


def _load(model: Model) -> Bundle:
    """Read a model's folder, whatever names it."""
    if isinstance(model, Bundle):
        return model
    if model is not None and not isinstance(model, str | Path):
        raise TypeError(
            f"Expected a model's name, its folder, a Bundle or None, received {model!r} of type "
            f"{type(model).__name__}. Name one, such as Recognizer('gru-12')."
        )
    if model is not None and Path(model).is_file():
        raise BundleError(
            f"Expected a model's folder, received the file {model}. Name the folder that it is in, "
            f"{str(Path(model).parent)!r}."
        )
    return Bundle.load(model)


def _hidden(states: Iterable[str]) -> str | None:
    """The output of the last recurrent layer among the names of states, which end in its place."""
    layers = {int(name.split("_")[-2]): name for name in states if name.endswith("_h")}
    return layers[max(layers)] if layers else None


def merge(predictions: Sequence[Prediction], *, at_least: int = 2) -> list[Prediction]:
    """Join neighbouring windows of the same label into one prediction.

    A word of up to three quarters of a second lies whole in two windows or more. A label that only
    one window has is mostly a part of a word cut by the window's edge, so runs of fewer than
    ``at_least`` windows are left out.

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
