"""echoic: a speech command recognizer to train, to listen with, to ship and to look inside.

import echoic

for word in echoic.listen():
    print(word.label, word.time)

print(echoic.Recognizer("gru-12").predict("command.wav"))
"""

from __future__ import annotations

from typing import Any

import lazy_loader

__version__ = "0.1.0"

# The stub names the public names and where each lives; it is imported when it is first used, so
# that `import echoic` costs nothing and listening needs no training framework.
_import_name, _, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ = ["__version__", *__all__]


def __getattr__(name: str) -> Any:
    try:
        return _import_name(name)
    except ModuleNotFoundError as error:
        if (error.name or "echoic").startswith("echoic"):
            raise
        raise ImportError(missing_package(f"echoic.{name}", error), name=error.name) from error


def __dir__() -> list[str]:
    return __all__


def missing_package(what: str, error: ModuleNotFoundError) -> str:
    """Say in one line what to install for something that needs the extra ``train``."""
    package = str(error.name).partition(".")[0]
    return (
        f"Expected the package {package} for `{what}`, received none. "
        "Install the extra: pip install 'echoic[train]'"
    )
