"""Chroma: HNSW with metadata filters. Its open-source form finds words only as substrings."""

import chromadb
from chromadb.config import Settings

import contest


class Chroma:
    versions = f"chromadb {chromadb.__version__}"
    offers = [{"kind": "semantic", "setting": "HNSW M16, ef 100", "filters": True}]

    def __init__(self, folder):
        client = chromadb.PersistentClient(folder, Settings(anonymized_telemetry=False))
        self.collection = client.create_collection(
            "memories",
            embedding_function=None,
            configuration={"hnsw": {"space": "cosine", "max_neighbors": 16, "ef_construction": 100, "ef_search": 100}},
        )

    def fill(self, data):
        for rows in data.batches(1_000):
            self.collection.add(
                ids=[str(row) for row in rows],
                embeddings=data.vectors[rows.start : rows.stop],
                documents=[data.texts[row] for row in rows],
                metadatas=[dict(zip(contest.LABELS, data.flags(row))) for row in rows],
            )

    def question(self, kind, setting, label, data):
        where = {label: True} if label else None

        def asking(number):
            direction = data.directions[number : number + 1]
            answer = self.collection.query(query_embeddings=direction, n_results=10, where=where, include=[])
            return [int(row) for row in answer["ids"][0]]

        return asking


contest.serve(Chroma)
