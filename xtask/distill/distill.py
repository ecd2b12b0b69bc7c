"""Distils a table of word pieces from a BERT-type sentence model.

    distill.py MODEL_DIRECTORY OUTPUT

Every word piece goes through the model alone, between the two end markers; its vector is the mean
of the three outputs ("Model2Vec", Tulkens and van Dongen, 2024, does the same). The mean of all
pieces is subtracted, the first 256 principal components stay, and each row is rounded to int8 with
a scale of its own.

The output begins with one line that names the format, the model, the number of rows and the number
of components. Then follow the rows as int8, the scale of each as a little-endian f32, and one line
per piece of the model's vocabulary: a piece's line number, from 0, is its id. Only pieces of ASCII
letters and digits have a row; the lines of the others are empty.

All arithmetic is f64, so that another machine's rounding changes no int8.
"""

import hashlib
import json
import re
import struct
import sys
from pathlib import Path

import numpy as np

COMPONENTS = 256
# Pieces below are markers and unused places.
FIRST_PIECE = 999
BATCH = 512
SUPPORTED = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
}


class Bert:
    """The forward pass of a BERT encoder (Devlin et al., 2019) over sequences of one length."""

    def __init__(self, directory: Path):
        config = json.loads((directory / "config.json").read_text("utf-8"))
        for key, value in SUPPORTED.items():
            if config[key] != value:
                sys.exit(f"config.json: `{key}` is `{config[key]}`, not `{value}`")
        self.layers = config["num_hidden_layers"]
        self.heads = config["num_attention_heads"]
        self.epsilon = config["layer_norm_eps"]
        self.tensors = read_safetensors(directory / "model.safetensors")

    def __call__(self, ids: np.ndarray) -> np.ndarray:
        """ids [texts, places] -> outputs [texts, places, width]"""
        t = self.tensors
        x = t["embeddings.word_embeddings.weight"][ids]
        x = x + t["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = x + t["embeddings.token_type_embeddings.weight"][0]
        x = self.normalise(x, "embeddings.LayerNorm")
        for layer in range(self.layers):
            name = f"encoder.layer.{layer}."
            attended = self.linear(self.attention(x, name), name + "attention.output.dense")
            x = self.normalise(x + attended, name + "attention.output.LayerNorm")
            inner = gelu(self.linear(x, name + "intermediate.dense"))
            x = x + self.linear(inner, name + "output.dense")
            x = self.normalise(x, name + "output.LayerNorm")
        return x

    def attention(self, x: np.ndarray, name: str) -> np.ndarray:
        texts, places, width = x.shape

        def heads(part: str) -> np.ndarray:
            projected = self.linear(x, f"{name}attention.self.{part}")
            return projected.reshape(texts, places, self.heads, -1).transpose(0, 2, 1, 3)

        query, key, value = heads("query"), heads("key"), heads("value")
        scores = query @ key.transpose(0, 1, 3, 2) / np.sqrt(width // self.heads)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        return (weights @ value).transpose(0, 2, 1, 3).reshape(texts, places, width)

    def linear(self, x: np.ndarray, name: str) -> np.ndarray:
        # One product of two matrices is far faster than one for each text.
        weight, bias = self.tensors[name + ".weight"], self.tensors[name + ".bias"]
        flat = x.reshape(-1, x.shape[-1]) @ weight.T + bias
        return flat.reshape(*x.shape[:-1], -1)

    def normalise(self, x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self.epsilon)
        return centred / deviation * self.tensors[name + ".weight"] + self.tensors[name + ".bias"]


def gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1.0 + erf(x / np.sqrt(2.0)))


def erf(x: np.ndarray) -> np.ndarray:
    """Abramowitz and Stegun 7.1.26; off by 1.5e-7 at most, as much as f32 is."""
    t = 1.0 / (1.0 + 0.3275911 * np.abs(x))
    series = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
    polynomial = np.zeros_like(t)
    for coefficient in series:
        polynomial = (polynomial + coefficient) * t
    return np.sign(x) * (1.0 - polynomial * np.exp(-(x**2)))


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Reads the f32 tensors of a file as f64."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, tensor in header.items():
        if tensor.get("dtype") == "F32":
            start, end = tensor["data_offsets"]
            values = np.frombuffer(data[8 + length + start : 8 + length + end], "<f4")
            tensors[name] = values.reshape(tensor["shape"]).astype(np.float64)
    return tensors


def embed_alone(model: Bert, pieces: int, begin: int, end: int) -> np.ndarray:
    """The mean output of [CLS] piece [SEP], for every piece."""
    means = []
    for first in range(0, pieces, BATCH):
        ids = np.arange(first, min(first + BATCH, pieces))
        texts = np.stack([np.full_like(ids, begin), ids, np.full_like(ids, end)], axis=1)
        means.append(model(texts).mean(axis=1))
        print(f"\r{first + len(ids)} of {pieces} pieces", end="", file=sys.stderr)
    print(file=sys.stderr)
    return np.concatenate(means)


def principal_components(vectors: np.ndarray) -> np.ndarray:
    """The vectors, centred and turned onto their first components."""
    centred = vectors - vectors.mean(axis=0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, np.argsort(values)[::-1][:COMPONENTS]]
    # An axis has no sign of its own: its greatest part is made positive.
    greatest = axes[np.abs(axes).argmax(axis=0), np.arange(COMPONENTS)]
    return centred @ (axes * np.sign(greatest))


def main() -> None:
    directory, output = Path(sys.argv[1]), Path(sys.argv[2])
    vocabulary = (directory / "vocab.txt").read_text("utf-8").split("\n")[:-1]
    begin, end = vocabulary.index("[CLS]"), vocabulary.index("[SEP]")
    vectors = embed_alone(Bert(directory), len(vocabulary), begin, end)
    rows = principal_components(vectors[FIRST_PIECE:])

    plain = re.compile(r"(##)?[a-z0-9]+")
    kept = [bool(plain.fullmatch(piece)) for piece in vocabulary[FIRST_PIECE:]]
    rows = rows[np.array(kept)]
    scales = np.abs(rows).max(axis=1) / 127.0
    rounded = np.rint(rows / scales[:, None]).astype(np.int8)

    lines = [""] * FIRST_PIECE
    lines += [piece if keep else "" for piece, keep in zip(vocabulary[FIRST_PIECE:], kept)]
    table = f"athena-table-1 all-MiniLM-L6-v2 {len(rows)} {COMPONENTS}\n".encode()
    table += rounded.tobytes() + scales.astype("<f4").tobytes()
    table += "".join(line + "\n" for line in lines).encode()
    output.write_bytes(table)
    for path in (directory / "model.safetensors", directory / "vocab.txt", output):
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}")


main()
