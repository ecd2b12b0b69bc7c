"""PostgreSQL with pgvector, ts_rank and both in one SQL statement, as people write it and tuned.

The CPU time of the server's process counts like our own: what a question costs is the sum.
"""

import os
import pathlib

import pgvector
import psycopg
from pgvector.psycopg import register_vector

import contest

COLUMNS = ", ".join(contest.LABELS)
# Words in more rows than this are dropped where the statement is tuned.
COMMON = 0.02

NEAR = """
    SELECT id FROM memories {only}
    ORDER BY embedding::halfvec(768) <=> %(vector)b::halfvec(768) LIMIT {limit}
"""
EXACT = "SELECT id FROM memories ORDER BY embedding <=> %(vector)b LIMIT 10"
WORDS = """
    SELECT id FROM memories, to_tsquery('simple', %(words)s) AS query
    WHERE tsv @@ query ORDER BY ts_rank(tsv, query) DESC LIMIT {limit}
"""
FORMULA = """
    SELECT id FROM memories, to_tsquery('simple', %(words)s) AS query
    ORDER BY 0.7 * (1 - (embedding <=> %(vector)b)) + 0.3 * ts_rank(tsv, query) DESC LIMIT 10
"""
BOTH = f"""
    WITH near AS (SELECT id, row_number() OVER () AS rank FROM ({NEAR.format(only="", limit=100)}) AS hits),
         words AS (SELECT id, row_number() OVER () AS rank FROM ({WORDS.format(limit=100)}) AS hits)
    SELECT coalesce(near.id, words.id) AS found
    FROM near FULL JOIN words ON near.id = words.id
    ORDER BY coalesce(1.0 / (60 + near.rank), 0) + coalesce(1.0 / (60 + words.rank), 0) DESC
    LIMIT 10
"""


class Pgvector:
    offers = [
        {"kind": "semantic", "setting": "HNSW halfvec, ef 40, as installed", "filters": True},
        {"kind": "semantic", "setting": "HNSW halfvec, ef 100, iterative scan", "filters": True},
        {"kind": "semantic", "setting": "HNSW halfvec, ef 200, iterative scan"},
        {"kind": "semantic", "setting": "exact, no index"},
        {"kind": "keyword", "setting": "GIN + ts_rank, OR"},
        {"kind": "hybrid", "setting": "0.7 vector + 0.3 ts_rank over all rows"},
        {"kind": "hybrid", "setting": "one SQL: HNSW 100 + GIN 100, RRF", "role": "natural"},
        {"kind": "hybrid", "setting": "one SQL, common words dropped", "role": "tuned"},
    ]

    def __init__(self, folder):
        self.db = psycopg.connect(os.environ["PEER_URL"], autocommit=True)
        self.db.execute("CREATE EXTENSION IF NOT EXISTS vector")
        self.db.execute("DROP TABLE IF EXISTS memories")
        register_vector(self.db)
        self.db.execute("SET max_parallel_workers_per_gather = 0")
        server, extension = self.db.execute(
            "SELECT current_setting('server_version'), extversion FROM pg_extension WHERE extname = 'vector'"
        ).fetchone()
        self.versions = f"PostgreSQL {server} with pgvector {extension}"
        self.backend = self.db.info.backend_pid

    def cpu(self):
        """Returns the CPU seconds of the server's process that answers us."""
        spent = pathlib.Path(f"/proc/{self.backend}/schedstat").read_text().split()[0]
        return int(spent) / 1e9

    def megabytes(self):
        return self.db.execute("SELECT pg_total_relation_size('memories')").fetchone()[0] / 1e6

    def fill(self, data):
        flags = ", ".join(f"{label} BOOLEAN NOT NULL" for label in contest.LABELS)
        self.db.execute(
            f"CREATE TABLE memories (id BIGINT PRIMARY KEY, content TEXT NOT NULL, {flags}, "
            "tsv TSVECTOR GENERATED ALWAYS AS (to_tsvector('simple', content)) STORED, embedding VECTOR(768) NOT NULL)"
        )
        copy = f"COPY memories (id, content, {COLUMNS}, embedding) FROM STDIN WITH (FORMAT BINARY)"
        with self.db.cursor() as cursor, cursor.copy(copy) as copying:
            copying.set_types(["int8", "text", *["bool"] * len(contest.LABELS), "vector"])
            for row in range(len(data)):
                copying.write_row((row, data.texts[row], *data.flags(row), pgvector.Vector(data.vectors[row])))
        # Its worker would work for us in a process that we do not count.
        self.db.execute("SET max_parallel_maintenance_workers = 0")
        self.db.execute(
            "CREATE INDEX ON memories USING hnsw ((embedding::halfvec(768)) halfvec_cosine_ops) "
            "WITH (m = 16, ef_construction = 64)"
        )
        self.db.execute("CREATE INDEX ON memories USING gin (tsv)")
        for label in contest.LABELS:
            self.db.execute(f"CREATE INDEX ON memories ({label})")
        self.db.execute("VACUUM ANALYZE memories")
        words = self.db.execute("SELECT word, ndoc FROM ts_stat('SELECT tsv FROM memories')")
        self.common = {word for word, rows in words if rows > COMMON * len(data)}

    def single(self, data):
        values = ", ".join(["%s"] * (len(contest.LABELS) + 3))
        statement = f"INSERT INTO memories (id, content, {COLUMNS}, embedding) VALUES ({values})"

        def store(number):
            vector = pgvector.Vector(data.vectors[number])
            row = (len(data) + number, data.texts[number], *data.flags(number), vector)
            self.db.execute(statement, row)

        return store

    def question(self, kind, setting, label, data):
        installed = "as installed" in setting
        ef = 40 if installed else 200 if "200" in setting else 100
        self.db.execute(f"SET hnsw.ef_search = {ef}")
        self.db.execute(f"SET hnsw.iterative_scan = {'off' if installed else 'relaxed_order'}")
        # Among few rows the planner compares them all instead, at many times the cost.
        self.db.execute(f"SET enable_seqscan = {'off' if 'iterative scan' in setting else 'on'}")
        tuned = "dropped" in setting
        only = f"WHERE {label}" if label else ""
        statement = {
            "semantic": EXACT if "exact" in setting else NEAR.format(only=only, limit=10),
            "keyword": WORDS.format(limit=10),
            "hybrid": FORMULA if "all rows" in setting else BOTH,
        }[kind]
        halved = "halfvec" in statement

        def asking(number):
            words = data.questions[number]
            if tuned:
                words = [word for word in words if word not in self.common] or words
            direction = data.directions[number]
            vector = pgvector.HalfVector(direction) if halved else pgvector.Vector(direction)
            bindings = {"vector": vector, "words": " | ".join(words)}
            return [row for (row,) in self.db.execute(statement, bindings)]

        return asking


contest.serve(Pgvector)
