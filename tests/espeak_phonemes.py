"""What espeak-ng makes of a text: its phonemes, word by word."""

import _ctypes
import ctypes
from collections.abc import Sequence

from symile_data.builders.m3.audio.espeak import _engine

_SYNCHRONOUS, _DONT_EXIT = 2, 0x8000
_UTF8_AND_PHONEMES = 0x101
_IPA_SEPARATED = (ord("_") << 8) | 2
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)

Words = list[list[str]]  # of one text; a word is its phonemes in IPA


def phonemes(texts: Sequence[str], voice: str) -> list[Words]:
    """The words of each text. A switch to another language is a word such as "(en)".

    The library is loaded afresh and unloaded, as `synthesise` needs it.
    """
    path, data = _engine()
    library = ctypes.CDLL(path)
    callback = _CALLBACK(lambda *_: 0)
    try:
        assert library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DONT_EXIT) > 0
        library.espeak_SetSynthCallback(callback)
        assert library.espeak_SetVoiceByName(voice.encode()) == 0
        # Reading `[[...]]` as phonemes stays switched on after an utterance for which it was asked.
        library.espeak_Synth(b"a\0", ctypes.c_size_t(2), 0, 1, 0, _UTF8_AND_PHONEMES, None, None)
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        found = [_words(library, text) for text in texts]
        library.espeak_Terminate()
        return found
    finally:
        _ctypes.dlclose(library._handle)


def _words(library: ctypes.CDLL, text: str) -> Words:
    buffer = ctypes.create_string_buffer(text.encode())
    rest = ctypes.c_void_p(ctypes.addressof(buffer))
    clauses = []
    while rest.value:
        clauses.append(library.espeak_TextToPhonemes(ctypes.byref(rest), 1, _IPA_SEPARATED).decode())
    spoken = " ".join(clauses).replace("(", " (").replace(")", ") ")
    words = [
        [phoneme for phoneme in word.replace("ˈ", "").replace("ˌ", "").split("_") if phoneme] for word in spoken.split()
    ]
    return [word for word in words if word]
