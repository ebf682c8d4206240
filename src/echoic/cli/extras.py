"""The packages of the extra `train`, imported by the verbs that need them."""

from __future__ import annotations

import os
from importlib.util import find_spec


def import_tensorflow() -> None:
    """Import TensorFlow without its start-up notes."""
    from echoic.files import quiet_stderr

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():
        import keras  # noqa: F401
        import tensorflow as tf  # noqa: F401 (whatever the backend, it writes TFLite)


def require_training() -> None:
    """Refuse to begin a verb that would miss a package later.

    Raises
    ------
    ModuleNotFoundError
        A package of the extra `train` is not installed.
    """
    for package in ("keras", "tensorflow", "librosa", "scipy", "sklearn", "matplotlib", "jinja2"):
        if find_spec(package) is None:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
