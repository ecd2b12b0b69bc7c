"""FAISS: a graph of neighbours (HNSW) over whole vectors, in memory. No words, no filters, no disk."""

import faiss

import contest


class Faiss:
    versions = f"faiss-cpu {faiss.__version__}"
    offers = [{"kind": "semantic", "setting": f"HNSW M16, ef {ef}"} for ef in (32, 64, 128)]

    def __init__(self, folder):
        self.folder = folder

    def fill(self, data):
        self.index = faiss.IndexHNSWFlat(contest.DIMENSION, 16, faiss.METRIC_INNER_PRODUCT)
        self.index.hnsw.efConstruction = 100
        self.index.add(data.vectors)
        faiss.write_index(self.index, f"{self.folder}/index")
        faiss.omp_set_num_threads(1)

    def question(self, kind, setting, label, data):
        self.index.hnsw.efSearch = int(setting.rsplit(" ", 1)[1])

        def asking(number):
            return self.index.search(data.directions[number : number + 1], 10)[1][0]

        return asking


contest.serve(Faiss)
