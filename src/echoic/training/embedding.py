"""A teacher that has heard many more people: Google's speech embedding, and a head trained here.

    waveform (samples,)
      -> log_mel     (132, 32)   frames of 25 ms every 10 ms, 60 to 3,800 Hz
      -> embedding   (8, 96)     each of 775 ms, every 80 ms: the frozen convolutions
      -> head        (labels,)   what is trained, on the clips that the student hears

The convolutions learned to tell thousands of words in other recordings (Lin et al. 2020, "Training
keyword spotters with limited and synthesized speech data"); Google gives them away under
Apache-2.0, and they come with the package pyopen-wakeword. Nothing but training needs them: a
student has learned from their answers and runs without.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers
from scipy.special import softmax

from echoic.audio import SAMPLE_RATE

HEAD, FILE = "head.keras", "teacher.json"
"""What makes a folder such a teacher's."""

SHAPE = (8, 96)
"""Embeddings of a clip of a second."""

BLOCK = 16
"""Clips that go through the features together: as many as stay in a processor's cache."""

_FFT, _WINDOW, _HOP = 512, 400, 160
_BEFORE, _AFTER = 3840, 1632
"""Zeros around a clip: the first embedding ends, and the last begins, where little is said."""


class SpeechEmbedding:
    """The frozen convolutions; several threads may call one.

    Raises
    ------
    ModuleNotFoundError
        pyopen-wakeword, which brings them, is not installed.
    """

    def __init__(self) -> None:
        import pyopen_wakeword

        self._file = Path(pyopen_wakeword.__file__).parent / "models" / "embedding_model.tflite"
        self._local = threading.local()

    def __call__(self, waveforms: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Clips of a second, (clips, 16,000), to embeddings, (clips, 8, 96)."""
        blocks = (waveforms[i : i + BLOCK] for i in range(0, len(waveforms), BLOCK))
        heard = (frames[None, ..., None] for block in blocks for frames in log_mel(block))
        return np.concatenate([self._run(frames) for frames in heard])

    def _run(self, log_mels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        interpreter = self._interpreter(log_mels.shape)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], log_mels)
        interpreter.invoke()
        (output,) = interpreter.get_output_details()
        return np.asarray(interpreter.get_tensor(output["index"])).reshape(len(log_mels), *SHAPE)

    def _interpreter(self, shape: Sequence[int]) -> Any:
        """Return this thread's own: an interpreter is one caller's at a time."""
        if not hasattr(self._local, "interpreter"):
            from ai_edge_litert.interpreter import Interpreter

            interpreter = Interpreter(str(self._file), num_threads=1)
            interpreter.resize_tensor_input(0, shape)
            interpreter.allocate_tensors()
            self._local.interpreter = interpreter
        return self._local.interpreter


def log_mel(waveforms: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return what the convolutions were trained on: (clips, samples) to (clips, frames, 32).

    Not echoic's features: windows in the middle of their frames, a floor 80 dB below the loudest
    band of the clip, and levels of 16-bit samples.
    """
    import librosa

    padded = np.pad(waveforms * np.float32(32767), ((0, 0), (_BEFORE, _AFTER)))
    spectrum = librosa.stft(padded, n_fft=_FFT, hop_length=_HOP, win_length=_WINDOW, center=False)
    power = np.swapaxes(librosa.util.abs2(spectrum), -1, -2) @ _mel_filters()
    decibels = librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None)
    floors = decibels.max(axis=(1, 2), keepdims=True) - 80
    return np.asarray(np.maximum(decibels, floors) / 10 + 2, dtype=np.float32)


@lru_cache(maxsize=1)
def _mel_filters() -> npt.NDArray[np.float32]:
    from librosa.filters import mel

    return np.ascontiguousarray(
        mel(sr=SAMPLE_RATE, n_fft=_FFT, n_mels=32, fmin=60.0, fmax=3800.0).T
    )


def build_head(
    *, n_labels: int, n_words: int, mean: npt.NDArray[Any], variance: npt.NDArray[Any]
) -> tuple[keras.Model, keras.Model]:
    """Build what is trained: embeddings, (clips, 8, 96), to the logits of the labels.

    Returns
    -------
    head, learner
        The learner names the word itself beside the label, as the student will.
    """

    embeddings = keras.Input(SHAPE, name="embeddings")
    x = layers.Normalization(mean=mean, variance=variance)(embeddings)
    x = layers.Conv1D(192, 3, padding="same", use_bias=False)(layers.SpatialDropout1D(0.1)(x))
    x = layers.Dropout(0.2)(layers.ReLU()(layers.BatchNormalization()(x)))
    memory = layers.GRU(128, return_sequences=True, unroll=True)
    x = layers.Bidirectional(memory)(x)
    x = layers.Concatenate()([layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)])
    x = layers.Dense(256, activation="relu")(layers.Dropout(0.4)(x))
    x = layers.Dropout(0.4)(x)
    labels = layers.Dense(n_labels, name="labels")(x)
    words = layers.Dense(n_words, name="words")(x)
    return keras.Model(embeddings, labels), keras.Model(embeddings, [labels, words])


class EmbeddingTeacher:
    """A trained head on the frozen convolutions; it expects batches of ``batch_size`` clips.

    Raises
    ------
    FileNotFoundError
        The folder holds no such teacher.
    ModuleNotFoundError
        pyopen-wakeword is not installed.
    """

    def __init__(self, folder: Path, *, batch_size: int = 1) -> None:
        self.labels = tuple(json.loads((folder / FILE).read_text(encoding="utf-8"))["labels"])
        self._embed = SpeechEmbedding()
        self._head = keras.saving.load_model(folder / HEAD, compile=False, safe_mode=True)
        # What is compiled here, on one thread, is only called on the others.
        self._head.predict_on_batch(np.zeros((batch_size, *SHAPE), dtype=np.float32))

    def __call__(self, waveforms: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Clips of a second, (clips, 16,000), to probabilities, (clips, labels)."""
        return softmax(self._head.predict_on_batch(self._embed(waveforms)), axis=-1)
