"""A TFLite file at work: LiteRT with its mistakes turned into Python errors."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from echoic.files import quiet_stderr


class TFLiteError(ValueError):
    """A file that is not a model of echoic, or cannot be run."""


STATE = "state_"
"""Begins the name of every state among a model's inputs and outputs."""


@dataclass(frozen=True)
class Tensor:
    """An input or an output: its shape, its dtype and, of integers, what they stand for.

    A value is ``scale * (integer - zero_point)``; of floats, ``scale`` is 0.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero_point: int

    def quantize(self, values: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """Return real values as the model takes them, clipped to the range of its integers."""
        if self.dtype.kind == "f":
            return values.astype(self.dtype, copy=False)
        limits = np.iinfo(self.dtype)
        integers = np.rint(values / self.scale) + self.zero_point
        return np.clip(integers, limits.min, limits.max).astype(self.dtype)

    def dequantize(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return the real values of what the model gave."""
        if self.dtype.kind == "f":
            return values
        return np.asarray(self.scale * (values.astype(np.float32) - self.zero_point), np.float32)


class TFLiteModel:
    """One TFLite file, loaded; safe to call from several threads.

    Parameters
    ----------
    path
        The file.
    signature
        Name of the function in it; None means the only one.

    Attributes
    ----------
    inputs, outputs
        A `Tensor` for each, by name.

    Raises
    ------
    TFLiteError
        Truncated, not TFLite, or without that function.
    """

    def __init__(self, path: str | Path, *, signature: str | None = None) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.path = Path(path)
        content = self.path.read_bytes()
        if content[4:8] != b"TFL3":
            raise TFLiteError(
                f"Expected {self.path} to be a TFLite file, received {len(content):,} bytes that "
                "do not begin like one."
            )
        try:
            with quiet_stderr():
                self._interpreter = Interpreter(model_content=content, num_threads=1)
                self._interpreter.allocate_tensors()
                self._run = self._interpreter.get_signature_runner(signature)
        except (ValueError, RuntimeError) as error:
            raise TFLiteError(
                f"{self.path} cannot be run as {signature or 'a model'!r}; it is damaged, was not "
                f"written by echoic, or needs a newer LiteRT: {error}"
            ) from error
        self.inputs = _tensors(self._run.get_input_details())
        self.outputs = _tensors(self._run.get_output_details())
        self._expected = {name: (t.shape, t.dtype) for name, t in self.inputs.items()}
        self._lock = threading.Lock()

    def __call__(self, **arrays: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """Run the function once on named arrays; the result is a copy, yours to keep.

        Raises
        ------
        ValueError
            An input of another name, shape or dtype than the model's: LiteRT would crash on some.
        """
        received = {name: (a.shape, a.dtype) for name, a in arrays.items()}
        if received != self._expected:
            raise ValueError(f"Expected the inputs {self._expected}, received {received}.")
        with self._lock:
            return {name: np.array(value) for name, value in self._run(**arrays).items()}


class StreamingRunner:
    """A model that takes a step at a time, and the states that each step hands to the next.

    Parameters
    ----------
    model
        With one input, ``samples`` or ``frames``, beside its states.

    Raises
    ------
    TFLiteError
        The model takes whole clips.
    """

    def __init__(self, model: TFLiteModel) -> None:
        if "waveform" in model.inputs:
            raise TFLiteError(
                f"Expected a file that takes a stream step by step, received {model.path}, which "
                "takes whole clips. Files for streams are stream and stream_int8."
            )
        self.model = model
        (self.input,) = (name for name in model.inputs if not name.startswith(STATE))
        self.reset()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what a step takes, without the batch."""
        return self.model.inputs[self.input].shape[1:]

    def reset(self) -> None:
        """Forget everything: the states become zeros."""
        self.states = {
            name: tensor.quantize(np.zeros(tensor.shape, np.float32))
            for name, tensor in self.model.inputs.items()
            if name.startswith(STATE)
        }

    def __call__(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Take a step: (samples,) or (frames, channels) float32 to probabilities (labels,)."""
        given = self.model.inputs[self.input].quantize(x[None])
        after = self.model(**{self.input: given}, **self.states)
        probabilities = after.pop("probabilities")
        self.states = after
        return self.model.outputs["probabilities"].dequantize(probabilities)[0]


def _tensors(details: dict[str, Any]) -> dict[str, Tensor]:
    tensors = {}
    for name, detail in details.items():
        scales = detail["quantization_parameters"]["scales"]
        points = detail["quantization_parameters"]["zero_points"]
        tensors[name] = Tensor(
            tuple(int(n) for n in detail["shape"]),
            np.dtype(detail["dtype"]),
            float(scales[0]) if len(scales) else 0.0,
            int(points[0]) if len(points) else 0,
        )
    return tensors
