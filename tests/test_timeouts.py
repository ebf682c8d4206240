import os
import threading

import pytest

from echoic.microphone import MicrophoneError, call_sound_system
from echoic.timeouts import CallTimeoutError, call_with_timeout, start_call


def test_gives_the_result_or_the_error():
    assert call_with_timeout(lambda: 42, seconds=10, what="It") == 42
    with pytest.raises(ZeroDivisionError):
        call_with_timeout(lambda: 1 / 0, seconds=10, what="It")


def test_a_timeout_of_the_call_itself_is_no_timeout_of_the_wait():
    def call():
        raise TimeoutError("of the network")

    with pytest.raises(TimeoutError, match="of the network") as caught:
        call_with_timeout(call, seconds=10, what="It")
    assert not isinstance(caught.value, CallTimeoutError)


def test_gives_up_and_restores_stderr(capfd):
    release = threading.Event()
    devnull = os.open(os.devnull, os.O_WRONLY)

    def hang():
        os.dup2(devnull, 2)
        release.wait()

    try:
        with pytest.raises(CallTimeoutError, match=r"^The call has not answered for 0\.3 s\.$"):
            call_with_timeout(hang, seconds=0.3, what="The call")
        os.write(2, b"still heard")
        assert capfd.readouterr().err == "still heard"
        with pytest.raises(MicrophoneError, match="The sound system has not answered for 0.1 s. R"):
            call_sound_system(release.wait, seconds=0.1)
    finally:
        release.set()
        os.close(devnull)


def test_a_call_that_was_begun_keeps_what_it_raises():
    future = start_call(lambda: 1 / 0)
    assert isinstance(future.exception(timeout=10), ZeroDivisionError)
