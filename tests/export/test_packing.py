"""Files as bytes: nothing twice, the weights aligned, no answer changed."""

from collections import defaultdict

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from echoic.export import FILES, packing
from echoic.runtime.tflite import StreamingRunner, TFLiteModel

BUFFER_DATA, ZERO_POINT = 4, 10
"""Where a table says where these are: the first field of a buffer, the fourth of a quantization."""


def places(content):
    """Where in a file the contents of its buffers begin."""
    model = schema.Model.GetRootAs(content, 0)
    tables = [model.Buffers(i) for i in range(model.BuffersLength())]
    return [t._tab.Vector(t._tab.Offset(BUFFER_DATA)) for t in tables if t.DataLength()]


@pytest.fixture(scope="module")
def core(family):
    """A quantized file as the generated code writes it, and as `packing.pack` does."""
    content = (family.path / "core_int8.tflite").read_bytes()
    graph = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    return bytes(flatbuffer_utils.convert_object_to_bytearray(graph)), packing.pack(graph)


@pytest.mark.parametrize("name", FILES)
def test_weights_are_aligned_as_the_schema_demands(family, name):
    begins = places((family.path / f"{name}.tflite").read_bytes())
    assert len(begins) > 3
    assert not any(place % packing.ALIGNMENT for place in begins)


def test_so_are_those_of_the_models_that_ship(root):
    files = sorted(root.glob("models/*/*.tflite"))
    assert len(files) > 25
    for file in files:
        begins = places(file.read_bytes())
        assert not any(place % packing.ALIGNMENT for place in begins), file


def test_the_generated_code_alone_forgets_the_alignment(core):
    plain, packed = core
    assert any(place % packing.ALIGNMENT for place in places(plain))
    assert not any(place % packing.ALIGNMENT for place in places(packed))


def test_equal_vectors_are_written_once(core):
    plain, packed = core
    for content, often in ((plain, True), (packed, False)):
        places = defaultdict(set)
        for quantization in quantizations(content):
            place = quantization._tab.Vector(quantization._tab.Offset(ZERO_POINT))
            places[quantization.ZeroPointAsNumpy().tobytes()].add(place)
        assert any(len(found) > 1 for found in places.values()) == often
    assert len(packed) < len(plain)


def quantizations(content):
    graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    found = [graph.Tensors(i).Quantization() for i in range(graph.TensorsLength())]
    return [q for q in found if q and q.ZeroPointLength()]


def test_no_answer_changes(core, tmp_path):
    answers = []
    for number, content in enumerate(core):
        path = tmp_path / f"{number}.tflite"
        path.write_bytes(content)
        step = StreamingRunner(TFLiteModel(path))
        frames = np.random.default_rng(0).normal(0, 40, (50, *step.shape)).astype(np.float32)
        answers.append(np.stack([step(x) for x in frames]))
    np.testing.assert_array_equal(*answers)
