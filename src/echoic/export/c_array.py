"""A graph as C source for firmware: its bytes, and its operations for a resolver."""

from __future__ import annotations

from echoic.export.graphs import operations

_BYTES_A_LINE = 16


def c_array(content: bytes, *, name: str) -> tuple[str, str]:
    """Return a header and a source for LiteRT for Microcontrollers (TFLite Micro).

    Parameters
    ----------
    content
        A TFLite file; `quantize.integer_int8` makes one that a microcontroller can run.
    name
        Name of the array, a C identifier.

    Returns
    -------
    header, source
        ``NAME.h`` with the length and a function that adds the graph's operations to a
        ``tflite::MicroMutableOpResolver``; ``NAME.cc`` with the bytes.
    """
    if not name.isidentifier():
        raise ValueError(f"Expected the name of a C array, received {name!r}. Give a C identifier.")
    calls = [f"Add{_camel(operation)}" for operation in operations(content)]
    header = f"""\
// Made by echoic. Inputs, outputs and their scales are in the file itself; see echoic.json for the
// features that it expects and labels.txt for the order of its outputs.
#pragma once
#include <cstddef>

extern const unsigned char {name}[];
constexpr std::size_t {name}_length = {len(content)};
constexpr int {name}_operations = {len(calls)};

// tflite::MicroMutableOpResolver<{name}_operations> resolver;
// add_{name}_operations(resolver);
template <typename Resolver>
void add_{name}_operations(Resolver& resolver) {{
{chr(10).join(f"  resolver.{call}();" for call in calls)}
}}
"""
    lines = [
        "  " + " ".join(f"0x{byte:02x}," for byte in content[i : i + _BYTES_A_LINE])
        for i in range(0, len(content), _BYTES_A_LINE)
    ]
    source = (
        f'#include "{name}.h"\n\nalignas(16) extern const unsigned char {name}[] = {{\n'
        + "\n".join(lines)
        + "\n};\n"
    )
    return header, source


def _camel(operation: str) -> str:
    """FULLY_CONNECTED to FullyConnected, CONV_2D to Conv2D."""
    return "".join(p if p[0].isdigit() else p.capitalize() for p in operation.split("_"))
