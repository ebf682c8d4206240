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
    from echoic.augmentation import AugmentationConfig
    from echoic.bundle import Bundle, BundleError
    from echoic.decoder import Decoder, DecoderConfig, Detection
    from echoic.evaluation import (
        evaluate_endless,
        evaluate_split,
        evaluate_stream,
        evaluate_test_set,
        tune,
    )
    from echoic.features import FeatureConfig, mfcc
    from echoic.labels import vocabulary
    from echoic.microphone import Microphone
    from echoic.models import ModelConfig
    from echoic.recognizer import Posterior, Prediction, Recognizer, StreamingRecognizer
    from echoic.speech_commands import DataConfig, DataError
    from echoic.training import Recipe, TrainingConfig, train

# Where each public name lives; it is imported when it is first asked for, so that `import echoic`
# costs nothing and listening needs no training framework.
_HOMES = {
    "Assistant": "assistant",
    "AudioError": "audio",
    "AugmentationConfig": "augmentation",
    "Bundle": "bundle",
    "BundleError": "bundle",
    "DataConfig": "speech_commands",
    "DataError": "speech_commands",
    "Decoder": "decoder",
    "DecoderConfig": "decoder",
    "Detection": "decoder",
    "FeatureConfig": "features",
    "Microphone": "microphone",
    "ModelConfig": "models",
    "Posterior": "recognizer",
    "Prediction": "recognizer",
    "Recipe": "training",
    "Recognizer": "recognizer",
    "StreamingRecognizer": "recognizer",
    "TrainingConfig": "training",
    "evaluate_endless": "evaluation",
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
    "evaluate_endless",
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
