"""The one decoder of sound, with its limits inside.

What a file's header says is not believed: seconds and bytes are counted while they are decoded.
The format is told by the first bytes, not by the name, and only that format's reader is opened;
FFmpeg would otherwise also follow playlists to other files.

Dimension key, for the whole file:
    C  channels      T  samples
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from luthier.errors import DataError, missing_extra

if TYPE_CHECKING:
    import av

Wave = NDArray[np.float32]
"""`(T,)` samples of one channel, about -1 to 1."""

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac")
FORMATS = "WAV, FLAC, MP3, OGG, M4A"
MAX_BYTES = 256 * 2**20
"""Of a file."""
MAX_DECODED_BYTES = 2 * 2**30
"""Of all channels at the file's own rate."""
MAX_CHANNELS = 8
MAX_SECONDS = 600.0
"""Of one sound; whoever asks may allow fewer, or more."""
RATES = (1_000, 384_000)
"""The lowest and the highest sampling rate, in samples a second."""
MISSING_SHARE, MISSING_SECONDS = 0.01, 0.1
"""What may be missing of the length that a header says before a file counts as cut off."""
UNKNOWN_BYTES = 0x7FFF_0000
"""A WAV file that says so many bytes or more was written by who did not know the number."""

_CODECS = ("pcm_", "adpcm_", "flac", "mp3", "vorbis", "opus", "aac", "alac")
_INT_SCALES = {"u1": 2.0**7, "i2": 2.0**15, "i4": 2.0**31, "i8": 2.0**63}


@dataclass(frozen=True)
class Look:
    """What a file says of its sound."""

    rate: int
    """Samples a second."""
    channels: int


def look(data: bytes) -> Look:
    """The rate and the channels of the sound in a file.

    Raises:
        DataError: If it is no sound, or has too many channels. The message does not name the file.
        InputError: If PyAV is not installed.
    """
    with _Opened(data) as sound:
        return sound.look


def decode(data: bytes, rate: int, *, most_seconds: float = MAX_SECONDS, setting: str = "") -> Wave:
    """The sound in a file, as one channel at `rate`.

    Channels are averaged. Another rate is made by FFmpeg's resampler, which takes away what the
    lower rate cannot hold.

    Args:
        data: The whole file.
        rate: Samples a second of what comes out.
        most_seconds: A longer sound is refused, as soon as that much was decoded.
        setting: Where a person set that, for the message.

    Raises:
        DataError: If it is no sound, is damaged or cut off, holds nothing, or passes a limit. The
            message does not name the file.
        InputError: If PyAV is not installed.
    """
    with _Opened(data) as sound:
        by = f" ({setting})" if setting else ""
        wave = np.concatenate([np.zeros(0, np.float32), *sound.waves(rate, most_seconds, by)])
        sound.check_whole()
    if not len(wave):
        raise DataError("holds no sound: 0 seconds")
    if not np.isfinite(wave).all():
        raise DataError("holds samples that are no numbers")
    return wave


def format_of(data: bytes) -> str | None:
    """The name that FFmpeg has for the format of a file, by its first bytes; none if unknown.

    Example:
        >>> format_of(b"RIFF....WAVEfmt "), format_of(b"hello")
        ('wav', None)
    """
    if data[:4] in (b"RIFF", b"RF64") and data[8:12] == b"WAVE":
        return "wav"
    if data[:4] == b"fLaC":
        return "flac"
    if data[:4] == b"OggS":
        return "ogg"
    if data[4:8] == b"ftyp":
        return "mov"
    if data[:3] == b"ID3":
        return "mp3"
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0:
        return "mp3" if data[1] & 0x06 else "aac"  # the layer; ADTS has none
    return None


class _Opened:
    """A file whose format was recognised, with its first sound.

    Args:
        data: The whole file.
    """

    def __init__(self, data: bytes) -> None:
        if not data:
            raise DataError("is empty")
        if len(data) > MAX_BYTES:
            raise DataError(
                f"has {len(data) / 2**20:.0f} MiB; sounds of up to {MAX_BYTES // 2**20} are read"
            )
        name = format_of(data)
        if name is None:
            raise DataError(f"is no sound of a known format ({FORMATS})")
        self._av = _av()
        self._data = data
        self._format = name
        self._seconds = 0.0
        try:
            self._container = self._av.open(io.BytesIO(data), format=name, metadata_errors="ignore")
        except _faults(self._av) as error:
            raise _damaged(error) from None

    def __enter__(self) -> _Opened:
        try:
            self._stream = self._checked()
        except BaseException:
            self._container.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    @property
    def look(self) -> Look:
        """What the file says."""
        codec = self._stream.codec_context
        return Look(rate=codec.sample_rate, channels=codec.channels)

    def waves(self, rate: int, most_seconds: float, by: str) -> Iterator[Wave]:
        """The sound at `rate`, piece by piece."""
        resample = _Resampler(self._av, rate)
        decoded_bytes = 0
        try:
            for frame in self._container.decode(self._stream):
                wave_CT = _channels(frame)
                decoded_bytes += frame.samples * len(wave_CT) * frame.format.bytes
                if not RATES[0] <= frame.sample_rate <= RATES[1]:
                    raise DataError(_bad_rate(frame.sample_rate))
                self._seconds += frame.samples / frame.sample_rate
                if self._seconds > most_seconds:
                    raise DataError(f"is longer than {most_seconds:,g} seconds{by}")
                if decoded_bytes > MAX_DECODED_BYTES:
                    raise DataError(f"decodes to more than {MAX_DECODED_BYTES // 2**30} GiB")
                yield from resample(wave_CT.mean(0, dtype=np.float32), frame.sample_rate)
            yield from resample.rest()
        except _faults(self._av) as error:
            raise _damaged(error) from None

    def check_whole(self) -> None:
        """Refuse a file that ends before what its header says."""
        stream, said = self._stream, 0.0
        if self._format == "wav":  # FFmpeg gives what is there as the length
            said = self._seconds * _said_of_held(self._data)
        elif self._format in ("flac", "mov") and stream.duration:
            said = float(stream.duration * stream.time_base)
        # The lengths of the others are guesses.
        missing = said - self._seconds
        if missing > MISSING_SECONDS and missing > MISSING_SHARE * said:
            raise DataError(
                f"is damaged or cut off: it says {said:,.1f} seconds, and holds "
                f"{self._seconds:,.1f}"
            )

    def _checked(self) -> Any:
        streams = self._container.streams.audio
        if not streams:
            raise DataError("holds no sound")
        codec = streams[0].codec_context
        if codec is None or not codec.name.startswith(_CODECS):
            name = "an unknown code" if codec is None else codec.name
            raise DataError(f"is coded as {name}; wanted {FORMATS}")
        if not 1 <= codec.channels <= MAX_CHANNELS:
            raise DataError(f"has {codec.channels} channels; up to {MAX_CHANNELS} are read")
        if not RATES[0] <= codec.sample_rate <= RATES[1]:
            raise DataError(_bad_rate(codec.sample_rate))
        return streams[0]


class _Resampler:
    """Brings pieces of one channel to a rate.

    Args:
        library: PyAV.
        rate: Samples a second of what comes out.
    """

    def __init__(self, library: Any, rate: int) -> None:
        self._av = library
        self._rate = rate
        self._own = library.AudioResampler(format="flt", layout="mono", rate=rate)
        self._used = False

    def __call__(self, wave: Wave, rate: int) -> Iterator[Wave]:
        """The next piece, which is at `rate`."""
        if rate == self._rate and not self._used:
            yield wave
            return
        self._used = True
        frame = self._av.AudioFrame.from_ndarray(wave[None], format="flt", layout="mono")
        frame.sample_rate = rate
        yield from map(_mono, self._own.resample(frame))

    def rest(self) -> Iterator[Wave]:
        """What it holds back."""
        if self._used:
            yield from map(_mono, self._own.resample(None))


def _mono(frame: av.AudioFrame) -> Wave:
    wave: Wave = frame.to_ndarray().reshape(-1).astype(np.float32)
    return wave


def _channels(frame: av.AudioFrame) -> NDArray[np.float32]:
    """`(C, T)`, about -1 to 1."""
    values = frame.to_ndarray()
    channels = len(frame.layout.channels)
    if channels > MAX_CHANNELS:
        raise DataError(f"has {channels} channels; up to {MAX_CHANNELS} are read")
    if not frame.format.is_planar:
        values = values.reshape(-1, channels).T
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    scale = _INT_SCALES[values.dtype.str[1:]]
    zero = scale if values.dtype.kind == "u" else 0.0
    return ((values.astype(np.float64) - zero) / scale).astype(np.float32)


def _said_of_held(wav: bytes) -> float:
    """The length of the samples that a WAV file says, divided by what there is of them."""
    at = wav.find(b"data", 12)
    size = int.from_bytes(wav[at + 4 : at + 8], "little")
    held = len(wav) - at - 8
    # Who wrote it as a stream did not know the length, and said nothing or the most.
    return size / held if at >= 0 and held > 0 and 0 < size < UNKNOWN_BYTES else 0.0


def _av() -> Any:
    try:
        import av
    except ImportError:
        raise missing_extra("av", "speech") from None
    av.logging.set_level(None)
    return av


def _faults(library: Any) -> tuple[type[Exception], ...]:
    """What PyAV raises on damaged bytes."""
    return (library.error.FFmpegError, ValueError, OverflowError, EOFError, MemoryError)


def _damaged(error: Exception) -> DataError:
    if isinstance(error, DataError):
        return error
    return DataError(f"is damaged or cut off: {_reason(error)}")


def _reason(error: Exception) -> str:
    said = getattr(error, "strerror", None) or str(error)
    return str(said)[:1].lower() + str(said)[1:]


def _bad_rate(rate: int) -> str:
    return f"has {rate:,} samples a second; {RATES[0]:,} to {RATES[1]:,} are read"
