"""Notebooks: each runs from top to bottom, and what is saved in it is fit to be read."""

import importlib.util
import json

import pytest

NOTEBOOKS = (
    "01_what_is_memory",
    "02_from_sound_to_mfcc",
    "03_train_a_recognizer",
    "04_long_memories",
    "05_live_and_on_the_edge",
)
SHORT = {
    "01_what_is_memory": {"READER_STEPS": 5, "RECALL_STEPS": 5, "DISTANCE": 3, "BAG_EPOCHS": 1},
    "02_from_sound_to_mfcc": {"WORD": "go", "SPEAKER": 1},
    "03_train_a_recognizer": {"EPOCHS": 2, "COOLDOWN_EPOCHS": 0},
    "04_long_memories": {"STEPS": 5, "TRACE_EVERY": 40},
    "05_live_and_on_the_edge": {"FILM_EVERY": 20, "CALLS": 5},
}
each = pytest.mark.parametrize("name", NOTEBOOKS)


def read(root, name):
    return json.loads((root / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))


def outputs(notebook):
    return [
        output
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
        for output in cell["outputs"]
    ]


def pictures(outputs):
    """Kind and description's beginning of every picture, in order."""
    return [
        (kind, output["metadata"][kind]["alt"][:20])
        for output in outputs
        for kind in output.get("data", {})
        if kind.startswith("image/")
    ]


def text(cell):
    return "".join(cell["source"])


def runner(root):
    """The module ``notebooks/run.py``."""
    spec = importlib.util.spec_from_file_location("run", root / "notebooks" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_are_here(root):
    assert sorted(p.stem for p in (root / "notebooks").glob("*.ipynb")) == list(NOTEBOOKS)


@each
def test_runs_from_top_to_bottom(root, name):
    """With small sizes; `make notebooks` runs all in full."""
    notebook = runner(root).execute(root / "notebooks" / f"{name}.ipynb", SHORT[name])
    # The same pictures; how many mistakes there are to listen to may differ a little.
    assert pictures(outputs(notebook)) == pictures(outputs(read(root, name)))
    assert [cell.source for cell in notebook.cells] == [text(c) for c in read(root, name)["cells"]]


def test_a_parameter_that_a_notebook_lacks_is_refused(root):
    path = root / "notebooks" / f"{NOTEBOOKS[0]}.ipynb"
    with pytest.raises(ValueError, match="READER_STEPS, .*, BAG_EPOCHS, received EPOCHS"):
        runner(root).execute(path, {"EPOCHS": 1})


@each
class TestSaved:
    def test_was_run_in_order_without_errors_or_warnings(self, root, name):
        cells = [c for c in read(root, name)["cells"] if c["cell_type"] == "code"]
        assert [c["execution_count"] for c in cells] == list(range(1, len(cells) + 1))
        for output in outputs(read(root, name)):
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr"

    def test_every_picture_has_a_description(self, root, name):
        shown = [
            output["metadata"][kind]["alt"]
            for output in outputs(read(root, name))
            for kind in output.get("data", {})
            if kind.startswith("image/")
        ]
        assert len(shown) >= 3
        assert all(len(alt) > 40 for alt in shown)

    def test_opens_with_what_it_shows_and_ends_with_things_to_try(self, root, name):
        cells = read(root, name)["cells"]
        assert text(cells[0]).startswith(f"# {int(name[:2])}. ")
        assert len(text(cells[0])) > 300
        assert "## Things to try\n" in text(cells[-1])

    def test_is_small_and_of_no_machine(self, root, name):
        path = root / "notebooks" / f"{name}.ipynb"
        assert path.stat().st_size < 2e6
        content = path.read_text(encoding="utf-8")
        assert "/home/" not in content
        assert str(root) not in content

    def test_leads_to_the_next(self, root, name):
        number = NOTEBOOKS.index(name) + 1
        if number < len(NOTEBOOKS):
            assert f"({NOTEBOOKS[number]}.ipynb)" in text(read(root, name)["cells"][-1])


def test_the_article_is_credited(root):
    first = text(read(root, NOTEBOOKS[0])["cells"][0])
    assert "Shalise S. Ayromloo, PhD" in first
    assert "Introduction to Recurrent Neural Networks" in first
