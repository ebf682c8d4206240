"""Run the notebooks in full and store their outputs.

    python notebooks/run.py             # all of them, about eight minutes
    python notebooks/run.py 01 05       # those whose names begin so

`execute` also runs a notebook with other sizes: the values replace those of the cell that is
tagged ``parameters``.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent

START_UP = re.compile(
    r"WARNING: All log messages before absl|[IW]\d{4} |To enable the following instructions|"
    r".*TqdmWarning|  from \.autonotebook import|\s*$"
)
"""Lines that TensorFlow and Jupyter write on stderr about the machine, not about the notebook."""


def execute(path: Path, parameters: dict[str, Any] | None = None) -> nbformat.NotebookNode:
    """Run a notebook from top to bottom; a cell that raises ends it.

    Parameters
    ----------
    path
        Notebook.
    parameters
        Values for names of the cell that is tagged ``parameters``.

    Returns
    -------
    nbformat.NotebookNode
        The notebook with its new outputs.

    Raises
    ------
    ValueError
        ``parameters`` has a name that the cell does not set.
    """
    notebook = nbformat.read(path, as_version=4)
    (cell,) = (c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
    source = cell.source
    known = [line.split(" = ")[0] for line in source.splitlines() if " = " in line]
    if unknown := set(parameters or {}) - set(known):
        raise ValueError(
            f"Expected parameters among {', '.join(known)}, received {', '.join(sorted(unknown))}."
        )
    cell.source = "\n".join(
        [source, *(f"{name} = {value!r}" for name, value in (parameters or {}).items())]
    )
    metadata = dict(notebook.metadata)
    client = NotebookClient(
        notebook,
        timeout=1800,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    for each in notebook.cells:
        if each.cell_type == "code":
            each.outputs = tidied(each.outputs)
    cell.source = source
    notebook.metadata = nbformat.from_dict(metadata)
    return notebook


def tidied(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Leave out notes about the machine, and join what one stream wrote in parts."""
    kept: list[nbformat.NotebookNode] = []
    for output in outputs:
        if output.get("name") == "stderr":
            lines = output.text.splitlines()
            if all(START_UP.match(line) for line in lines):
                continue
        if kept and "name" in output and kept[-1].get("name") == output.name:
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept


def main() -> None:
    wanted = tuple(sys.argv[1:]) or ("",)
    for path in sorted(FOLDER.glob("*.ipynb")):
        if path.name.startswith(wanted):
            begin = time.monotonic()
            nbformat.write(execute(path), path)
            print(f"{path.name}: {time.monotonic() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
