"""From a network to float32 TFLite graphs, the front end inside.

clip    waveform (1, samples)                       -> probabilities (1, labels)
step    samples (1, stride * hop_length), state_*   -> probabilities (1, labels), state_*
core    frames (1, stride, channels), state_*       -> probabilities (1, labels), state_*

``clip`` and ``step`` take sound, so the features are always those of the training; ``core`` takes
features, for a microcontroller that computes them itself. A state starts at zeros.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from ai_edge_litert.tools import flatbuffer_utils
from keras import ops

from echoic import networks
from echoic.config import FeatureConfig
from echoic.files import quiet_stderr
from echoic.networks.frontend import MFCC
from echoic.networks.streaming import Step
from echoic.runtime.tflite import STATE

FRONT_END = "front_end"
"""Prefix of the names of the front end's tensors, which must not be quantized."""

WAVEFORM_STATE = f"{STATE}waveform"
"""Name of the state that holds the samples which the next frame still sees."""

Shapes = dict[str, tuple[int, ...]]


class ExportError(ValueError):
    """A network could not be converted to a TFLite file that is fit to ship."""


def clip(model: keras.Model, config: FeatureConfig, *, seconds: float = 1.0) -> bytes:
    """Convert a network to a graph for whole clips.

    Parameters
    ----------
    model
        From `networks.build`: (batch, frames, channels) to logits.
    config
        The features that the network was trained on.
    seconds
        Length of a clip (s).

    Returns
    -------
    bytes
        A TFLite file with the signature ``clip``: ``waveform`` (1, samples) float32 to
        ``probabilities`` (1, labels) float32. It holds builtin operations only.

    Raises
    ------
    ExportError
        The graph holds operations that a plain LiteRT does not have.
    ValueError
        The features cannot be computed inside a graph: see `frontend.MFCC`.
    """
    front_end = _front_end(config)

    def run(waveform: Any) -> dict[str, Any]:
        with tf.name_scope(FRONT_END):
            frames = front_end(waveform)
        return {"probabilities": ops.softmax(networks.clip_logits(model(frames, training=False)))}

    n_samples = round(seconds * config.sample_rate)
    return _convert(model, "clip", run, {"waveform": (1, n_samples)})


def step(model: keras.Model, config: FeatureConfig) -> bytes:
    """Convert a streamable network to a graph for one step of a stream.

    Returns
    -------
    bytes
        A TFLite file with the signature ``step``: ``samples`` (1, stride * hop_length) float32 and
        the states to ``probabilities`` (1, labels) and the states after it, under the same names.

    Raises
    ------
    ExportError
        As `clip`.
    ValueError
        As `clip`, or the network needs the whole clip: see `streaming.Step`.
    """
    network, front_end = Step(model), _front_end(config)

    def run(samples: Any, states: dict[str, Any]) -> dict[str, Any]:
        before = {name: states[f"{STATE}{name}"] for name in front_end.states}
        with tf.name_scope(FRONT_END):
            frames, after = front_end.step(samples, before)
        rest = {f"{STATE}{name}": value for name, value in after.items()}
        return {**_step(network, frames, states), **rest}

    states = _states(front_end) | _states(network)
    samples = (1, network.frames * config.hop_length)
    return _convert(model, "step", run, {"samples": samples}, states)


def core(model: keras.Model, *, adjust: Callable[[Any], None] | None = None) -> bytes:
    """Convert a streamable network, without its front end, to a graph for one step.

    Parameters
    ----------
    model
        As `clip`.
    adjust
        Called with the converter before it converts; `quantize.integer_int8` sets it to int8.

    Returns
    -------
    bytes
        A TFLite file with the signature ``step``: ``frames`` (1, stride, channels) float32 and the
        states to ``probabilities`` (1, labels) and the states after it.
    """
    network = Step(model)

    def run(frames: Any, states: dict[str, Any]) -> dict[str, Any]:
        return _step(network, frames, states)

    frames = (1, network.frames, model.input.shape[-1])
    return _convert(model, "step", run, {"frames": frames}, _states(network), adjust)


def _front_end(config: FeatureConfig) -> MFCC:
    """Make the front end, with a name of its own: Keras counts the layers of a process."""
    return MFCC(config, name="mfcc")


def _states(part: Step | MFCC) -> Shapes:
    return {f"{STATE}{name}": shape for name, shape in part.states.items()}


def _step(network: Step, frames: Any, states: dict[str, Any]) -> dict[str, Any]:
    before = {name: states[f"{STATE}{name}"] for name in network.states}
    logits, after = network(frames, before)
    return {
        "probabilities": ops.softmax(logits),
        **{f"{STATE}{name}": value for name, value in after.items()},
    }


def _convert(
    model: keras.Model,
    signature: str,
    run: Callable[..., dict[str, Any]],
    inputs: Shapes,
    states: Shapes | None = None,
    adjust: Callable[[Any], None] | None = None,
) -> bytes:
    """Trace ``run``, convert it, and refuse operations that a plain LiteRT does not have."""

    def spec(shapes: Shapes) -> dict[str, tf.TensorSpec]:
        return {n: tf.TensorSpec(s, tf.float32, name=n) for n, s in shapes.items()}

    archive = keras.export.ExportArchive()
    archive.track(model)  # otherwise the conversion loses the weights silently
    arguments = list(spec(inputs).values()) + ([spec(states)] if states else [])
    archive.add_endpoint(signature, run, input_signature=arguments)
    with tempfile.TemporaryDirectory() as folder, quiet_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter calls its own deprecated functions
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[signature])
        if adjust:
            adjust(converter)
        content = bytes(converter.convert())
    refuse_foreign_operations(content)
    return content


def operations(content: bytes) -> list[str]:
    """Names of the operations in a graph and its subgraphs, sorted."""
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    return sorted(
        {
            flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex) or "CUSTOM"
            for graph in model.subgraphs
            for operator in graph.operators
        }
    )


def refuse_foreign_operations(content: bytes) -> None:
    """Raise an ExportError where a graph holds operations that a plain LiteRT does not have."""
    foreign = [name for name in operations(content) if name in _FOREIGN or "FLEX" in name.upper()]
    if foreign:
        raise ExportError(
            f"Expected builtin TFLite operations only, received {', '.join(foreign)}. A layer of "
            "this model has no TFLite form; build it from the types in networks.LAYERS."
        )


_FOREIGN = {"CUSTOM", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"}
"""Custom operations, and variables, whose values are lost when an interpreter ends."""
