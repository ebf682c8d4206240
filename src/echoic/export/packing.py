"""TFLite files as bytes: nothing twice, and the weights aligned as the schema demands."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy.typing as npt

IDENTIFIER = b"TFL3"
"""Of TFLite's flatbuffers, in ``schema.fbs``."""

ALIGNMENT = 16
"""Of a buffer's content in bytes, as ``schema.fbs`` demands (``force_align: 16``)."""


def pack(graph: Any) -> bytes:
    """Return a graph of TFLite's object API (``ModelT``) as a file's content.

    The generated ``Pack`` alone writes the zero points of each quantized tensor, eight zeros a
    channel, as often as there are tensors: a tenth of a small network. It also forgets the
    alignment: weights come to lie at multiples of four bytes only, and a kernel may count on more.
    """
    builder = _Builder(1024)
    builder.Finish(graph.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


class _Builder(flatbuffers.Builder):
    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: npt.NDArray[Any]) -> int:
        key = (x.dtype.str, x.tobytes())
        if key not in self._written:
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:
        # Elements of one byte are the contents of buffers; what they stand for may be wider.
        return super().StartVector(elemSize, numElems, alignment if elemSize > 1 else ALIGNMENT)
