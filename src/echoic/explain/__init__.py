"""Looking inside a network.

activations.py   trace()                 hidden states, gates and outputs of each layer
attribution.py   occlusion() gradient()  influence of each moment on a decision
recall.py        measure()               how far back small networks remember
pictures.py      explained() recall()    pictures of all three
icebreaker.py    IceBreaker              the memory game, played by voice

A module is imported when it is first used: the game needs no Keras.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["activations", "attribution", "icebreaker", "pictures", "recall"],
    submod_attrs={
        "activations": ["Trace", "trace", "trace_network"],
        "attribution": ["Influence", "gradient", "occlusion"],
        "icebreaker": ["IceBreaker"],
        "pictures": ["explained", "explanation"],
    },
)
