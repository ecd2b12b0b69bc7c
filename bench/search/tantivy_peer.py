"""tantivy: an inverted index with BM25 and block-max pruning. Words only."""

import importlib.metadata

import tantivy

import contest


class Tantivy:
    versions = f"tantivy {importlib.metadata.version('tantivy')} (Python)"
    offers = [{"kind": "keyword", "setting": "OR, top 10"}]

    def __init__(self, folder):
        schema = tantivy.SchemaBuilder()
        schema.add_unsigned_field("row", stored=True)
        schema.add_text_field("text", stored=False)
        self.index = tantivy.Index(schema.build(), path=folder)

    def fill(self, data):
        writer = self.index.writer(heap_size=200_000_000, num_threads=1)
        for rows in data.batches(10_000):
            for row in rows:
                writer.add_document(tantivy.Document(row=row, text=data.texts[row]))
            writer.commit()
        writer.wait_merging_threads()
        self.index.reload()

    def question(self, kind, setting, label, data):
        searcher = self.index.searcher()

        def asking(number):
            query = self.index.parse_query(" ".join(data.questions[number]), ["text"])
            hits = searcher.search(query, 10, count=False).hits
            return [searcher.doc(address)["row"][0] for _, address in hits]

        return asking


contest.serve(Tantivy)
