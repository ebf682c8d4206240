"""The whole family: made, proven, measured, and each file run."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from echoic import audio, export, features
from echoic.config import FeatureConfig
from echoic.export import verify
from echoic.runtime.bundle import Bundle
from echoic.runtime.decoder import Decoder
from echoic.runtime.recognizer import Recognizer
from echoic.runtime.tflite import StreamingRunner, TFLiteError, TFLiteModel


def test_all_files_are_there_each_with_its_fingerprint_and_figures(family, tiny_model):
    assert {p.stem for p in family.path.glob("*.tflite")} == set(export.FILES)
    assert set(family.fingerprints) == set(export.FILES)
    assert set(family.files.measured) == set(export.FILES)
    for name in export.FILES:
        assert family.tflite(name)
    assert {"labels.txt", "echoic.json", "README.md", "model.keras", "listen.py"} <= {
        p.name for p in family.path.iterdir()
    }
    assert not (tiny_model / "clip_int8.tflite").exists()


def test_a_file_that_loses_too_much_is_not_kept(family, sample, tmp_path, monkeypatch, caplog):
    files = {path.stem: path.read_bytes() for path in family.path.glob("*.tflite")}
    lost = {"clip_int8": -0.147, "core_int8": -0.06, "stream_int8": -0.05}
    measured = {
        name: replace(figures, difference=lost.get(name, figures.difference))
        for name, figures in family.files.measured.items()
    }
    monkeypatch.setattr(export.family, "LEAST_CLIPS", 1)
    for owner, name, result in (
        (export.family, "float_graphs", {name: files[name] for name in ("clip", "stream")}),
        (export.family.quantize, "integer_int8", files["core_int8"]),
        (export.family, "_measure", measured),
    ):
        monkeypatch.setattr(owner, name, lambda *_, result=result, **__: result)
    bundle = export.export(family.path, out=tmp_path / "tiny", data=sample)
    assert "No clip_int8.tflite: it would lose 14.7 points" in caplog.text
    card = (bundle.path / "README.md").read_text("utf-8")
    for name in ("clip_int8", "core_int8"):
        assert not (bundle.path / f"{name}.tflite").exists()
        assert f"{name}.tflite" not in card
    assert "`clip_float16.tflite` | the same, smaller" in card
    assert "would lose too many points: `clip_int8` (-14.7), `core_int8` (-6.0)." in card
    left = set(export.FILES) - {"clip_int8", "core_int8"}
    assert set(bundle.fingerprints) == set(bundle.files.measured) == left
    assert bundle.files.left_out == {"clip_int8": -0.147, "core_int8": -0.06}
    measured["core_int8"] = replace(family.files.measured["core_int8"], difference=-0.06)
    with pytest.raises(export.ExportError, match="Expected a core_int8"):
        export.export(family.path, out=tmp_path / "c", data=sample, with_c_array=True)


def test_the_figures_are_those_of_the_files(exported, sample):
    family, said = exported
    rows = said["measured"]
    assert rows == family.files.to_dict()["measured"]
    for name, row in rows.items():
        path = family.path / f"{name}.tflite"
        assert row["size"] == path.stat().st_size
        assert 0 <= row["accuracy"] <= 1
        assert row["p99_latency"] >= row["median_latency"] > 0
        assert (row["late_agreement"] is None) == name.startswith("clip")
        assert row["seconds"] == (1.0 if name.startswith("clip") else 0.04)
    assert rows["clip"]["largest_difference"] <= export.PARITY
    assert rows["stream"]["largest_difference"] <= export.PARITY
    assert rows["clip"]["difference"] == rows["stream"]["difference"] == 0
    assert rows["clip_float16"]["largest_difference"] < 0.01
    for name in ("clip_int8", "stream_int8"):
        assert rows[name]["agreement"] > 0.9
    assert rows["stream"]["late_agreement"] == 1.0
    assert rows["stream_int8"]["late_agreement"] > 0.9
    card = (family.path / "README.md").read_text()
    for name, row in rows.items():
        assert re.search(rf"`{name}\.tflite`.*{row['accuracy']:.2%}", card)


@pytest.mark.parametrize("name", ["clip_float16", "clip_int8", "stream_int8"])
def test_the_front_end_is_never_quantized(family, name):
    graph = flatbuffer_utils.read_model_from_bytearray(
        bytearray((family.path / f"{name}.tflite").read_bytes())
    )
    kinds = {
        flatbuffer_utils.type_to_name(tensor.type)
        for subgraph in graph.subgraphs
        for tensor in subgraph.tensors
        if tensor.name.startswith(b"front_end/")
    }
    assert "FLOAT32" in kinds
    assert not kinds & {"INT8", "INT16", "FLOAT16"}


@pytest.mark.parametrize(("name", "kind"), [("clip_float16", "FLOAT16"), ("stream_int8", "INT8")])
def test_the_weights_are_small(family, name, kind):
    graph = flatbuffer_utils.read_model_from_bytearray(
        bytearray((family.path / f"{name}.tflite").read_bytes())
    )
    kinds = [flatbuffer_utils.type_to_name(t.type) for g in graph.subgraphs for t in g.tensors]
    assert kind in kinds


def test_the_core_is_int8_throughout_and_hands_its_states_on_as_they_are(family):
    graph = TFLiteModel(family.path / "core_int8.tflite")
    assert set(graph.inputs) == {"frames", "state_conv_1", "state_gru_2_h"}
    for tensor in (*graph.inputs.values(), *graph.outputs.values()):
        assert tensor.dtype == np.int8
        assert tensor.scale > 0
    for name in graph.inputs.keys() - {"frames"}:
        before, after = graph.inputs[name], graph.outputs[name]
        assert before.scale == pytest.approx(after.scale, rel=1e-6)
        assert before.zero_point == after.zero_point


def test_a_file_says_what_it_is(family):
    graph = flatbuffer_utils.read_model_from_bytearray(
        bytearray((family.path / "stream_int8.tflite").read_bytes())
    )
    (entry,) = (m for m in graph.metadata if m.name == b"echoic")
    note = json.loads(bytes(graph.buffers[entry.buffer].data))
    assert note["labels"] == list(family.labels)
    assert note["model"] == "tiny"
    assert FeatureConfig(**note["features"]) == family.features


def test_int8_still_agrees_after_ten_minutes(family, sample):
    paths = sorted(sample.glob("*/*.wav"))[::6]
    clips = np.stack([audio.fix_length(audio.read(path), 16_000) for path in paths])
    stream = verify.long_stream(clips)
    assert len(stream) == 10 * 60 * 16_000
    reference = verify.stream_probabilities(family.tflite("stream"), stream, family.features)
    for name in ("stream_int8", "core_int8"):
        received = verify.stream_probabilities(family.tflite(name), stream, family.features)
        agreement = (received.argmax(axis=1) == reference.argmax(axis=1)).reshape(10, -1).mean(1)
        assert agreement[-1] > agreement[0] - 0.05
        assert agreement.min() > 0.85


def test_the_recognizer_runs_the_int8_stream(family, sample):
    waveform = audio.read(sample / "stream.wav")
    recognizer = Recognizer(family)
    full, small = (
        recognizer.stream(file=name).process(waveform) for name in ("stream", "stream_int8")
    )
    pairs = [(a.probabilities, b.probabilities) for a, b in zip(full, small, strict=True)]
    assert np.mean([a.argmax() == b.argmax() for a, b in pairs]) > 0.95


def test_the_c_array_is_the_file(family):
    header = (family.path / "echoic_core.h").read_text()
    source = (family.path / "echoic_core.cc").read_text()
    content = bytes(int(x, 16) for x in re.findall(r"0x([0-9a-f]{2}),", source))
    assert content == (family.path / "core_int8.tflite").read_bytes()
    assert f"echoic_core_length = {len(content)};" in header
    calls = re.findall(r"resolver\.(Add\w+)\(\);", header)
    assert len(calls) == len(export.operations(content)) == len(set(calls))
    assert {"AddFullyConnected", "AddConv2D", "AddLogistic"} <= set(calls)


def test_the_c_array_compiles(family, tmp_path):
    if not (compiler := shutil.which("c++")):
        pytest.skip("there is no C++ compiler: apt install g++")
    main = tmp_path / "main.cc"
    calls = re.findall(r"resolver\.(Add\w+)\(\);", (family.path / "echoic_core.h").read_text())
    methods = "".join(f"void {call}() {{ ++count; }}\n" for call in calls)
    main.write_text(
        f'#include "echoic_core.h"\n#include <cstdio>\nstruct Resolver {{ int count = 0;\n{methods}'
        "};\nint main() { Resolver r; add_echoic_core_operations(r); "
        'std::printf("%d %d %zu %d", r.count, echoic_core_operations, echoic_core_length, '
        "echoic_core[4]); }\n"
    )
    program = tmp_path / "program"
    sources = [str(main), str(family.path / "echoic_core.cc")]
    include = f"-I{family.path}"
    subprocess.run([compiler, "-std=c++14", include, *sources, "-o", str(program)], check=True)
    said = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    assert said[0] == said[1] == str(len(calls))
    assert int(said[2]) == (family.path / "core_int8.tflite").stat().st_size
    assert said[3] == str(ord("T"))


def test_the_core_runs_on_a_microcontroller_runtime(family, sample):
    """The same integers in, the same integers out, but for the rounding of each operation."""
    runtime = pytest.importorskip(
        "tflite_micro.python.tflite_micro.runtime",
        reason="tflite-micro has no wheel for this system",
    )
    path = family.path / "core_int8.tflite"
    micro = runtime.Interpreter.from_file(str(path), arena_size=512 * 1024)
    lite = StreamingRunner(TFLiteModel(path))
    order = [
        d["name"].split("_", 1)[1].split(":")[0] for d in Interpreter(str(path)).get_input_details()
    ]
    outputs = output_order(path)
    waveform = audio.read(sample / "stream.wav")[: 3 * 16_000]
    coefficients = features.compute(waveform, family.features)
    frames = lite.model.inputs["frames"]
    states = dict(lite.states)
    for x in coefficients.reshape(-1, *lite.shape):
        given = {"frames": frames.quantize(x[None]), **states}
        for index, name in enumerate(order):
            micro.set_input(given[name], index)
        micro.invoke()
        received = {name: micro.get_output(index) for index, name in enumerate(outputs)}
        expected = lite.model(**given)
        states = {n: v for n, v in expected.items() if n != "probabilities"}
        for name, value in expected.items():
            difference = received[name].astype(int) - value.astype(int)
            assert np.abs(difference).max() <= 3, name


def output_order(path):
    """Names of a graph's outputs in the order of its tensors, which a C program goes by."""
    graph = flatbuffer_utils.read_model_from_bytearray(bytearray(path.read_bytes()))
    names = {t.tensorIndex: t.name.decode() for t in graph.signatureDefs[0].outputs}
    return [names[i] for i in graph.subgraphs[0].outputs]


def test_listen_py_needs_no_more_than_it_says(family, sample, tmp_path):
    """It runs where TensorFlow, librosa, Keras and echoic itself cannot be imported."""
    script = family.path / "listen.py"
    assert len(script.read_text().splitlines()) < 110
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
        for node in ast.walk(ast.parse(script.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported - sys.stdlib_module_names == {"numpy", "ai_edge_litert", "sounddevice"}
    for name in ("tensorflow", "librosa", "keras", "echoic", "soundfile", "sounddevice"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not on this machine')\n")
    folder = shutil.copytree(family.path, tmp_path / "pi")
    for needless in ("model.keras", "clip.tflite", "stream.tflite", "README.md"):
        (folder / needless).unlink()
    done = subprocess.run(
        [sys.executable, str(folder / "listen.py"), str(sample / "stream.wav")],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert all(len(line) == 4 and line[2] in family.labels for line in lines)
    times = [float(line[0]) for line in lines]
    assert times == sorted(times)


@pytest.mark.parametrize("name", ["gru-12", "small-12", "lstm-12", "gru-commands"])
def test_listen_py_decides_as_echoic_does(name, sample):
    """Another program, the same settings: those that were tuned and stored with the model."""
    model = Bundle.load(name)
    done = subprocess.run(
        [sys.executable, str(model.path / "listen.py"), str(sample / "stream.wav")],
        capture_output=True,
        text=True,
        check=True,
    )
    said = [line.replace("%", "").split() for line in done.stdout.splitlines()]
    stepper = StreamingRunner(model.tflite("stream_int8"))
    (size,) = stepper.shape
    waveform = audio.read(sample / "stream.wav")
    steps = waveform[: len(waveform) // size * size].reshape(-1, size)
    times = np.arange(1, len(steps) + 1) * size / 16_000
    decoder = Decoder(model.labels, config=model.decoder, step=size / 16_000)
    expected = decoder.process_many(times, np.stack([stepper(step) for step in steps]))
    assert len(expected) >= 5
    assert [(float(t), label) for t, _, label, _ in said] == [
        (round(d.time, 2), d.label) for d in expected
    ]
    program = resources.files("echoic.export") / "listen.py"
    assert (model.path / "listen.py").read_text() == program.read_text()


def test_listen_py_refuses_another_rate(family, tmp_path):
    audio.write(tmp_path / "fast.wav", np.zeros(48_000, np.float32), sample_rate=48_000)
    done = subprocess.run(
        [sys.executable, str(family.path / "listen.py"), str(tmp_path / "fast.wav")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "16000 Hz" in done.stderr
    assert "48000" in done.stderr


@pytest.mark.parametrize("part", [0, 7, 8, 100, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_an_error_and_no_crash(family, tmp_path, part):
    content = (family.path / "stream.tflite").read_bytes()
    path = tmp_path / "stream.tflite"
    path.write_bytes(content[: part if isinstance(part, int) else int(part * len(content))])
    program = (
        "import sys\nfrom echoic.runtime.tflite import TFLiteError, TFLiteModel\n"
        "try:\n    TFLiteModel(sys.argv[1])\nexcept TFLiteError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert str(path) in done.stdout


def test_a_foreign_file_is_an_error(tiny_copy):
    (tiny_copy / "stream.tflite").write_bytes((tiny_copy / "model.keras").read_bytes())
    with pytest.raises(TFLiteError, match="do not begin like one"):
        Recognizer(Bundle.load(tiny_copy)).stream()


def test_files_of_two_models_do_not_mix(tiny_copy, root):
    shutil.copy(root / "models" / "gru-12" / "clip.tflite", tiny_copy / "clip.tflite")
    with pytest.raises(ValueError, match="does not answer as it did"):
        Bundle.load(tiny_copy).tflite("clip")


def test_a_folder_that_holds_another_model_is_not_overwritten(tiny_model, sample, tmp_path, root):
    other = shutil.copytree(root / "models" / "gru-12", tmp_path / "other")
    before = {path.name: path.read_bytes() for path in other.iterdir()}
    with pytest.raises(FileExistsError, match="another model"):
        export.export(tiny_model, out=other, data=sample)
    assert {path.name: path.read_bytes() for path in other.iterdir()} == before


def test_what_is_not_proven_replaces_nothing(family, sample, tmp_path, monkeypatch):
    files = {path.stem: path.read_bytes() for path in family.path.glob("*.tflite")}
    shutil.copytree(family.path, tmp_path / "tiny")
    before = {p.name: p.read_bytes() for p in (tmp_path / "tiny").iterdir() if p.is_file()}
    monkeypatch.setattr(export.family, "PARITY", -1.0)
    for owner, name, result in (
        (export.family, "float_graphs", {name: files[name] for name in ("clip", "stream")}),
        (export.family.quantize, "integer_int8", files["core_int8"]),
    ):
        monkeypatch.setattr(owner, name, lambda *_, result=result, **__: result)
    with pytest.raises(export.ExportError, match="to give the network's probabilities within"):
        export.export(tmp_path / "tiny", data=sample)
    assert before == {p.name: p.read_bytes() for p in (tmp_path / "tiny").iterdir() if p.is_file()}


def test_export_is_idempotent(family, sample):
    before = {p.name: p.read_bytes() for p in family.path.glob("*.tflite")}
    again = export.export(family.path, data=sample)
    assert set(before) == {p.name for p in again.path.glob("*.tflite")}
    assert Path(again.path, "clip.tflite").read_bytes() == before["clip.tflite"]


@pytest.mark.parametrize("name", export.FILES)
def test_inputs_of_another_shape_or_dtype_are_refused_before_the_interpreter(family, name):
    graph = family.tflite(name)
    right = {n: np.zeros(t.shape, t.dtype) for n, t in graph.inputs.items()}
    graph(**right)
    first = next(iter(right))
    for wrong in (
        {**right, first: right[first].astype(np.float64)},
        {**right, first: right[first][..., :-1]},
        {**right, first: right[first][0]},
        {n: a for n, a in right.items() if n != first},
        {**right, "more": right[first]},
    ):
        with pytest.raises(ValueError, match="Expected the inputs"):
            graph(**wrong)
