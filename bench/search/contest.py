"""What all peers share: the data, the clock and the conversation with `cargo xtask bench peers`.

A peer is a class with `versions`, `offers`, `fill(data)` and `question(kind, setting, label, data)`,
which returns a function from the number of a question to the numbers of the rows that it finds, best
first. It may have `cpu()`, the CPU seconds of other processes that work for it, and `single(data)`,
which returns a function that stores one more row for good.

A request is a line of JSON on standard input, an answer one on standard output; nothing else may be
written there.
"""

import json
import os
import pathlib
import shutil
import sys
import time
import traceback

import numpy

DIMENSION = 768
LABELS = ["half", "tenth", "hundredth", "thousandth"]
# Seconds that a measurement may take; a slow peer is asked fewer questions.
PATIENCE = 12.0
# Questions that are asked at least, and before anything is measured.
FEWEST = 10
# Rows that are stored one by one.
SINGLES = 50


class Data:
    """Rows and questions as they were exported."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        vectors = numpy.memmap(folder / "vectors.f32", dtype="<f4", mode="r")
        self.vectors = vectors.reshape(-1, DIMENSION)
        self.texts, self.labels = [], []
        for line in open(folder / "rows.jsonl", encoding="utf-8"):
            row = json.loads(line)
            self.texts.append(row["text"])
            self.labels.append(frozenset(row["labels"]))
        asked = [json.loads(line) for line in open(folder / "questions.jsonl", encoding="utf-8")]
        self.questions = [question["text"].split(" ") for question in asked]
        self.directions = numpy.array([question["vector"] for question in asked], dtype="<f4")

    def __len__(self):
        return len(self.texts)

    def batches(self, size):
        """Yields the numbers of the rows, so many at a time."""
        for first in range(0, len(self), size):
            yield range(first, min(first + size, len(self)))

    def flags(self, row):
        """Returns for each label whether a row has it."""
        return [label in self.labels[row] for label in LABELS]


def reciprocal_ranks(*rankings, k=60, limit=10):
    """Joins rankings as most stacks do: the sum of 1 / (k + rank)."""
    scores = {}
    for ranking in rankings:
        for rank, row in enumerate(ranking, 1):
            scores[row] = scores.get(row, 0.0) + 1.0 / (k + rank)
    return sorted(scores, key=lambda row: (-scores[row], row))[:limit]


def megabytes(folder):
    """Returns the size of everything below a folder."""
    files = (path for path in pathlib.Path(folder).rglob("*") if path.is_file())
    return sum(path.stat().st_blocks * 512 for path in files) / 1e6


def serve(make):
    """Answers requests until there are no more. `make(folder)` returns the peer."""
    data_folder, work_folder = sys.argv[1:3]
    # Whatever a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    shutil.rmtree(work_folder, ignore_errors=True)
    os.makedirs(work_folder)
    data = None

    def answer(request):
        nonlocal data
        if data is None:
            data = Data(data_folder)
        if request["do"] == "fill":
            return fill(peer, data, work_folder)
        if request["do"] == "single":
            return single(peer, data)
        return ask(peer, data, request)

    try:
        peer = make(work_folder)
        reply = {"versions": peer.versions, "offers": peer.offers}
    except Exception as error:
        reply = {"error": describe(error)}
    print(json.dumps(reply), file=answers, flush=True)
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as error:
            traceback.print_exc()
            reply = {"error": describe(error)}
        print(json.dumps(reply), file=answers, flush=True)


def describe(error):
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200] if text else ''}"


def cpu(peer):
    """Returns the CPU seconds of this process and of those that work for it."""
    other = getattr(peer, "cpu", None)
    return time.process_time() + (other() if other else 0.0)


def fill(peer, data, folder):
    started, before = time.perf_counter(), cpu(peer)
    peer.fill(data)
    seconds, spent = time.perf_counter() - started, cpu(peer) - before
    size = getattr(peer, "megabytes", None)
    return {
        "seconds": seconds,
        "cpu_s": spent,
        "rows_per_s": len(data) / seconds,
        "disk_mb": size() if size else megabytes(folder),
    }


def ask(peer, data, request):
    asking = peer.question(request["kind"], request["setting"], request["label"], data)
    first = time.perf_counter()
    for number in range(FEWEST):
        asking(number)
    deadline = time.perf_counter() + PATIENCE - (time.perf_counter() - first)
    found, walls = [], []
    before = cpu(peer)
    for number in range(len(data.questions)):
        started = time.perf_counter()
        if started > deadline and number >= FEWEST:
            break
        found.append(asking(number))
        walls.append(time.perf_counter() - started)
    spent = cpu(peer) - before
    walls.sort()
    at = lambda share: walls[min(int(share * len(walls)), len(walls) - 1)] * 1e3
    return {
        "cpu_ms": spent * 1e3 / len(found),
        "p50_ms": at(0.5),
        "p99_ms": at(0.99),
        "found": [[int(row) for row in rows] for rows in found],
    }


def single(peer, data):
    store = getattr(peer, "single", None)
    if store is None:
        return {}
    store = store(data)
    started = time.perf_counter()
    for number in range(SINGLES):
        store(number)
    return {"per_s": SINGLES / (time.perf_counter() - started)}
