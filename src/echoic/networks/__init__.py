"""Networks: a table of layers with their one-step forms, and the features as a layer.

layers.py      LAYERS, STEPS         the types of rows in a recipe's table
pretrained.py  speech_embedding()    encoders that others have trained
build.py       check(), build()      from a table to a Keras model
streaming.py   Step                  one step of a network, with explicit states
frontend.py    MFCC                  the features inside a graph
storage.py     load(), save()        model.keras
"""

from echoic.networks.build import (
    add_auxiliary_head,
    build,
    check,
    check_table,
    clip_logits,
    outputs_each_step,
    streamable,
    stride,
)
from echoic.networks.layers import LAYERS, STATELESS, STREAMABLE
from echoic.networks.storage import load, save

__all__ = [
    "LAYERS",
    "STATELESS",
    "STREAMABLE",
    "add_auxiliary_head",
    "build",
    "check",
    "check_table",
    "clip_logits",
    "load",
    "outputs_each_step",
    "save",
    "streamable",
    "stride",
]
