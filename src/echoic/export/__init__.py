"""Export: from a network to a family of TFLite files, verified and measured.

graphs.py     clip(), step(), core()     float32 graphs of a network, the front end inside
quantize.py   float16(), dynamic_int8()  smaller graphs: the acoustic part only, never the front end
              integer_int8()             integers throughout, for microcontrollers
verify.py     figures()                  parity with the network, accuracy, latency, memory
packing.py    pack()                     a graph as bytes: no duplicates, aligned weights
golden.py    compute(), check()         posteriors and detections, for other implementations
family.py     export()                   all of it, into a model's folder
c_array.py    c_array()                  a graph as C source, for firmware
listen.py                                the script that goes into a model's folder
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
