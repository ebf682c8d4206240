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
    from echoic.audio import AudioError
    from echoic.augmentation import AugmentationConfig
    from echoic.bundle import Bundle, BundleError
    from echoic.evaluation import evaluate_split, evaluate_test_set
    from echoic.features import FeatureConfig, mfcc
    from echoic.labels import vocabulary
    from echoic.models import ModelConfig
    from echoic.recognizer import Posterior, Prediction, Recognizer, StreamingRecognizer
    from echoic.speech_commands import DataConfig, DataError
    from echoic.training import Recipe, TrainingConfig, train

# Where each public name lives; it is imported when it is first asked for, so that `import echoic`
# costs nothing and listening needs no training framework.
_HOMES = {
    "AudioError": "audio",
    "AugmentationConfig": "augmentation",
    "Bundle": "bundle",
    "BundleError": "bundle",
    "DataConfig": "speech_commands",
    "DataError": "speech_commands",
    "FeatureConfig": "features",
    "ModelConfig": "models",
    "Posterior": "recognizer",
    "Prediction": "recognizer",
    "Recipe": "training",
    "Recognizer": "recognizer",
    "StreamingRecognizer": "recognizer",
    "TrainingConfig": "training",
    "evaluate_split": "evaluation",
    "evaluate_test_set": "evaluation",
    "mfcc": "features",
    "train": "training",
    "vocabulary": "labels",
}

__all__ = [
    "AudioError",
    "AugmentationConfig",
    "Bundle",
    "BundleError",
    "DataConfig",
    "DataError",
    "FeatureConfig",
    "ModelConfig",
    "Posterior",
    "Prediction",
    "Recipe",
    "Recognizer",
    "StreamingRecognizer",
    "TrainingConfig",
    "__version__",
    "evaluate_split",
    "evaluate_test_set",
    "mfcc",
    "train",
    "vocabulary",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"echoic.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'echoic' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
