"""Networks: a table of layers, one step of each, and the MFCC as a layer."""

from echoic.networks.layers import (
    LAYERS,
    STREAMABLE,
    WHISPER_FLOOR,
    add_auxiliary_head,
    answer,
    answers_each_step,
    build,
    check,
    check_table,
    streamable,
    stride,
)
from echoic.networks.storage import load, save

__all__ = [
    "LAYERS",
    "STREAMABLE",
    "WHISPER_FLOOR",
    "add_auxiliary_head",
    "answer",
    "answers_each_step",
    "build",
    "check",
    "check_table",
    "load",
    "save",
    "streamable",
    "stride",
]
