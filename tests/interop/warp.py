"""Speech that was sent too slowly: compares what was said with what was heard when the two do not share a clock.

The reference's room sender sleeps a whole frame after it has encoded one, so its 20 ms frames leave every 25 to 35 ms. A
receiver in real time has to fill a third of the time with concealment: the judge, which looks for one delay, is of no use.
Here the spectra of both are aligned by dynamic time warping; the result is the mean correlation along the best path. Other
speech aligned in the same way is the control: the number means nothing without it."""
import array
import cmath
import math
import subprocess

RATE_HZ = 8000
WINDOW = 256
HOP = 160
BANDS_HZ = (200, 320, 440, 570, 710, 860, 1030, 1230, 1460, 1740, 2080, 2500, 3000, 3600)
QUIET_DB = 30  # below the loudest frame: a pause, without a spectrum worth comparing


def _fft(values):
    if len(values) == 1:
        return values
    even, odd = _fft(values[0::2]), _fft(values[1::2])
    turned = [cmath.exp(-2j * math.pi * k / len(values)) * odd[k] for k in range(len(odd))]
    return [e + t for e, t in zip(even, turned)] + [e - t for e, t in zip(even, turned)]


def _frames(path):
    """For each frame its level in dB and the shape of its spectrum: band levels of mean 0 and length 1."""
    raw = subprocess.run(["sox", str(path), "-r", str(RATE_HZ), "-c", "1", "-b", "16", "-e", "signed", "-t", "raw", "-"],
                         check=True, capture_output=True).stdout
    samples = array.array("h", raw)
    window = [0.5 - 0.5 * math.cos(2 * math.pi * i / WINDOW) for i in range(WINDOW)]
    edges = [round(hz * WINDOW / RATE_HZ) for hz in BANDS_HZ]
    frames = []
    for start in range(0, len(samples) - WINDOW, HOP):
        power = [abs(x) ** 2 for x in _fft([s * w for s, w in zip(samples[start:start + WINDOW], window)])]
        bands = [10 * math.log10(sum(power[low:max(high, low + 1)]) + 1) for low, high in zip(edges, edges[1:])]
        mean = sum(bands) / len(bands)
        shape = [band - mean for band in bands]
        length = math.sqrt(sum(value * value for value in shape)) or 1
        frames.append((max(bands), [value / length for value in shape]))
    loudest = max(level for level, _ in frames)
    return [shape for level, shape in frames if level > loudest - QUIET_DB]


def similarity(sent, got):
    """Mean correlation of the spectra along the best alignment, at most 1. Each pair of frames counts once."""
    said, heard = _frames(sent), _frames(got)
    before = None
    for shape in said:
        row = []
        for column, other in enumerate(heard):
            here = 1 - sum(a * b for a, b in zip(shape, other))
            ways = []
            if before is None:
                ways.append((0.0, 0))
            if column:
                ways.append(row[column - 1])
            if before is not None:
                ways.append(before[column])
                if column:
                    ways.append(before[column - 1])
            cost, steps = min(ways)
            row.append((cost + here, steps + 1))
        before = row
    cost, steps = before[-1]
    return 1 - cost / steps
