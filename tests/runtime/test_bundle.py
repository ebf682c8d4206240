"""A model's folder carries everything, and says so when it is not what it was."""

import dataclasses
import json
import re
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from echoic import config, networks
from echoic.config import (
    AugmentationConfig,
    DataConfig,
    DecoderConfig,
    FeatureConfig,
    ModelConfig,
    Recipe,
    TrainingConfig,
)
from echoic.runtime import bundle
from echoic.runtime.bundle import (
    Bundle,
    BundleError,
    FileFigures,
    Measurements,
    Metadata,
    TrainingRecord,
)
from echoic.runtime.tflite import TFLiteError, TFLiteModel

ROOT = Path(__file__).parents[2]
SETTINGS = (
    *(DataConfig, FeatureConfig, ModelConfig, AugmentationConfig, TrainingConfig, DecoderConfig),
    *(Recipe, Metadata, TrainingRecord, Measurements, FileFigures),
)


def change(folder, **changes):
    path = folder / "echoic.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **changes}))


def test_the_folder_holds_what_the_contract_names(tiny_model):
    names = {p.name for p in tiny_model.iterdir()}
    assert {"model.keras", "clip.tflite", "echoic.json", "labels.txt", "README.md"} <= names
    content = json.loads((tiny_model / "echoic.json").read_text())
    assert content["schema"] == 2
    assert content["name"] == tiny_model.name
    assert content["labels"] == (tiny_model / "labels.txt").read_text().split()
    assert FeatureConfig(**content["features"]) == Bundle.load(tiny_model).features
    assert set(content["recipe"]) == {"data", "features", "model", "augmentation", "training"}
    training = content["training"]
    assert re.fullmatch("[0-9a-f]{64}", training["files_sha256"])
    assert training["counts"]["training"]["yes"] == 23
    assert {"keras", "tensorflow", "librosa"} <= training["versions"].keys()
    assert content["fingerprint"]["clip"] == pytest.approx(
        bundle.fingerprint(TFLiteModel(tiny_model / "clip.tflite", signature="clip")), abs=1e-3
    )
    figures = content["metrics"]["hash-split validation"]
    assert 0 <= figures["accuracy"] <= 1
    assert figures["n"] == sum(map(sum, figures["confusion"]))


def test_the_keras_file_has_no_optimizer_and_loads_in_safe_mode(tiny_model, tmp_path):
    model = networks.load(Bundle.load(tiny_model))
    assert getattr(model, "optimizer", None) is None
    with zipfile.ZipFile(tiny_model / "model.keras") as archive:
        archive.extract("model.weights.h5", tmp_path)
    with h5py.File(tmp_path / "model.weights.h5") as weights:
        assert "optimizer" not in weights
    assert model.input_shape == (None, None, 13)


def test_a_keras_file_that_wants_to_run_code_is_refused(tiny_copy):
    inputs = keras.Input((None, 13))
    outputs = keras.layers.Lambda(lambda x: x)(inputs)
    keras.Model(inputs, outputs).save(tiny_copy / "model.keras")
    with pytest.raises(ValueError, match="safe_mode|unsafe|Lambda"):
        networks.load(Bundle.load(tiny_copy))


def test_a_model_is_found_by_path_by_name_and_by_default(tiny_model, monkeypatch):
    assert Bundle.load(tiny_model).name == "tiny"
    monkeypatch.chdir(tiny_model.parent)
    assert Bundle.load("tiny").name == "tiny"
    assert Bundle.load().name == "gru-12"
    assert "gru-12" in bundle.available()


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No model 'nothing'.*gru-12"):
        Bundle.load("nothing")
    with pytest.raises(FileNotFoundError, match=r"folder with echoic\.json"):
        Bundle.load(tmp_path)


def test_damaged_json(tiny_copy):
    (tiny_copy / "echoic.json").write_text('{"schema": 1,')
    with pytest.raises(BundleError, match="is not JSON"):
        Bundle.load(tiny_copy)


def test_a_newer_schema(tiny_copy):
    change(tiny_copy, schema=3)
    with pytest.raises(BundleError, match="Expected schema 1 to 2, received 3.*--upgrade"):
        Bundle.load(tiny_copy)


def test_missing_keys(tiny_copy):
    (tiny_copy / "echoic.json").write_text('{"schema": 1, "name": "x"}')
    with pytest.raises(BundleError) as error:
        Bundle.load(tiny_copy)
    for key in ("labels", "features", "recipe", "training", "metrics", "fingerprint"):
        assert f"Expected {key}, which has no default, received nothing." in str(error.value)


def test_a_missing_file_names_those_there_are(tiny_model):
    with pytest.raises(FileNotFoundError, match=r"no core_int8\.tflite; it has clip, stream"):
        Bundle.load(tiny_model).tflite("core_int8")


def test_a_file_of_another_model_is_refused(tiny_copy):
    change(tiny_copy, fingerprint={"clip": [0.25, 0.25, 0.25, 0.25]})
    with pytest.raises(BundleError, match="does not answer as it did"):
        Bundle.load(tiny_copy).tflite("clip")


def test_a_file_with_another_number_of_labels_is_refused(tiny_copy):
    change(tiny_copy, fingerprint={"clip": [1.0]})
    with pytest.raises(BundleError, match="does not answer as it did"):
        Bundle.load(tiny_copy).tflite("clip")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 4000])
def test_a_file_that_is_not_tflite(tiny_copy, content):
    (tiny_copy / "clip.tflite").write_bytes(content)
    with pytest.raises(TFLiteError, match="to be a TFLite file"):
        Bundle.load(tiny_copy).tflite("clip")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_an_error_and_no_crash(tiny_copy, part):
    path = tiny_copy / "clip.tflite"
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises((TFLiteError, BundleError)):
        Bundle.load(tiny_copy).tflite("clip")


@pytest.mark.parametrize(
    "arrays",
    [
        {"waveform": np.zeros((1, 15999), np.float32)},
        {"waveform": np.zeros(16000, np.float32)},
        {"waveform": np.zeros((1, 16000), np.float64)},
        {"waveform": np.zeros((1, 16000), np.int16)},
        {"sound": np.zeros((1, 16000), np.float32)},
        {},
    ],
)
def test_a_model_is_asked_only_what_it_can_answer(tiny_model, arrays):
    model = Bundle.load(tiny_model).tflite("clip")
    with pytest.raises(ValueError, match="Expected the inputs"):
        model(**arrays)


def test_an_unknown_signature(tiny_model):
    with pytest.raises(TFLiteError, match="cannot be run as 'step'"):
        TFLiteModel(tiny_model / "clip.tflite", signature="step")


def test_figures_are_recorded_beside_those_there_are(tiny_copy):
    report = dict(Bundle.load(tiny_copy).metrics["hash-split validation"])
    report |= {"protocol": "archive-v0.02", "accuracy": 0.125}
    recorded = bundle.add_metrics(Bundle.load(tiny_copy), report)
    assert set(recorded.metrics) == {"hash-split validation", "archive-v0.02"}
    assert recorded.metrics["archive-v0.02"]["accuracy"] == 0.125


def test_other_settings_of_the_decoder_take_the_figures_of_the_old_ones_away(tiny_copy):
    report = {
        "protocol": "stream",
        "decoder": DecoderConfig(enter=0.6).to_dict(),
        "data": "sample",
        "tolerance": 0.75,
        "streams": {},
        "all": {"false_accepts": {"count": 0, "hours": 1.0, "per_hour": None, "interval": [0, 3]}},
        "det": [],
    }
    bundle.add_metrics(bundle.set_decoder(Bundle.load(tiny_copy), DecoderConfig(enter=0.6)), report)
    same = bundle.set_decoder(Bundle.load(tiny_copy), DecoderConfig(enter=0.6))
    assert "stream" in same.metrics
    (tiny_copy / "det.png").touch()
    other = bundle.set_decoder(same, DecoderConfig(enter=0.7))
    assert other.metrics.keys() == {"hash-split validation"}
    assert not (tiny_copy / "det.png").exists()


def write_again(model, path, **training):
    """Write a model as a training that ends does, with `clip` alone."""
    network = networks.load(model)
    return bundle.write(
        path,
        save_network=lambda file: networks.save(network, file),
        tflite={"clip": (model.path / "clip.tflite").read_bytes()},
        labels=model.labels,
        recipe=model.recipe,
        training=dataclasses.replace(model.training, **training),
    )


def test_what_is_in_a_folder_that_is_no_model_stays(tiny_copy, tmp_path):
    old = Bundle.load(tiny_copy)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "listen.py").write_text("mine")
    write_again(old, tmp_path / "mine")
    assert (tmp_path / "mine" / "listen.py").read_text() == "mine"


def test_nothing_is_left_of_a_model_that_another_replaces(tiny_copy):
    old = Bundle.load(tiny_copy)
    for name in ("stream_int8.tflite", "core_int8.tflite", "listen.py", "echoic_core.h", "det.png"):
        (tiny_copy / name).touch()
    (tiny_copy / "notes.txt").touch()
    new = write_again(old, tiny_copy)
    assert {p.name for p in new.path.iterdir() if not p.name.startswith(".")} == {
        "README.md",
        "clip.tflite",
        "echoic.json",
        "history.png",
        "labels.txt",
        "model.keras",
        "notes.txt",
    }


def test_the_test_sound_never_changes():
    sound = bundle.chirp(16000)
    assert sound.dtype == np.float32
    np.testing.assert_allclose(
        sound[[0, 1, 100, 8000, 15999]],
        [0.00273923, 0.00718472, -0.27466318, 0.00316942, -0.27932405],
        atol=1e-6,
    )


# --- what echoic.json says ------------------------------------------------------------------------

DATA = Path(__file__).parent / "data"
RELEASED = sorted(path.parent.name for path in (ROOT / "models").glob("*/echoic.json"))
OLD_NAMES = {
    *("forged_fraction", "lossy_noise", "extra", "channel", "speed", "speed_probability"),
    *("finish_epochs", "finish_learning_rate", "finish_strength", "supervised_steps", "context"),
    *("word_loss", "ask_once", "equal_priors", "init", "beyond_the_data", "graph", "limit"),
    *("answers", "endless", "testing"),
}
"""Keys of schema 1 and words of that time; nothing in schema 2 is called so."""
FREE = {"counts", "versions", "words", "fingerprint", "metrics", "measured", "left_out"}
"""Tables whose keys are names of labels, packages, files or protocols, not of settings."""


REQUIRED = {
    *("schema", "name", "labels", "features", "recipe", "training", "metrics", "fingerprint"),
    *("recipe.model", "training.data", "training.command", "training.counts"),
    *("training.counts.training", "training.counts.validation", "training.files_sha256"),
    *("training.parameters", "training.best_epoch", "training.seed", "training.versions"),
    *("files.protocol", "files.n", "files.calibration", "files.calibration.data"),
    *("files.measured", "files.measured.clip.size", "files.measured.clip.accuracy"),
}
NULLABLE = {
    *("init", "initial_weights", "temperature", "logit_adjustment", "backend", "files"),
    *("late_agreement", "peak_memory"),
}


def content_of(name):
    return json.loads((ROOT / "models" / name / "echoic.json").read_text(encoding="utf-8"))


def paths(value, where=()):
    """All places in ``echoic.json``, but for the rows of layers and inside the metrics."""
    yield where
    if isinstance(value, dict) and where[-1:] != ("layers",) and where != ("metrics",):
        for key, each in value.items():
            if (*where, key) != ("recipe", "model", "layers"):
                yield from paths(each, (*where, key))


def put(content, where, value):
    """Return a copy with another value at a place; `put(..., ...)` takes the key away."""
    copy = json.loads(json.dumps(content))
    table = copy
    for key in where[:-1]:
        table = table[key]
    if value is ...:
        del table[where[-1]]
    else:
        table[where[-1]] = value
    return copy


def at(content, where):
    for key in where:
        content = content[key]
    return content


def refusal(content):
    """Return what is said against what ``echoic.json`` says, None where nothing is."""
    try:
        Metadata.from_dict(content)
    except ValueError as error:
        return str(error)
    return None


def another_type(value):
    """Return a value of a type that cannot stand for this one's."""
    if isinstance(value, dict | list | bool | str):
        return 2.5
    return "3" if value is not None else {"a": 1}


@pytest.mark.parametrize("name", RELEASED)
def test_a_released_model_says_all_there_is_to_say_in_the_current_schema(name):
    content = content_of(name)
    assert content["schema"] == bundle.SCHEMA
    metadata = Bundle.load(ROOT / "models" / name).metadata
    assert json.loads(json.dumps(metadata.to_dict())) == content


@pytest.mark.parametrize("name", ["gru-12", "attention-12"])
def test_schema_1_is_read_as_what_is_released_in_schema_2(name):
    old = json.loads((DATA / f"{name}_schema_1.json").read_text(encoding="utf-8"))
    new = content_of(name)
    # Its command is written as today's options have it, and what stood at the head of its report
    # in today's words; no figure is another.
    old["training"]["command"] = old["training"]["command"].replace("--extra ", "--extra-data ")
    heads = [row["metrics"]["archive-v0.02"]["report"]["heads"] for row in (old, new)]
    assert [row["value"] for row in heads[0]] == [row["value"] for row in heads[1]]
    heads[0][:] = heads[1]
    assert json.loads(json.dumps(Metadata.from_dict(old).to_dict())) == new
    renamed = config.translate_metadata(old)
    for part in ("metrics", "fingerprint", "labels"):
        assert renamed[part] == new[part]


@pytest.mark.parametrize("name", RELEASED)
def test_no_old_name_is_a_key_of_schema_2(name):
    def keys(value):
        if isinstance(value, dict):
            yield from value
            for each in value.values():
                yield from keys(each)
        elif isinstance(value, list):
            for each in value:
                yield from keys(each)

    found = set(keys(content_of(name)))
    known = {f.name for kind in SETTINGS for f in dataclasses.fields(kind)}
    assert not (found | known) & OLD_NAMES
    assert not [key for key in found if "testing" in key.split()]


@pytest.mark.parametrize("schema", [1, 2])
@pytest.mark.parametrize("damage", [..., None, "another type", "a list"])
def test_damage_anywhere_is_a_value_error_that_names_the_place(damage, schema):
    content = content_of("gru-12")
    if schema == 1:
        content = json.loads((DATA / "gru-12_schema_1.json").read_text(encoding="utf-8"))
    places = [where for where in paths(content) if where]
    assert len(places) > 120
    accepted = []
    for where in places:
        kinds = {"another type": another_type(at(content, where)), "a list": [[]]}
        message = refusal(put(content, where, kinds.get(damage, damage)))
        if message is None:
            accepted.append(where)
        else:
            assert "Expected " in message
            assert "pydantic" not in message
    if damage is ...:
        assert not REQUIRED & {".".join(where) for where in accepted}
    elif damage is None:
        assert {where[-1] for where in accepted} <= NULLABLE
    else:
        assert accepted == []


@pytest.mark.parametrize("schema", [1, 2])
def test_an_unknown_key_anywhere_is_refused_by_name(schema):
    content = content_of("gru-12")
    if schema == 1:
        content = json.loads((DATA / "gru-12_schema_1.json").read_text(encoding="utf-8"))
    tables = [
        where
        for where in paths(content)
        if (isinstance(at(content, where), dict) and not FREE & {*where[-2:], *where[:1]})
        or where[-2:-1] == ("measured",)
    ]
    assert len(tables) > 15
    for where in tables:
        message = refusal(put(content, (*where, "strange_key"), 1))
        assert message is not None, where
        assert "Expected a key of " in message
        assert ", received strange_key" in message


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("recipe", "training", "epoch"), 1, "a key of recipe.training, received epoch; did you"),
        (("recipe", "trainings"), {}, "a key of recipe, received trainings; did you mean training"),
        (("features", "n_mfc"), 1, "a key of features, received n_mfc; did you mean n_mfcc"),
        (("decoder", "entre"), 1, "a key of decoder, received entre; did you mean enter"),
        (("training", "sed"), 1, "a key of training, received sed; did you mean seed"),
        (("verifier",), {"file": "x"}, r"a key of echoic\.json, received verifier"),
        (("files", "measured", "clip", "sise"), 1, "a key of files.measured.clip, received sise"),
        (("decoder", "enter"), 3, "decoder.enter above 0 and at most 1, received 3"),
        (("decoder", "words"), {"yes": 2}, "decoder.words.yes above 0 and at most 1, received 2"),
        (("training", "counts", "training"), [1], "training.counts.training to be a table"),
        (("training", "counts", "training", "yes"), "1", "training.counts.training.yes to be int"),
        (("labels",), [], r"labels to be different labels, at least one, received \[\]"),
        (("labels",), ["yes", "yes"], "labels to be different labels"),
        (("training", "counts"), {"training": {}}, "training.counts with validation in it"),
        (("training", "seed"), True, "training.seed to be int, received True"),
        (("training", "temperature"), float("nan"), "training.temperature to be finite"),
        (("fingerprint", "clip"), ["0.5"], r"fingerprint.clip\[0\] to be float, received '0.5'"),
        (("metrics", "archive-v0.02"), 3, "metrics.archive-v0.02 to be a table, received 3"),
        (("schema",), True, "schema 1 to 2, received True"),
        (("schema",), "2", "schema 1 to 2, received '2'"),
        (("schema",), 0, "schema 1 to 2, received 0"),
    ],
)
def test_a_damaged_file_names_the_key_itself_and_who_wrote_it(where, value, message, tmp_path):
    (tmp_path / "echoic.json").write_text(json.dumps(put(content_of("gru-12"), where, value)))
    with pytest.raises(BundleError, match=message) as error:
        Bundle.load(tmp_path)
    assert str(error.value).startswith(
        f"{tmp_path / 'echoic.json'}, written by echoic 0.1.0: Expected "
    )


@pytest.mark.parametrize(
    "content", ["[]", "null", "3", '"x"', "{}", '{"schema": 2}', "[" * 100_000, "\xff", "NaN"]
)
def test_a_file_that_is_no_metadata_at_all(content, tmp_path):
    (tmp_path / "echoic.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(BundleError, match="Expected|is not JSON"):
        Bundle.load(tmp_path)


def test_other_settings_of_the_decoder_take_golden_detections_away(tiny_copy):
    (tiny_copy / "golden.json").touch()
    same = bundle.set_decoder(Bundle.load(tiny_copy), Bundle.load(tiny_copy).decoder)
    assert (tiny_copy / "golden.json").exists()
    bundle.set_decoder(same, DecoderConfig(enter=0.7))
    assert not (tiny_copy / "golden.json").exists()


def test_a_bundle_says_what_it_is():
    said = repr(Bundle.load(ROOT / "models" / "gru-12"))
    assert said.startswith("Bundle('")
    assert said.endswith(
        "gru-12', 12 labels, clip, stream, clip_float16, clip_int8, stream_int8, core_int8)"
    )
