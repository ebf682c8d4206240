# The public names; `__init__.py` reads here where each lives.

from .assistant import Assistant as Assistant
from .audio import AudioError as AudioError
from .config import AugmentationConfig as AugmentationConfig
from .config import DataConfig as DataConfig
from .config import DecoderConfig as DecoderConfig
from .config import FeatureConfig as FeatureConfig
from .config import ModelConfig as ModelConfig
from .config import Recipe as Recipe
from .config import TrainingConfig as TrainingConfig
from .data import DataError as DataError
from .evaluation import evaluate_continuous as evaluate_continuous
from .evaluation import evaluate_split as evaluate_split
from .evaluation import evaluate_stream as evaluate_stream
from .evaluation import evaluate_test_set as evaluate_test_set
from .evaluation import tune as tune
from .features import mfcc as mfcc
from .labels import vocabulary as vocabulary
from .live.words import listen as listen
from .microphone import FileSource as FileSource
from .microphone import Microphone as Microphone
from .microphone import MicrophoneError as MicrophoneError
from .runtime.bundle import Bundle as Bundle
from .runtime.bundle import BundleError as BundleError
from .runtime.decoder import Decoder as Decoder
from .runtime.decoder import Detection as Detection
from .runtime.recognizer import Posterior as Posterior
from .runtime.recognizer import Prediction as Prediction
from .runtime.recognizer import Recognizer as Recognizer
from .runtime.recognizer import StreamingRecognizer as StreamingRecognizer
from .training import train as train

__version__: str

def missing_package(what: str, error: ModuleNotFoundError) -> str: ...
