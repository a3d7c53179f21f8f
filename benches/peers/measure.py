"""What the scripts beside this one share: arguments, inputs, memory, the clock, the line that is printed.

Each of them does what benches/src does on lexmax's side: the same inputs, the same allocator settings,
a small call first, the memory of a first call, a check of the answer, then repetitions by a budget.
"""

import argparse
import ctypes
import gc
import json
import os
import re
import sys
import time
from pathlib import Path

import numpy

GOLDEN = 0.6180339887498949
LEAST, LEAST_OF_ALL, MOST, LIMIT, WARM = 7, 3, 300, 4, 20.0  # as in benches/src/clock.rs
CHECKED = 8  # rows whose answer is compared with f64
TOLERANCE = 1e-3


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected an integer of at least 1")
    return value


def arguments(doc, layers, variants, tasks):
    """The same options for every script; also says how many threads OpenMP may start, so call it before torch is loaded."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layer", required=True, choices=layers)
    parser.add_argument("--variant", required=True, choices=variants)
    parser.add_argument("--task", required=True, choices=tasks)
    for name, what in [("rows", "N"), ("width", "D"), ("classes", "V"), ("threads", "")]:
        parser.add_argument(f"--{name}", required=True, type=positive, metavar=what or "THREADS")
    parser.add_argument("--seconds", required=True, type=float, help="budget for the repetitions")
    parser.add_argument("--corpus", type=Path, metavar="FOLDER",
                        help="what a language model reads; without it, ids by Zipf's law")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    return args


def zipf_targets(rows, classes):
    """Quantiles frac(i phi), i = 1..N, of Zipf's law: the ids that lexmax's side has."""
    sums = numpy.cumsum(1.0 / numpy.arange(1, classes + 1, dtype=numpy.float64))
    mass = numpy.modf(numpy.arange(1, rows + 1, dtype=numpy.float64) * GOLDEN)[0] * sums[-1]
    return numpy.minimum(numpy.searchsorted(sums, mass, side="right"), classes - 1)


def training_ids(corpus):
    """The training split of a corpus that lexmax made, and the corpus's name."""
    name = re.search(r'^name = "(.*)"$', (corpus / "corpus.toml").read_text(encoding="utf-8"), re.MULTILINE)
    if name is None:
        raise ValueError(f"{corpus}/corpus.toml: expected a line with its name")
    return numpy.fromfile(corpus / "train.bin", dtype="<u4").astype(numpy.int64), name[1]


def libc():
    """glibc, or None elsewhere."""
    try:
        library = ctypes.CDLL("libc.so.6")
        return library if hasattr(library, "malloc_trim") else None
    except OSError:
        return None


def keep_freed_memory():
    """The settings of crates/lab/src/allocator.rs: freed blocks stay in the process, on both sides."""
    library = libc()
    if library is not None:
        for parameter, value in [(-4, 0), (-1, 2**31 - 1), (-2, 64 << 20)]:  # MMAP_MAX, TRIM_THRESHOLD, TOP_PAD
            library.mallopt(parameter, value)


def kibibytes(name):
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(name + ":"):
                return int(line.split()[1])
    return 0


def memory_rise(call):
    """Bytes by which the resident memory rises at its peak, None where the system does not tell; and the call's seconds."""
    gc.collect()
    library = libc()
    if library is not None:
        library.malloc_trim(0)
    try:
        before = kibibytes("VmRSS")
        with open("/proc/self/clear_refs", "w", encoding="ascii") as clear:
            clear.write("5")
    except OSError:
        before = None
    start = time.perf_counter()
    call()
    seconds = time.perf_counter() - start
    rise = None if before is None else 1024 * max(0, kibibytes("VmHWM") - before)
    return rise, seconds


def repeat(budget, first, prepare, run):
    """Milliseconds of each repetition; `first` is what one call took. As in benches/src/clock.rs."""
    keep_freed_memory()  # not before: the memory of a call is measured without the holes that this leaves
    limit = LIMIT * budget
    if first < WARM:  # else the first repetition would fault all pages in again
        prepare()
        run()
    started, times = time.perf_counter(), []
    while len(times) < MOST:
        prepare()
        start = time.perf_counter()
        run()
        now = time.perf_counter()
        times.append(1e3 * (now - start))
        enough = (len(times) >= LEAST and now - started >= budget) or now - started >= limit
        if enough and len(times) >= LEAST_OF_ALL:
            break
    return times


def finish(args, side, software, times, extra_bytes, deviation, corpus=None):
    """Refuses a wrong answer; prints the line, and the median for people on standard error."""
    if deviation is not None and not deviation < TOLERANCE:
        sys.exit(f"{args.layer} {args.task} ({args.variant}): off from f64 by {deviation}, "
                 f"expected less than {TOLERANCE}")
    line = {"side": side, "layer": args.layer, "variant": args.variant, "task": args.task,
            "rows": args.rows, "width": args.width, "classes": args.classes, "threads": args.threads,
            "software": software, "ms": times, "extra_bytes": extra_bytes, "deviation": deviation}
    if corpus is not None:
        line["corpus"] = corpus
    print(json.dumps(line, allow_nan=False), flush=True)
    low, median, high = numpy.percentile(times, [25, 50, 75])
    print(f"{args.layer} {args.task} ({args.variant}): {median:.3f} ms [{low:.3f}, {high:.3f}], "
          f"{len(times)} repetitions", file=sys.stderr)
