"""Quantization of the acoustic part; the front end's decibels would not survive eight bits.

    float16        weights in half precision, arithmetic in float32
    dynamic int8   weights in int8, activations quantized at run time; states stay float32
    integer int8   everything in int8, states included, with ranges from running streams

benchmarks/quantization.py measures what each loses.
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
"""Regular expression of the names of all tensors but those of the front end."""


def float16(content: bytes) -> bytes:
    """Store the weights of the acoustic part in half precision: half the size."""
    from litert_quantizer.algorithm_manager import AlgorithmName

    return _quantize(
        content,
        lambda q, every: q.add_weight_only_config(
            _ACOUSTIC, every, 16, algorithm_key=AlgorithmName.FLOAT_CASTING
        ),
    )


def dynamic_int8(content: bytes) -> bytes:
    """Store the weights of the acoustic part in int8: a third of the size."""
    return _quantize(content, lambda q, every: q.add_dynamic_config(_ACOUSTIC, every, 8))


def integer_int8(model: keras.Model, streams: Sequence[npt.NDArray[np.float32]]) -> bytes:
    """Convert a network without its front end to one step in int8 throughout, for microcontrollers.

    Parameters
    ----------
    model
        A streamable network.
    streams
        Features of running streams, each (frames, channels), from which the ranges of all
        activations and states are taken. Isolated clips would show only the beginnings of states.

    Returns
    -------
    bytes
        As `graphs.core`, with int8 for float32. Calibration runs every step of the streams, so a
        state has the same range as input and as output, and one scale for both.
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
    """Yield the inputs of each step of running streams, the states included."""
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
    # The quantizer reports sizes on stdout and its progress on stderr.
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
