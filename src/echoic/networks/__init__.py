"""Networks: a table of layers, one step of each, and the MFCC as a layer."""

from echoic.networks.layers import (
    LAYERS,
    STREAMABLE,
    WHISPER_FLOOR,
    add_auxiliary_head,
    answer,
    build,
    streamable,
)
from echoic.networks.storage import load, save

__all__ = [
    "LAYERS",
    "STREAMABLE",
    "WHISPER_FLOOR",
    "add_auxiliary_head",
    "answer",
    "build",
    "load",
    "save",
    "streamable",
]
