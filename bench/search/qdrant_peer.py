"""Qdrant Edge: Qdrant in the process, with HNSW, BM25 as sparse vectors, payload indexes and fusion."""

import importlib.metadata

import qdrant_edge as qdrant

import contest

DENSE, SPARSE = "dense", "words"


class QdrantEdge:
    versions = f"qdrant-edge-py {importlib.metadata.version('qdrant-edge-py')}"
    offers = [
        {"kind": "semantic", "setting": "HNSW M16, ef 32"},
        {"kind": "semantic", "setting": "HNSW M16, ef 64", "filters": True},
        {"kind": "semantic", "setting": "HNSW M16, ef 128"},
        {"kind": "keyword", "setting": "BM25 as sparse vectors"},
        {"kind": "hybrid", "setting": "ef 64, 100 + 100, RRF"},
    ]

    def __init__(self, folder):
        self.words = qdrant.Bm25()
        graph = qdrant.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=10_000)
        config = qdrant.EdgeConfig(
            vectors={DENSE: qdrant.EdgeVectorParams(contest.DIMENSION, qdrant.Distance.Cosine)},
            sparse_vectors={SPARSE: qdrant.EdgeSparseVectorParams(modifier=qdrant.Modifier.Idf)},
            hnsw_config=graph,
            # A small store would else stay without a graph.
            optimizers=qdrant.EdgeOptimizersConfig(indexing_threshold=1_000),
        )
        self.shard = qdrant.EdgeShard.create(folder, config)

    def fill(self, data):
        for label in contest.LABELS:
            # A bool of Python's is taken for a number when it is looked for, and found in no payload of bools.
            self.shard.update(qdrant.UpdateOperation.create_field_index(label, qdrant.PayloadSchemaType.Integer))
        for rows in data.batches(1_000):
            points = [self.point(row, data) for row in rows]
            self.shard.update(qdrant.UpdateOperation.upsert_points(points))
        self.shard.optimize()
        self.shard.flush()

    def point(self, row, data):
        vectors = {DENSE: data.vectors[row].tolist(), SPARSE: self.words.embed_document(data.texts[row])}
        payload = {label: int(flag) for label, flag in zip(contest.LABELS, data.flags(row))}
        return qdrant.Point(row, vectors, {**payload, "text": data.texts[row]})

    def question(self, kind, setting, label, data):
        ef = 64 if kind == "hybrid" else int(setting.rsplit(" ", 1)[1]) if kind == "semantic" else None
        params = qdrant.SearchParams(hnsw_ef=ef)
        only = None
        if label:
            only = qdrant.Filter(must=[qdrant.FieldCondition(label, match=qdrant.MatchValue(1))])
        directions = [direction.tolist() for direction in data.directions]

        def near(number):
            return qdrant.Query.Nearest(directions[number], using=DENSE)

        def with_words(number):
            words = self.words.embed_query(" ".join(data.questions[number]))
            return qdrant.Query.Nearest(words, using=SPARSE)

        def asking(number):
            if kind == "hybrid":
                arms = [
                    qdrant.Prefetch(100, query=near(number), params=params),
                    qdrant.Prefetch(100, query=with_words(number)),
                ]
                request = qdrant.QueryRequest(10, query=qdrant.Fusion.Rrf(60), prefetches=arms)
            else:
                query = near(number) if kind == "semantic" else with_words(number)
                request = qdrant.QueryRequest(10, query=query, filter=only, params=params)
            return [point.id for point in self.shard.query(request)]

        return asking


contest.serve(QdrantEdge)
