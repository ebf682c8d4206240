"""What `pip install` brings."""

import json
import os
import re
import shlex
import subprocess
import sys
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


LIGHT_MB = 200
"""Size (MB) that an installation without extras stays under."""

ABSENT = ("tensorflow", "keras", "librosa", "scipy", "scikit-learn", "matplotlib", "jinja2")
"""Distributions that listening does without."""


@pytest.fixture(scope="module")
def built(root, tmp_path_factory):
    """The wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run([*command, str(root)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("echoic-*.whl")
    return path


@pytest.fixture(scope="module")
def wheel(built):
    """The wheel's content, unpacked: what an installation has, without the checkout."""
    with zipfile.ZipFile(built) as archive:
        archive.extractall(built.parent / "site")
    return built.parent / "site"


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """Where ``pip install echoic``, without extras, puts programs in a clean environment."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    pip = [str(programs / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    probe = [*pip, "download", "--no-deps", "--dest", str(folder), "lazy_loader"]
    if subprocess.run(probe, capture_output=True, check=False, env=clean()).returncode:
        pytest.skip("pip reaches no package index")
    done = subprocess.run(
        [*pip, "install", str(built)], capture_output=True, text=True, check=False, env=clean()
    )
    assert done.returncode == 0, done.stderr
    return programs


def clean():
    """The environment without this checkout in it."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def test_the_version_is_the_same_everywhere(root, built):
    assert built.name.startswith(f"echoic-{echoic.__version__}-")
    assert f"## [{echoic.__version__}]" in (root / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", ["dependencies", "train"])
def test_each_dependency_says_why_it_is_there(root, block):
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    lines = text.split(f"\n{block} = [")[1].split("\n]")[0]
    assert all("#" in line for line in lines.strip().splitlines())


class TestInstalled:
    """Without extras, in an empty folder."""

    @pytest.fixture
    def run(self, installed, tmp_path):
        def run(*arguments):
            return subprocess.run(
                [str(installed / arguments[0]), *map(str, arguments[1:])],
                cwd=tmp_path,
                env=clean(),
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )

        return run

    @pytest.mark.parametrize(
        "verb", [["predict"], ["listen", "--wav"], ["assistant", "--wav"]], ids=lambda v: v[0]
    )
    def test_words_are_heard(self, run, sample, verb):
        done = run("echoic", *verb, sample / "stream.wav", "--json")
        assert done.returncode == 0, done.stderr
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert {"yes", "left", "go", "stop"} <= {row.get("label") for row in rows}

    def test_doctor_misses_nothing_but_what_training_needs(self, run):
        done = run("echoic", "doctor", "--no-level", "--json")
        checks = {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}
        assert checks["for listening"]["state"] == checks["model"]["state"] == "ok"
        assert checks["for training"]["state"] == "note"
        assert checks["for training"]["advice"] == "pip install 'echoic[train]'"
        broken = {name for name, check in checks.items() if check["state"] == "broken"}
        assert broken <= {"PortAudio", "microphone"}
        assert done.returncode == bool(broken)

    def test_python_listens(self, run, sample):
        code = (
            "import echoic, sys\n"
            "recognizer = echoic.Recognizer('gru-12')\n"
            "print(*[word.label for word in recognizer.predict(sys.argv[1])])\n"
            "print(*[word.label for word in echoic.listen(source=sys.argv[1])])\n"
            "print(len(recognizer.stream().process([0.0] * 1280)))\n"
        )
        done = run("python", "-c", code, sample / "stream.wav")
        assert done.returncode == 0, done.stderr
        predicted, heard, steps = done.stdout.splitlines()
        assert heard.split() == [x for x in predicted.split() if x != "_unknown_"]
        assert steps == "2"

    def test_train_says_what_to_install(self, run):
        done = run("echoic", "train", "gru")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.count("\n") == 1
        assert done.stderr.endswith("Install the extra: pip install 'echoic[train]'\n")
        done = run("python", "-c", "import echoic; echoic.train")
        assert "ImportError: Expected the package" in done.stderr
        assert done.stderr.endswith("Install the extra: pip install 'echoic[train]'\n")

    def test_it_is_small_and_holds_nothing_of_the_second_storey(self, run):
        code = (
            "import importlib.metadata as metadata, json, pathlib, sysconfig\n"
            "site = pathlib.Path(sysconfig.get_path('purelib'))\n"
            "sizes = {path.name: sum(f.stat().st_size for f in [path, *path.rglob('*')])\n"
            "         for path in site.iterdir()}\n"
            "print(json.dumps([[d.name for d in metadata.distributions()], sizes]))"
        )
        names, sizes = json.loads(run("python", "-c", code).stdout)
        assert "echoic" in names
        assert not {name.lower() for name in names} & set(ABSENT)
        venvs_own = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-")
        size = sum(n for name, n in sizes.items() if not name.startswith(venvs_own))
        assert size < LIGHT_MB * 1e6


def test_the_wheel_has_the_recipes_the_types_and_the_default_model_only(wheel, root):
    files = {p.relative_to(wheel / "echoic").as_posix() for p in (wheel / "echoic").rglob("*")}
    recipes = {f"recipes/{n}.toml" for n in config.recipe_names()}
    assert (
        recipes | {"py.typed", "assistant/default.toml", "pretrained/gru-12/clip.tflite"} <= files
    )
    assert {f.split("/")[1] for f in files if f.startswith("pretrained/")} == {"LICENSE", "gru-12"}
    assert {"pretrained/LICENSE", "pretrained/gru-12/golden.json", "__init__.pyi"} <= files
    assert not [f for f in files if ".training" in f]
    card = (root / "models" / "gru-12" / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^]]*\]\((.+?)\)", card)
    assert pictures
    assert {f"pretrained/gru-12/{name}" for name in (*pictures, "listen.py")} <= files
    (info,) = wheel.glob("echoic-*.dist-info")
    licenses = {p.relative_to(info / "licenses").as_posix() for p in info.glob("licenses/**/*")}
    assert {"LICENSE", "models/LICENSE"} <= licenses


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
    block = readme.split("<!-- predict -->\n")[1].split("<!-- /predict -->")[0]
    shown = [line.removeprefix("    ") for line in block.splitlines()]
    assert shown == ["$ echoic predict data/sample/stream.wav", *done.stdout.splitlines()]
