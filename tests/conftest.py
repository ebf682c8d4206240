"""Data for the tests: a synthetic set that is always there, and real recordings where they are."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

sys.path.append(str(Path(__file__).parent))  # what tests share lies beside them
pytest.register_assert_rewrite("picture_checks")

from virtual_microphone import VirtualMicrophone, why_not  # noqa: E402

WORKER = os.environ.get("PYTEST_XDIST_WORKER")
"""Name of this process where several run the tests; None where one does."""

if WORKER:  # a process a core: more threads would wait for each other
    for variable in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(variable, "1")

ROOT = Path(__file__).parents[1]
TEST_DATA = Path(os.environ.get("ECHOIC_TEST_DATA", ROOT.parent / "shared"))
"""Folder of real recordings, packed: ``speech_commands/unpack`` writes them."""

LONGEST = (
    "test_run.py",
    "test_notebooks.py",
    "test_checkpoints.py",
    "test_recall.py",
    "test_cli.py",
    "test_plots.py",
    "test_family.py",
    "test_package.py",
    "test_microphone.py",
)
"""Files that take longest, in this order: they begin first, so that no process waits for one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with LONGEST."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all processes that run the tests have in common."""
    base = factory.getbasetemp()
    return base.parent if WORKER else base


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Let ``make`` fill a folder, once for all processes that run the tests."""
    folder = shared_folder(factory) / name
    with FileLock(f"{folder}.lock"):
        if not Path(f"{folder}.done").exists():
            folder.mkdir()
            make(folder)
            Path(f"{folder}.done").touch()
    return folder


settings.register_profile("echoic", deadline=None)  # a busy machine is no failure
settings.load_profile("echoic")


@pytest.fixture(scope="session")
def sample() -> Path:
    """The synthetic set of the repository: 17 words by 34 voices, four noises, both lists."""
    return ROOT / "data" / "sample"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Where real recordings and the official lists lie, packed."""
    folder = TEST_DATA / "speech_commands"
    if not folder.is_dir():
        pytest.skip(f"there are no real recordings at {folder}; ECHOIC_TEST_DATA names another one")
    return folder


@pytest.fixture(scope="session")
def speech_commands(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real clips: up to 20 a label and split, all noises, 20 a label of the test archive.

    Without the test speakers' remnants of ``speech_commands_v0.02``: they lie at the ends of the
    packed files, and to unpack them too takes four times as long.
    """
    only = [f"--only={part}" for part in ("training", "validation", "noise", "test_set")]

    def unpack(folder: Path) -> None:
        command = [sys.executable, str(shared / "unpack"), str(folder), "--per-label=20", *only]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    return once(tmp_path_factory, "speech_commands", unpack)


@pytest.fixture(scope="session")
def official_lists(shared: Path) -> dict[str, list[str]]:
    """The lines of the two lists of v0.02, by the side that they name."""
    names = {"validation": "validation_list.txt", "test": "testing_list.txt"}
    return {
        side: (shared / name).read_text(encoding="utf-8").split() for side, name in names.items()
    }


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def test_archive(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The official 12-class test archive of v0.02, whole."""

    def unpack(folder: Path) -> None:
        command = [sys.executable, str(shared / "unpack"), str(folder), "--only=test_set"]
        subprocess.run(command, capture_output=True, check=True)

    return once(tmp_path_factory, "archive", unpack) / "speech_commands_test_set_v0.02"


TINY = """
[data]
vocabulary = "yes,no"
unknown_fraction = 0.2

[features]
n_mfcc = 13

[model]
layers = [
  { type = "conv", filters = 8, kernel_size = 5, strides = 2 },
  { type = "gru", units = 8, dropout = 0.1 },
]

[training]
epochs = 3
batch_size = 16
calibrate = false # it learns too little to be sure of anything
deterministic = true
"""


@pytest.fixture(scope="session")
def tiny_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe that trains within seconds."""
    path = tmp_path_factory.mktemp("recipes") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def trained(
    tiny_recipe: Path, sample: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """What ``echoic train`` made of it, left alone, and what it said."""

    def train(folder: Path) -> None:
        command = [sys.executable, "-m", "echoic", "train", str(tiny_recipe)]
        command += ["--data", str(sample), "--out", str(folder / "tiny")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stderr
        (folder / "said.json").write_text(json.dumps([done.stdout, done.stderr]))

    folder = once(tmp_path_factory, "trained", train)
    stdout, stderr = json.loads((folder / "said.json").read_text())
    return folder / "tiny", subprocess.CompletedProcess([], 0, stdout, stderr)


@pytest.fixture(scope="session")
def tiny_model(trained: tuple[Path, object]) -> Path:
    """A model's folder; read it, and take `tiny_copy` to change it."""
    return trained[0]


@pytest.fixture
def tiny_copy(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model to break."""
    return Path(shutil.copytree(tiny_model, tmp_path / "tiny_copy"))


@pytest.fixture
def virtual_microphone(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VirtualMicrophone]:
    """A microphone that hears what the test plays, the default one here and in subprocesses.

    There is one at a time: sound in real time leaves no core for another's.
    """
    if reason := why_not():
        pytest.skip(reason)
    import sounddevice

    # Not in tmp_path: a socket's path may have 107 characters.
    with (
        FileLock(shared_folder(tmp_path_factory) / "virtual_microphone.lock"),
        tempfile.TemporaryDirectory(prefix="echoic", ignore_cleanup_errors=True) as folder,
    ):
        microphone = VirtualMicrophone(Path(folder))
        for name, value in microphone.environment.items():
            monkeypatch.setenv(name, value)
        try:
            microphone.start()
            sounddevice._terminate()  # PortAudio lists the devices once
            sounddevice._initialize()
            yield microphone
        finally:
            microphone.thaw()
            microphone.kill()
