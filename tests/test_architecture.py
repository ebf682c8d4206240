"""The house: imports only downward, nothing heavy before it is needed."""

import re
import subprocess
import sys

import pytest

import echoic

HEAVY = ["tensorflow", "keras", "librosa", "scipy", "sklearn", "matplotlib", "jinja2"]


def test_the_modules_keep_the_order_of_the_contracts(root):
    """Layers, no circles, and what listens stays light; imports for annotations count."""
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--no-cache"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[done.stdout.find("Contracts") :] + done.stderr
    assert "3 kept, 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import echoic", ["numpy", "rich", "typer", *HEAVY]),
        ("import echoic; echoic.Recognizer, echoic.listen", ["sounddevice", "rich", *HEAVY]),
        ("import echoic.cli", ["numpy", *HEAVY]),
        ("import echoic.doctor, echoic.assistant, echoic.live.view", HEAVY),
        ("import echoic.features", HEAVY),
        ("import echoic; echoic.Recognizer('MODEL').predict('CLIP')", HEAVY),
        ("import echoic; list(echoic.listen('MODEL', 'CLIP'))", HEAVY),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code, absent, tiny_model, sample):
    code = code.replace("MODEL", tiny_model.as_posix())
    code = code.replace("CLIP", (sample / "stream.wav").as_posix())
    check = f"{code}\nimport sys\nprint([m for m in {absent!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


def test_all_public_names_exist():
    for name in echoic.__all__:
        assert getattr(echoic, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = echoic.nothing
    assert set(echoic.__all__) == set(dir(echoic))
    assert {"Recognizer", "listen", "train", "__version__"} <= set(echoic.__all__)


def test_without_the_extra_a_name_says_what_to_install():
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {HEAVY}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import echoic\n"
        "try:\n    echoic.train\nexcept ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert re.fullmatch(
        r"Expected the package \w+ for `echoic.train`, received none\. "
        r"Install the extra: pip install 'echoic\[train\]'\n",
        done.stdout,
    )
