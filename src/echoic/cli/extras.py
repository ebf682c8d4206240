"""The packages of the extra `train`, imported by the verbs that need them."""

from __future__ import annotations

import os


def import_tensorflow() -> None:
    """Import TensorFlow without its start-up notes."""
    from echoic.files import quiet_stderr

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():
        import keras  # noqa: F401
        import tensorflow as tf  # noqa: F401 (whatever the backend, it writes TFLite)
