"""Smaller graphs, the acoustic part only: the MFCC's decibels would not survive eight bits.

    float16        weights in half precision, arithmetic in float32
    dynamic int8   weights in int8, activations quantized as they come; states stay float32
    integer int8   everything in int8, states included, with ranges from running streams

Which way loses what was measured once, by benchmarks/quantization.py; docs/export.md has the table.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from echoic.export import graphs
from echoic.files import quiet_stderr
from echoic.runtime.tflite import StreamingRunner, TFLiteModel

_ACOUSTIC = rf"^(?!.*({graphs.FRONT_END}|{graphs.WAVEFORM_STATE})).*$"
"""Matches the names of all tensors but those of the front end."""


def float16(content: bytes) -> bytes:
    """Half the size: weights of the acoustic part in half precision."""
    from litert_quantizer.algorithm_manager import AlgorithmName

    return _quantize(
        content,
        lambda q, every: q.add_weight_only_config(
            _ACOUSTIC, every, 16, algorithm_key=AlgorithmName.FLOAT_CASTING
        ),
    )


def dynamic_int8(content: bytes) -> bytes:
    """A third of the size: weights in int8, the acoustic part's activations as they come."""
    return _quantize(content, lambda q, every: q.add_dynamic_config(_ACOUSTIC, every, 8))


def integer_int8(model: keras.Model, streams: Sequence[npt.NDArray[np.float32]]) -> bytes:
    """A graph for one step without its front end, in int8 throughout, as microcontrollers want it.

    Parameters
    ----------
    model
        A streamable network.
    streams
        Coefficients of running streams, each (frames, n_mfcc): the ranges of all activations and
        states are taken from them. Isolated clips would know only the beginnings of states.

    Returns
    -------
    bytes
        As `graphs.core`, with int8 for float32. Every step of the streams is heard, so a state
        going in has the range of the state that came out, and one scale does for both.
    """
    steps = list(_running(graphs.core(model), streams))

    def adjust(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (("step", step) for step in steps)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8

    return graphs.core(model, adjust=adjust)


def _running(
    content: bytes, streams: Sequence[npt.NDArray[np.float32]]
) -> Iterator[dict[str, npt.NDArray[np.float32]]]:
    """Yield inputs of a graph for one step, states among them, as they are in running streams."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "core.tflite"
        path.write_bytes(content)
        step = StreamingRunner(TFLiteModel(path))
        for stream in streams:
            step.reset()
            n_steps = len(stream) // step.shape[0]
            for x in stream[: n_steps * step.shape[0]].reshape(n_steps, *step.shape):
                yield {step.input: x[None], **step.states}
                step(x)


def _quantize(content: bytes, add: Callable[[Any, Any], None]) -> bytes:
    from litert_quantizer.qtyping import TFLOperationName
    from litert_quantizer.quantizer import Quantizer

    quantizer = Quantizer(content)
    add(quantizer, TFLOperationName.ALL_SUPPORTED)
    # It reports sizes on stdout and its progress on stderr.
    with (
        warnings.catch_warnings(),
        quiet_stderr(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        result = bytes(quantizer.quantize().quantized_model)
    graphs.refuse_foreign_operations(result)
    return result
