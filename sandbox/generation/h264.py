"""Encodes a still as H.264 video (ITU-T H.264): the image once, then frames that repeat it.

The image is not compressed: each of its macroblocks is an I_PCM one (7.3.5), which needs no encoder
and is exact. All macroblocks of the other frames are skipped, which takes a few bytes per frame.
"""

from typing import Final

from PIL import Image

#: Side of a macroblock in pixels; both sides of a video are multiples of it.
BLOCK: Final = 16
#: Level 5.1 allows frames of 36864 macroblocks (A.3.1), which is more than 3840 x 2176.
LEVEL: Final = 51
#: Constrained Baseline, the profile that every decoder knows (A.2.1.1).
PROFILE: Final = 66
CONSTRAINTS: Final = 0b1100_0000
#: Bits of `frame_num`, after which it starts again at 0.
FRAME_NUMBER_BITS: Final = 4
#: Start of each I_PCM macroblock after the first: `mb_type` 25 and the bits up to the next byte.
PCM_START: Final = b"\x0d\x00"
#: Range of samples: limited, which is what players assume (E.2.1, video_full_range_flag).
LUMA: Final = [round(16 + value * 219 / 255) for value in range(256)]
CHROMA: Final = [round(128 + (value - 128) * 224 / 255) for value in range(256)]


class _Bits:
    """Writes syntax elements (7.2, 9.1)."""

    def __init__(self) -> None:
        self._bits = ""

    def fixed(self, *fields: tuple[int, int]) -> "_Bits":
        """Append numbers of a fixed width, each as `(value, width)`."""
        self._bits += "".join(f"{value:0{width}b}" for value, width in fields)
        return self

    def golomb(self, *values: int) -> "_Bits":
        """Append numbers in Exp-Golomb code: ue(v), or se(v) for 0."""
        for value in values:
            digits = f"{value + 1:b}"
            self._bits += "0" * (len(digits) - 1) + digits
        return self

    def padded(self) -> bytes:
        """Return the bytes, with zeros up to a whole byte."""
        bits = self._bits + "0" * (-len(self._bits) % 8)
        return int(bits, 2).to_bytes(len(bits) // 8, "big")

    def ended(self) -> bytes:
        """Return the bytes with the trailing bits that end a payload (7.3.2.11)."""
        return self.fixed((1, 1)).padded()


def parameter_sets(width: int, height: int) -> tuple[bytes, bytes]:
    """Return the NAL units of the sequence and the picture parameter set (7.3.2.1, 7.3.2.2)."""
    sequence = _Bits().fixed((PROFILE, 8), (CONSTRAINTS, 8), (LEVEL, 8))
    # Identifier; bits of frame_num, less 4; frames are shown in the order they come (type 2); one
    # reference frame.
    sequence.golomb(0, FRAME_NUMBER_BITS - 4, 2, 1).fixed((0, 1))
    sequence.golomb(width // BLOCK - 1, height // BLOCK - 1)
    # Frames only; 8x8 inference; neither cropping nor usability information.
    sequence.fixed((1, 1), (1, 1), (0, 1), (0, 1))
    picture = _Bits().golomb(0, 0)
    # CAVLC; one slice group; one reference frame; no weighted prediction; default quantizers; the
    # deblocking filter can be switched off.
    picture.fixed((0, 1), (0, 1)).golomb(0, 0, 0).fixed((0, 1), (0, 2)).golomb(0, 0, 0)
    picture.fixed((1, 1), (0, 1), (0, 1))
    return b"\x67" + _escaped(sequence.ended()), b"\x68" + _escaped(picture.ended())


def key_frame(picture: Image.Image) -> bytes:
    """Return the NAL unit of the frame that shows an image, whose sides are multiples of 16."""
    # First macroblock; I slices only (7); parameter set; frame_num; idr_pic_id; reference marking;
    # quantizer; no deblocking; the first mb_type.
    header = _Bits().golomb(0, 7, 0).fixed((0, FRAME_NUMBER_BITS)).golomb(0)
    header.fixed((0, 1), (0, 1)).golomb(0, 1, 25)
    # No sample is 0, so that nothing below looks like a start code.
    return b"\x65" + header.padded() + PCM_START.join(_macroblocks(picture)) + b"\x80"


def repeated_frame(number: int, width: int, height: int) -> bytes:
    """Return the NAL unit of the `number`th frame after a key frame, which shows the same."""
    frame_number = number % (1 << FRAME_NUMBER_BITS)
    # First macroblock; P slices only (5); parameter set; frame_num; no override, no reordering, no
    # marking; quantizer; no deblocking; all macroblocks are skipped.
    header = _Bits().golomb(0, 5, 0).fixed((frame_number, FRAME_NUMBER_BITS))
    header.fixed((0, 1), (0, 1), (0, 1)).golomb(0, 1, width * height // BLOCK**2)
    return b"\x41" + _escaped(header.ended())


def _macroblocks(picture: Image.Image) -> list[bytes]:
    """Return the samples of every macroblock: luma, then both colours at half the resolution."""
    width, height = picture.size
    luma, *colours = picture.convert("YCbCr").split()
    half = width // 2, height // 2
    bright = luma.point(LUMA).tobytes()
    blue, red = (
        colour.resize(half, Image.Resampling.BOX).point(CHROMA).tobytes() for colour in colours
    )
    return [
        _block(bright, width, x, y, BLOCK)
        + _block(blue, half[0], x // 2, y // 2, BLOCK // 2)
        + _block(red, half[0], x // 2, y // 2, BLOCK // 2)
        for y in range(0, height, BLOCK)
        for x in range(0, width, BLOCK)
    ]


def _block(plane: bytes, stride: int, x: int, y: int, side: int) -> bytes:
    """Return a square of a plane, row by row."""
    start = y * stride + x
    return b"".join(plane[row : row + side] for row in range(start, start + side * stride, stride))


def _escaped(payload: bytes) -> bytes:
    """Return a payload with the bytes that keep it from looking like a start code (7.4.1)."""
    safe = bytearray()
    zeros = 0
    for value in payload:
        if zeros >= 2 and value <= 3:  # noqa: PLR2004 - two zeros, and the values that may not follow
            safe.append(3)
            zeros = 0
        safe.append(value)
        zeros = 0 if value else zeros + 1
    return bytes(safe)
