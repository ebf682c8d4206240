"""echoic: a speech command recognizer to train, to speak to, to ship and to look inside.

import echoic

recognizer = echoic.Recognizer.load()
print(recognizer.predict("command.wav"))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from echoic.assistant import Assistant
    from echoic.audio import AudioError
    from echoic.config import (
        AugmentationConfig,
        DataConfig,
        DecoderConfig,
        FeatureConfig,
        ModelConfig,
        Recipe,
        TrainingConfig,
    )
    from echoic.data import DataError
    from echoic.evaluation import (
        evaluate_continuous,
        evaluate_split,
        evaluate_stream,
        evaluate_test_set,
        tune,
    )
    from echoic.features import mfcc
    from echoic.labels import vocabulary
    from echoic.microphone import Microphone
    from echoic.runtime.bundle import Bundle, BundleError
    from echoic.runtime.decoder import Decoder, Detection
    from echoic.runtime.recognizer import Posterior, Prediction, Recognizer, StreamingRecognizer
    from echoic.training import train

# Where each public name lives; it is imported when it is first asked for, so that `import echoic`
# costs nothing and listening needs no training framework.
_HOMES = {
    "Assistant": "assistant",
    "AudioError": "audio",
    "AugmentationConfig": "config",
    "Bundle": "runtime.bundle",
    "BundleError": "runtime.bundle",
    "DataConfig": "config",
    "DataError": "data",
    "Decoder": "runtime.decoder",
    "DecoderConfig": "config",
    "Detection": "runtime.decoder",
    "FeatureConfig": "config",
    "Microphone": "microphone",
    "ModelConfig": "config",
    "Posterior": "runtime.recognizer",
    "Prediction": "runtime.recognizer",
    "Recipe": "config",
    "Recognizer": "runtime.recognizer",
    "StreamingRecognizer": "runtime.recognizer",
    "TrainingConfig": "config",
    "evaluate_continuous": "evaluation",
    "evaluate_split": "evaluation",
    "evaluate_stream": "evaluation",
    "evaluate_test_set": "evaluation",
    "mfcc": "features",
    "train": "training",
    "tune": "evaluation",
    "vocabulary": "labels",
}

__all__ = [
    "Assistant",
    "AudioError",
    "AugmentationConfig",
    "Bundle",
    "BundleError",
    "DataConfig",
    "DataError",
    "Decoder",
    "DecoderConfig",
    "Detection",
    "FeatureConfig",
    "Microphone",
    "ModelConfig",
    "Posterior",
    "Prediction",
    "Recipe",
    "Recognizer",
    "StreamingRecognizer",
    "TrainingConfig",
    "__version__",
    "evaluate_continuous",
    "evaluate_split",
    "evaluate_stream",
    "evaluate_test_set",
    "mfcc",
    "train",
    "tune",
    "vocabulary",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"echoic.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'echoic' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
