"""Writes `personal_data.jsonl`, the labelled texts that the detector is measured on.

    python3 -m venv /tmp/eval && /tmp/eval/bin/pip install Faker==40.54.0
    /tmp/eval/bin/python generate.py

The sentences are the frames of `frames/*.txt`; a line `%%` or `%% 3` ends the frame above it and
opens the next one, the number says how many texts it makes. `⟦kind:variant⟧` is a labelled value,
`⟦~kind:argument⟧` one that is not personal, and `#name` at the end repeats a value. Each text draws
from a generator seeded with its frame, so that a new frame leaves the other texts as they are. The
same version of Faker gives the same bytes.
"""

import hashlib
import ipaddress
import json
import random
import re
from collections import Counter
from pathlib import Path

import faker

import checksums
from values import Values

FAKER_VERSION = "40.54.0"
SEED = 20240611
HERE = Path(__file__).parent
TYPES = ["email", "phone", "credit_card", "iban", "us_ssn", "national_id", "ip_address", "url",
         "path", "secret"]
LEAST = {"phone": 120, "email": 120, "secret": 150}
SLOT = re.compile(r"⟦(~?)([a-z_0-9]+)(?::([^⟧#]*))?(?:#([a-z0-9]+))?⟧")
WRONG = {"wrong_card": checksums.luhn, "wrong_iban": checksums.iban,
         "wrong_ssn": checksums.us_ssn, "order": checksums.luhn}


def frames(path, default):
    """Yields the frames of a file with the number of texts each makes."""
    text = path.read_text(encoding="utf-8")
    for part in re.split(r"^%%", text, flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        body = body.removesuffix("\n")
        yield body, int(head) if head.strip() else default(body)


def render(frame, index):
    """Returns a text with its spans and the values that were drawn for it."""
    values = Values(random.Random(f"{SEED}:{frame}:{index}"))
    text, spans, drawn, known, position = "", [], [], {}, 0
    for slot in SLOT.finditer(frame):
        text += frame[position:slot.start()]
        position = slot.end()
        filler, kind, variant, name = slot.groups()
        if name is None or (kind, name) not in known:
            make = values.filler if filler else values.labelled
            known[kind, name] = make(kind, variant or "")
        value = known[kind, name]
        if not filler:
            spans.append({"type": kind, "start": len(text), "end": len(text) + len(value)})
        drawn.append((kind, variant or "", value))
        text += value
    return text + frame[position:], spans, drawn


def build():
    """Returns every text, once, in an order that a new frame does not disturb."""
    texts, seen = [], set()
    defaults = {"personal": lambda _: 2, "clean": lambda body: 3 if SLOT.search(body) else 1}
    for name, default in defaults.items():
        for frame, count in frames(HERE / "frames" / f"{name}.txt", default):
            for index in range(count):
                text, spans, drawn = render(frame, index)
                assert bool(spans) == (name == "personal"), f"in the wrong file: {frame}"
                assert "⟦" not in text and "⟧" not in text, f"a slot was not filled: {text}"
                if text in seen:
                    continue
                seen.add(text)
                texts.append({"frame": frame, "index": index, "text": text, "spans": spans,
                              "drawn": drawn})
    return sorted(texts, key=place)


def place(text):
    return hashlib.sha256(f"{text['frame']}:{text['index']}".encode()).digest()


def check_value(kind, variant, value):
    """Checks what its kind promises of a labelled value, or of a near miss."""
    if kind in WRONG:
        assert not WRONG[kind](value), (kind, value)
    elif kind == "credit_card":
        assert checksums.luhn(value), value
    elif kind == "iban":
        assert checksums.iban(value), value
    elif kind == "us_ssn":
        assert checksums.us_ssn(value), value
    elif kind == "national_id":
        assert checksums.NATIONAL[variant.partition(".")[0]](value), (variant, value)
    elif kind == "ip_address":
        assert ipaddress.ip_address(value).is_global, value
    elif kind in ("private_ip", "documentation_ip"):
        assert not ipaddress.ip_address(value).is_global, value
    elif kind == "email":
        assert re.fullmatch(r"[^\s@]+@[^\s@]+\.[^\s@.]+", value) and "example" not in value, value
    elif kind == "phone":
        assert 8 <= len(checksums.digits(value)) <= 20, value


def check_text(text):
    covered = set()
    labelled = [d for d in text["drawn"] if d[0] in TYPES]
    for span, (kind, _, value) in zip(text["spans"], labelled, strict=True):
        assert span["type"] == kind and text["text"][span["start"]:span["end"]] == value, text
        assert value == value.strip() and value, text
        places = set(range(span["start"], span["end"]))
        assert not places & covered, f"spans overlap: {text}"
        covered |= places
    starts = {span["start"] for span in text["spans"]}
    for _, _, value in labelled:
        for match in re.finditer(re.escape(value), text["text"]):
            assert match.start() in covered or match.start() in starts, f"not labelled: {text}"
    for drawn in text["drawn"]:
        check_value(*drawn)


def check(texts):
    for text in texts:
        check_text(text)
    reuse = Counter(text["frame"] for text in texts)
    # A frame that differs from another by its values only is the same frame.
    shapes = Counter(re.sub(r"\W+", " ", SLOT.sub("·", frame)) for frame in reuse)
    assert max(shapes.values()) == 1, shapes.most_common(3)
    assert max(reuse.values()) <= 5, reuse.most_common(1)
    assert len(reuse) >= 400
    assert len(texts) >= 1000
    assert len({text["text"] for text in texts}) == len(texts), "a text is there twice"
    clean = sum(not text["spans"] for text in texts)
    assert clean >= 0.4 * len(texts)
    counts = Counter(span["type"] for text in texts for span in text["spans"])
    assert set(counts) == set(TYPES)
    for kind in TYPES:
        assert counts[kind] >= LEAST.get(kind, 60), (kind, counts[kind])
    report(texts, reuse, clean, counts)


def report(texts, reuse, clean, counts):
    print(f"{'texts':<16}{len(texts):>6}")
    print(f"{'without spans':<16}{clean:>6}  {clean / len(texts):.1%}")
    print(f"{'frames':<16}{len(reuse):>6}  used at most {max(reuse.values())} times")
    beyond_ascii = sum(not text["text"].isascii() for text in texts)
    print(f"{'beyond ASCII':<16}{beyond_ascii:>6}")
    for kind in TYPES:
        print(f"{kind:<16}{counts[kind]:>6}")


def main():
    assert faker.VERSION == FAKER_VERSION, f"needs Faker {FAKER_VERSION}, not {faker.VERSION}"
    texts = build()
    check(texts)
    with (HERE / "personal_data.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for text in texts:
            line = {"text": text["text"], "spans": text["spans"]}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
