"""LanceDB: columns on disk with an IVF_HNSW_SQ index, a word index and reciprocal ranks over both."""

import os

# It warns at every question, which would count as its time.
os.environ["LANCEDB_LOG"] = "error"

import lancedb
import pyarrow
from lancedb.index import FTS, Bitmap, HnswSq
from lancedb.rerankers import RRFReranker

import contest


class LanceDb:
    versions = f"lancedb {lancedb.__version__}"
    offers = [
        {"kind": "semantic", "setting": "IVF_HNSW_SQ, ef 64, refine 3", "filters": True},
        {"kind": "semantic", "setting": "IVF_HNSW_SQ, ef 64"},
        {"kind": "keyword", "setting": "FTS, top 10"},
        {"kind": "hybrid", "setting": "IVF_HNSW_SQ + FTS, RRF"},
    ]

    def __init__(self, folder):
        self.db = lancedb.connect(folder)

    def fill(self, data):
        vector = pyarrow.list_(pyarrow.float32(), contest.DIMENSION)
        fields = [("row", pyarrow.int64()), ("text", pyarrow.string()), ("vector", vector)]
        fields += [(label, pyarrow.bool_()) for label in contest.LABELS]
        self.table = self.db.create_table("memories", schema=pyarrow.schema(fields))
        for rows in data.batches(5_000):
            vectors = pyarrow.array(data.vectors[rows.start : rows.stop].ravel())
            columns = {
                "row": list(rows),
                "text": [data.texts[row] for row in rows],
                "vector": pyarrow.FixedSizeListArray.from_arrays(vectors, contest.DIMENSION),
            }
            flags = zip(*(data.flags(row) for row in rows))
            columns.update(zip(contest.LABELS, (list(column) for column in flags)))
            self.table.add(pyarrow.table(columns, schema=pyarrow.schema(fields)))
        self.table.create_index("vector", config=HnswSq(distance_type="cosine", m=16, ef_construction=100))
        self.table.create_index("text", config=FTS())
        for label in contest.LABELS:
            self.table.create_index(label, config=Bitmap())
        self.table.optimize()

    def question(self, kind, setting, label, data):
        def asking(number):
            words, direction = " ".join(data.questions[number]), data.directions[number]
            if kind == "keyword":
                query = self.table.search(words, query_type="fts")
            elif kind == "semantic":
                query = self.near(self.table.search(direction), setting)
            else:
                query = self.table.search(query_type="hybrid").vector(direction).text(words)
                query = query.distance_type("cosine").ef(64).rerank(RRFReranker())
            if label:
                query = query.where(label, prefilter=True)
            return query.select(["row"]).limit(10).to_arrow()["row"].to_pylist()

        return asking

    @staticmethod
    def near(query, setting):
        query = query.distance_type("cosine").ef(64)
        return query.refine_factor(3) if "refine" in setting else query


contest.serve(LanceDb)
