"""From a frame's samples to BGR: the matrix, range and chroma siting of YCbCr, and the tone mapping of HDR."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.geometry import Size
from twimager.image.pixels import Pixels
from twimager.options import Hdr
from twimager.video.container import UNSPECIFIED, VideoFacts

if TYPE_CHECKING:
    from av import VideoFormat, VideoFrame
    from av.filter import Graph
    from av.video.codeccontext import VideoCodecContext

# Matrices as H.273 numbers them, and as FFmpeg's `scale` names them.
MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}
# Pictures that are larger than this, those of PAL, are HD.
SD_SIZE = (1024, 576)
# Codecs whose chroma lies in the centre of the pixels that share it, unless it is BT.2020's; that of others lies at
# their left side. What a file itself says of it PyAV does not give.
CENTRED = frozenset({"mpeg1video", "mjpeg", "mjpegb", "h261", "h263", "flv1"})
# What the names of formats begin with that are RGB, or gray, whose usual range is full.
WITHOUT_MATRIX = ("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "x2rgb", "x2bgr", "bayer", "pal8", "xyz", "gray",
                  "ya8", "ya16", "mono")  # fmt: skip
EXACT = "accurate_rnd+full_chroma_int+full_chroma_inp+bicubic"
DEEP = 65535

# ITU-R BT.2100-2, tables 4 and 5: the PQ and HLG transfer functions, numbered as in H.273.
PQ, HLG = 16, 18
M1, M2, C1, C2, C3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
HLG_A, HLG_B, HLG_C, HLG_GAMMA = 0.17883277, 0.28466892, 0.55991073, 1.2
# Nits: what PQ can show at most, HDR reference white (ITU-R BT.2408), which is made SDR's white, and the peak of HLG,
# and of what does not say for which display it was mastered.
PQ_PEAK, WHITE, USUAL_PEAK = 10000.0, 203.0, 1000.0
# ITU-R BT.2087, annex 2, inverted: linear RGB of BT.2020 to that of BT.709.
TO_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
LUMINANCE_2020 = np.array([[0.2627, 0.6780, 0.0593]], np.float32)
# ITU-R BT.1886: of an SDR display.
SDR_GAMMA = 2.4


class Coding(NamedTuple):
    """How a frame's samples stand for colours.

    Attributes
    ----------
    matrix : as FFmpeg names it; None if the samples are RGB or gray
    full_range : whether samples use all values; else black is 16 and white 235, of 255
    transfer : PQ or HLG if it is HDR, else None
    guessed : which of "matrix" and "range" were not tagged, and are guessed
    """

    matrix: str | None
    full_range: bool
    transfer: int | None
    guessed: tuple[str, ...]

    @property
    def guess(self) -> str:
        """What was not tagged, and is taken to be what, in words; empty if all was."""
        taken = {"matrix": str(self.matrix), "range": "full range" if self.full_range else "limited range"}
        return f"colours not tagged: taken as {', '.join(taken[one] for one in self.guessed)}" if self.guessed else ""


def coding(pixel_format: str, size: Size, matrix: int | None, full_range: bool | None, transfer: int | None) -> Coding:
    """Return how samples stand for colours: as tagged, else as is usual for the size and the format.

    Parameters
    ----------
    pixel_format : as FFmpeg names it
    size : in pixels; up to PAL's the usual matrix is BT.601, above it BT.709
    matrix, transfer : as tagged, numbered as in ITU-T H.273; None if unspecified
    full_range : as tagged; None if unspecified

    Examples
    --------
    >>> from twimager.video.color import coding
    >>> coding("yuv420p", (720, 576), None, None, None)
    Coding(matrix='bt601', full_range=False, transfer=None, guessed=('matrix', 'range'))
    """
    hdr = transfer if transfer in (PQ, HLG) else None
    usual_range = pixel_format.startswith(("yuvj", *WITHOUT_MATRIX))
    full = usual_range if full_range is None else full_range
    if pixel_format.startswith(WITHOUT_MATRIX):
        return Coding(None, full, hdr, ())
    usual = "bt601" if size[0] <= SD_SIZE[0] and size[1] <= SD_SIZE[1] else "bt709"
    tagged = MATRICES.get(UNSPECIFIED if matrix is None else matrix)
    guessed = [] if tagged else ["matrix"]
    guessed += ["range"] if full_range is None and not usual_range else []
    return Coding(tagged or (usual if hdr is None else "bt2020"), full, hdr, tuple(guessed))


def coding_of_video(facts: VideoFacts) -> Coding:
    """Return how the samples of a video stand for colours."""
    return coding(facts.pixel_format, facts.size, facts.matrix, facts.full_range, facts.transfer)


def _coding_of_frame(frame: VideoFrame, transfer: int) -> Coding:
    matrix = None if frame.colorspace == UNSPECIFIED else int(frame.colorspace)
    full_range = {1: False, 2: True}.get(int(frame.color_range))
    return coding(frame.format.name, (frame.width, frame.height), matrix, full_range, transfer)


def to_bgr(frame: VideoFrame, context: VideoCodecContext, hdr: Hdr) -> Pixels:
    """Return a frame as (h, w, 3) BGR in full range: uint8, or uint16 if its samples have more than 8 bits.

    Parameters
    ----------
    frame : as decoded, progressive
    context : that decoded it, which tells where its chroma lies, and the transfer function
    hdr : whether PQ and HLG are tone-mapped to BT.709 at SDR_GAMMA, with `WHITE` as white, or kept
    """
    code, bits = _coding_of_frame(frame, int(context.color_trc)), frame.format.components[0].bits
    graph = _to_bgr_graph(frame.format.name, (frame.width, frame.height), code, context.name in CENTRED)
    graph.push(frame)
    pixels = np.asarray(graph.pull().to_ndarray())
    if bits > 8:
        pixels = np.asarray(cv2.multiply(pixels, (DEEP / _white(bits, code),) * 4))
    if code.matrix is None and not code.full_range:
        # FFmpeg takes gray and RGB to be of full range, whatever their tags say.
        black = 16 / 219 * (DEEP if bits > 8 else 255)
        pixels = np.asarray(cv2.addWeighted(pixels, 255 / 219, pixels, 0, -black))
    if code.transfer is None or hdr is Hdr.KEEP:
        return pixels
    return tone_mapped(pixels, code.transfer, mastering_peak(frame))


def _white(bits: int, code: Coding) -> int:
    """Return what FFmpeg makes of white in 16 bits: it shifts samples up, and leaves the bits below empty."""
    if code.matrix is None:
        return DEEP
    return ((1 << bits) - 1) << (16 - bits) if code.full_range else 255 << 8


@lru_cache(maxsize=4)
def _to_bgr_graph(name: str, size: Size, code: Coding, centred: bool) -> Graph:
    """Return a graph of FFmpeg's filters from frames of a format to BGR of 8 or 16 bits."""
    from av import VideoFormat
    from av.filter import Graph

    form = VideoFormat(name, *size)
    options = [f"in_range={'pc' if code.full_range else 'tv'}", "out_range=pc", f"flags={EXACT}"]
    if code.matrix is not None:
        across, down = chroma_position(form, code, centred)
        options += [f"in_color_matrix={code.matrix}", f"in_h_chr_pos={across}", f"in_v_chr_pos={down}"]
    graph = Graph()
    source = graph.add_buffer(width=size[0], height=size[1], format=form, time_base=Fraction(1))
    depth = "bgr24" if form.components[0].bits <= 8 else "bgr48le"
    graph.link_nodes(
        source, graph.add("scale", ":".join(options)), graph.add("format", f"pix_fmts={depth}"), graph.add("buffersink")
    ).configure()
    return graph


def chroma_position(form: VideoFormat, code: Coding, centred: bool) -> tuple[int, int]:
    """Return where a format's first chroma sample lies, to the right and down, in 256ths of a luma pixel.

    MPEG-2 and its followers have it at the left, between two lines; BT.2020 on the first pixel of both; MPEG-1 and JPEG
    in the centre of the pixels that share it.
    """
    shared = (64 // form.chroma_width(64), 64 // form.chroma_height(64))
    across, down = (128 * (count - 1) for count in shared)
    if code.matrix == "bt2020":
        return 0, 0
    return (across, down) if centred else (0, down)


def mastering_peak(frame: VideoFrame) -> float:
    """Return the peak, in nits, of the display that HDR was mastered on; USUAL_PEAK if the frame does not say."""
    for data in frame.side_data:
        if data.type.name == "MASTERING_DISPLAY_METADATA":
            # FFmpeg's AVMasteringDisplayMetadata: the last of ten rationals, and whether it is there.
            numbers = np.frombuffer(data, np.int32)
            if numbers[23] and numbers[20] > 0 and numbers[21] > 0:
                return max(WHITE, min(PQ_PEAK, float(numbers[20] / numbers[21])))
    return USUAL_PEAK


def tone_mapped(pixels: Pixels, transfer: int, peak: float) -> Pixels:
    """Return HDR as SDR of BT.709, of the same type: what is dark keeps its light, what is bright is rolled off.

    The curve is the EETF of ITU-R BT.2390-11, 5.4.1, from the peak to `WHITE`, on the greatest of red, green and blue,
    so that hues stay.

    Parameters
    ----------
    pixels : (h, w, 3) BGR in BT.2020, of PQ or HLG, in full range
    transfer : PQ or HLG
    peak : of the display it was mastered on, in nits; HLG's is USUAL_PEAK
    """
    values = np.linspace(0, 1, int(np.iinfo(pixels.dtype).max) + 1)
    rgb = pixels[..., ::-1]
    if transfer == PQ:
        nits = pq_to_nits(values).astype(np.float32)[rgb]
    else:
        peak = USUAL_PEAK
        scene = hlg_to_scene(values).astype(np.float32)[rgb]
        # BT.2100's OOTF.
        nits = scene * (peak * cv2.transform(scene, LUMINANCE_2020) ** (HLG_GAMMA - 1))[..., None]
    # In even steps of PQ, which are those of the eye.
    steps = pq_to_nits(np.linspace(0, 1, 1024))
    ratios = eetf(steps, peak) / np.maximum(steps, 1e-6)
    ratios[0] = 1.0
    linear = nits * np.interp(nits.max(axis=2), steps, ratios).astype(np.float32)[..., None] / WHITE
    sdr = cv2.pow(np.clip(cv2.transform(linear, TO_709), 0, 1), 1 / SDR_GAMMA)
    return np.asarray(np.rint(sdr[..., ::-1] * (len(values) - 1)), pixels.dtype)


def pq_to_nits(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the luminance, in nits, of PQ's code values, 0..1."""
    root = values ** (1 / M2)
    return PQ_PEAK * (np.maximum(root - C1, 0) / (C2 - C3 * root)) ** (1 / M1)


def nits_to_pq(nits: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Return PQ's code values, 0..1, of luminances in nits."""
    power = (np.asarray(nits) / PQ_PEAK) ** M1
    return np.asarray(((C1 + C2 * power) / (1 + C3 * power)) ** M2)


def hlg_to_scene(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the linear light of the scene, 0..1, of HLG's code values, 0..1."""
    return np.where(values <= 0.5, values**2 / 3, (np.exp((values - HLG_C) / HLG_A) + HLG_B) / 12)


def eetf(nits: NDArray[np.float64], peak: float) -> NDArray[np.float64]:
    """Return what a display whose peak is `WHITE` shows for luminances mastered on one of `peak`, all in nits."""
    most = nits_to_pq(peak)
    given = np.minimum(nits_to_pq(nits) / most, 1)
    target = float(nits_to_pq(WHITE) / most)
    if target >= 1:
        return np.minimum(nits, WHITE)
    knee = 1.5 * target - 0.5
    t = np.maximum(given - knee, 0) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * target
    return pq_to_nits(np.where(given < knee, given, spline) * most)
