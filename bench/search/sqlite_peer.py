"""SQLite with sqlite-vec and FTS5: vectors compared one by one, words by bm25(). Through apsw, because
the sqlite3 of many Pythons loads no extensions; its SQLite is newer, too."""

import apsw
import sqlite_vec

import contest


class Sqlite:
    versions = f"SQLite {apsw.sqlite_lib_version()} with sqlite-vec {sqlite_vec.__version__} and FTS5"
    offers = [
        {"kind": "semantic", "setting": "sqlite-vec, f32, exact", "filters": True},
        {"kind": "keyword", "setting": "FTS5, bm25(), OR"},
        {"kind": "hybrid", "setting": "sqlite-vec 100 + FTS5 100, RRF"},
    ]

    def __init__(self, folder):
        self.db = apsw.Connection(f"{folder}/peer.db")
        self.db.enable_load_extension(True)
        self.db.load_extension(sqlite_vec.loadable_path())
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.execute("PRAGMA cache_size = -262144")

    def fill(self, data):
        flags = ", ".join(f"{label} BOOLEAN" for label in contest.LABELS)
        self.db.execute(
            f"CREATE VIRTUAL TABLE vectors USING vec0"
            f"(embedding FLOAT[{contest.DIMENSION}] distance_metric=cosine, {flags})"
        )
        self.db.execute("CREATE VIRTUAL TABLE texts USING fts5(text)")
        for rows in data.batches(1_000):
            with self.db:
                for row in rows:
                    self.store(row, data.vectors[row], data.flags(row), data.texts[row])
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def store(self, row, vector, flags, text):
        # Rows of FTS5 begin with 1, as SQLite's do.
        self.db.execute(
            "INSERT INTO vectors (rowid, embedding, half, tenth, hundredth, thousandth) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (row + 1, vector.tobytes(), *(int(flag) for flag in flags)),
        )
        self.db.execute("INSERT INTO texts (rowid, text) VALUES (?, ?)", (row + 1, text))

    def single(self, data):
        def store(number):
            with self.db:
                self.store(len(data) + number, data.vectors[number], data.flags(number), data.texts[number])

        return store

    def rows(self, statement, bindings):
        return [row - 1 for (row,) in self.db.execute(statement, bindings)]

    def near(self, vector, limit, label=None):
        only = f" AND {label} = 1" if label else ""
        statement = f"SELECT rowid FROM vectors WHERE embedding MATCH ? AND k = ?{only} ORDER BY distance"
        return self.rows(statement, (vector.tobytes(), limit))

    def with_words(self, words, limit):
        query = " OR ".join(f'"{word}"' for word in words)
        statement = "SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY rank LIMIT ?"
        return self.rows(statement, (query, limit))

    def question(self, kind, setting, label, data):
        def asking(number):
            words, direction = data.questions[number], data.directions[number]
            if kind == "semantic":
                return self.near(direction, 10, label)
            if kind == "keyword":
                return self.with_words(words, 10)
            return contest.reciprocal_ranks(self.near(direction, 100), self.with_words(words, 100))

        return asking


contest.serve(Sqlite)
