"""The house: one package, imports only downward, nothing heavy before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import echoic

PACKAGE = Path(echoic.__file__).parent
FLOORS = [
    {"audio", "labels"},
    {"features"},
    {"frontend", "models", "streaming", "augmentation", "decoder", "metrics"},
    {"bundle", "speech_commands", "microphone", "batches"},
    {"training", "evaluation", "export", "recognizer", "assistant", "plots", "inspect", "memory"}
    | {"live", "doctor", "icebreaker"},
    {"cli", "__main__"},
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}


def imports() -> dict[str, set[str]]:
    """Modules of the package that each module imports anywhere in its code, annotations aside."""
    graph: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        module = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in [n for n in ast.walk(tree) if isinstance(n, ast.If)]:
            if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
                node.body = []
        found = graph.setdefault(module, set())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "echoic":
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("echoic."):
                found.add(str(node.module).split(".")[1])
        found.discard(module)
    return graph


def test_every_module_has_a_floor():
    assert imports().keys() - {"__init__"} <= FLOOR.keys()


def test_imports_only_go_down():
    upward = [
        f"{module} imports {other}"
        for module, others in imports().items()
        if module != "__init__"
        for other in others
        if FLOOR[other] > FLOOR[module]
    ]
    assert upward == []


def test_modules_of_one_floor_do_not_need_each_other_in_a_circle():
    graph = imports()
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"a circle: {' -> '.join([*path, module])}"
        if module not in done:
            for other in graph[module]:
                visit(other, (*path, module))
            done.add(module)

    for module in graph.keys() - {"__init__"}:
        visit(module, ())


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import echoic", ["numpy", "tensorflow", "keras", "librosa", "scipy", "matplotlib"]),
        ("import echoic; echoic.Recognizer", ["tensorflow", "keras", "librosa", "matplotlib"]),
        ("import echoic.cli", ["numpy", "tensorflow", "keras", "librosa", "matplotlib"]),
        ("import echoic.features", ["tensorflow", "keras", "librosa"]),
        ("import echoic.batches", ["tensorflow", "keras", "librosa"]),
        (
            "import echoic; echoic.Recognizer.load('MODEL').predict('CLIP')",
            ["tensorflow", "keras", "librosa", "matplotlib"],
        ),
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
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = echoic.nothing
    assert set(echoic.__all__) == set(dir(echoic))
