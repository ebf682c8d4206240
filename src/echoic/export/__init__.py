"""Export: from a network to a family of TFLite files, measured and proven.

graphs.py     clip(), step(), core()     float graphs of a network, the front end inside
quantize.py   float16(), dynamic_int8()  smaller ones: the acoustic part only, never the MFCC
              integer_int8()             integers throughout, for microcontrollers
proof.py      parity(), measure()        do they answer alike? how fast, how large, how often right?
packing.py    pack()                     a graph as bytes, nothing twice, the weights aligned
family.py     export()                   all of it, into a model's folder
c_array.py    c_array()                  a graph as C, for firmware
"""

from echoic.export.family import FILES, PARITY, export, float_graphs, refuse_difference
from echoic.export.graphs import ExportError, clip, core, operations, step
from echoic.export.quantize import dynamic_int8, float16, integer_int8

__all__ = [
    "FILES",
    "PARITY",
    "ExportError",
    "clip",
    "core",
    "dynamic_int8",
    "export",
    "float16",
    "float_graphs",
    "integer_int8",
    "operations",
    "refuse_difference",
    "step",
]
