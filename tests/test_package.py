"""What `pip install` brings."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

import echoic
from echoic import config, networks, training
from echoic.config import ModelConfig, Recipe
from echoic.runtime.bundle import DEFAULT, Bundle

ROOT = Path(__file__).parents[1]
SHIPPED = sorted(path.parent.name for path in (ROOT / "models").glob("*/echoic.json"))


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    """The wheel's content, unpacked: what an installation has, without the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run([*command, str(root)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("echoic-*.whl")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_version_is_the_same_everywhere(root):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == echoic.__version__
    assert f"## {echoic.__version__}" in (root / "CHANGELOG.md").read_text(encoding="utf-8")


def test_each_dependency_says_why_it_is_there(root):
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    block = text.split("\ndependencies = [")[1].split("\n]")[0]
    assert all("#" in line for line in block.strip().splitlines())


def test_the_wheel_has_the_recipes_the_types_and_the_default_model_only(wheel):
    files = {p.relative_to(wheel / "echoic").as_posix() for p in (wheel / "echoic").rglob("*")}
    recipes = {f"recipes/{n}.toml" for n in config.recipe_names()}
    assert (
        recipes | {"py.typed", "assistant/default.toml", "pretrained/gru-12/clip.tflite"} <= files
    )
    assert {f.split("/")[1] for f in files if f.startswith("pretrained/")} == {"gru-12"}
    assert not [f for f in files if ".training" in f]


def test_the_wheel_alone_recognizes(wheel, sample, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "echoic", "predict", str(sample / "stream.wav"), "--json"],
        env={**os.environ, "PYTHONPATH": str(wheel)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    labels = [json.loads(line)["label"] for line in done.stdout.splitlines()]
    assert {"yes", "left", "go", "stop"} <= set(labels)

    def said(code):
        done = subprocess.run(
            [sys.executable, "-c", f"import echoic; print({code})"],
            env={**os.environ, "PYTHONPATH": str(wheel)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    where = str(wheel / "echoic" / "pretrained" / "gru-12")
    assert said("echoic.Bundle.load().path") == where
    assert said("len(echoic.Recognizer.load().stream().process([0.0] * 1280))") == "2"


def test_shipped_models_are_small(root):
    for folder in (root / "models").glob("*/"):
        files = [p for p in folder.glob("*") if p.is_file()]
        if files:
            teaches_only = folder.name == "embedding-12"
            assert (folder / "model.keras").stat().st_size < (4e6 if teaches_only else 2e6)
            assert sum(p.stat().st_size for p in files) < (10e6 if teaches_only else 6.2e6)


@pytest.mark.parametrize("name", ["gru-12", "small-12", "lstm-12", "attention-12", "embedding-12"])
def test_the_figures_in_the_readmes_are_those_of_the_model(root, name):
    content = json.loads((root / "models" / name / "echoic.json").read_text(encoding="utf-8"))
    figure = f"**{content['metrics']['archive-v0.02']['accuracy']:.2%}**"
    for readme in (root / "README.md", root / "models" / "README.md"):
        (row,) = [x for x in readme.read_text(encoding="utf-8").splitlines() if f"| [{name}](" in x]
        assert figure in row
        assert f"{content['training']['parameters']:,}" in row


@pytest.mark.parametrize("name", ["gru-12", "small-12", "lstm-12", "attention-12", "embedding-12"])
def test_how_a_model_came_to_be_is_told_as_it_was(root, name):
    lines = (root / "models" / "README.md").read_text(encoding="utf-8").splitlines()
    (row,) = [x for x in lines if x.startswith(f"| `{name}`") and " + " in x]
    content = json.loads((root / "models" / name / "echoic.json").read_text(encoding="utf-8"))
    recipe = Recipe.from_dict(content["recipe"])
    epochs, teachers, floor, fainter = [x.strip() for x in row.split("|")[2:-1]]
    assert epochs == f"{recipe.training.epochs} + {recipe.training.cooldown_epochs}"
    if name != "attention-12":  # it had older models, which are not here
        assert re.findall(r"`(.+?)`", teachers) == content["training"]["teachers"]
    assert floor == f"{recipe.features.floor_db:.0f} dB"
    assert fainter == f"{-recipe.augmentation.gain[0]:.0f} dB"


def test_the_core_of_the_small_model_fits_a_microcontroller(root):
    assert (root / "models" / "small-12" / "core_int8.tflite").stat().st_size < 100_000


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_is_the_work_of_its_command(root, name):
    bundle = Bundle.load(root / "models" / name)
    words = shlex.split(bundle.training.command)
    assert words[:2] == ["echoic", "train"]
    settings = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
    recipe = Recipe.load(words[2], overrides=settings)
    if name == "embedding-12":  # trained before log-mel; its first layer undoes the DCT
        undo = {"type": "dense", "units": recipe.features.n_mels}
        recipe = replace(
            recipe,
            features=replace(recipe.features, n_mfcc=recipe.features.n_mels),
            model=ModelConfig(layers=(undo, *recipe.model.layers)),
        )
    assert bundle.recipe == recipe
    assert bundle.training.parameters == networks.load(bundle).count_params()


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("gru-12", "gru"),
        ("small-12", "small"),
        ("lstm-12", "lstm"),
        ("attention-12", "attention"),
        ("embedding-12", "embedding"),
    ],
)
def test_a_released_model_needs_no_settings(root, name, recipe):
    words = shlex.split(Bundle.load(root / "models" / name).training.command)
    assert "--set" not in words
    assert words[2] == recipe


def test_the_recipe_alone_makes_the_default_model(root):
    """`echoic train gru`: what else its command says are the places of things and their names."""
    bundle = Bundle.load(root / "models" / DEFAULT)
    words = shlex.split(bundle.training.command)
    assert {word for word in words if word.startswith("--")} <= {"--data", "--out", "--data-name"}
    recipe = bundle.recipe
    assert bundle.training.extra_data == recipe.data.extra_data
    assert bundle.training.teachers == recipe.training.teachers
    assert training.available_teachers(recipe) == list(recipe.training.teachers)


def test_what_the_readme_shows_is_what_echoic_says(root):
    readme = (root / "README.md").read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "echoic", "predict", "data/sample/stream.wav"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    for line in done.stdout.splitlines():
        assert line.split("%")[0].strip() in readme
