"""The packages of the extra `train`: imported by the verbs that need them, named if missing."""

from __future__ import annotations

import os


def import_tensorflow() -> None:
    """Import TensorFlow without its start-up notes."""
    from echoic.files import quiet_stderr

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():
        import keras  # noqa: F401
        import tensorflow as tf  # noqa: F401 (whatever the backend, it writes TFLite)


def missing(verb: str | None, error: ModuleNotFoundError) -> str:
    """Say in one line what to install for a verb."""
    package = str(error.name).partition(".")[0]
    return (
        f"Expected the package {package} for `echoic {verb}`, received none. "
        "Install the extra: pip install 'echoic[train]'"
    )
