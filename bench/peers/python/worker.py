"""The contestants `sqlalchemy` and `sqlalchemy-async` of `cargo xtask bench db`.

SQLAlchemy Core, as its documentation shows: an engine with a pool, `text()` with named parameters,
rows by attribute. `sqlalchemy` talks to SQLite and MySQL from threads (sqlite3, pymysql) and to
PostgreSQL by asyncpg; `sqlalchemy-async` talks to SQLite by aiosqlite.

A line of JSON for a line of JSON, as in `bench/worker`.
"""

import asyncio
import dataclasses
import json
import random
import resource
import sys
import threading
import time

import sqlalchemy
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import create_async_engine

ROWS = 20_000
COLUMNS = "id, project, kind, content, score, created_at"
POINT = text(f"SELECT {COLUMNS} FROM bench_items WHERE id = :id")
READ = text(f"SELECT {COLUMNS} FROM bench_items WHERE id > :start ORDER BY id LIMIT 1000")
INSERT = text(
    "INSERT INTO bench_inserts (project, kind, content, score, created_at)"
    " VALUES (:project, :kind, :content, :score, :created_at)"
)
CONTENT = ("the deploy of the billing service waits for its migration; " * 4)[:230]


@dataclasses.dataclass(slots=True)
class Item:
    id: int
    project: int
    kind: str
    content: str
    score: float
    created_at: int


def row():
    return {
        "project": random.randrange(97),
        "kind": "fact",
        "content": CONTENT,
        "score": 0.5,
        "created_at": 1_700_000_000_000_000,
    }


def rows():
    return [row() for _ in range(100)]


def item(found):
    return Item(found.id, found.project, found.kind, found.content, found.score, found.created_at)


def point(engine):
    wanted = random.randrange(ROWS) + 1
    with engine.connect() as connection:
        assert item(connection.execute(POINT, {"id": wanted}).one()).id == wanted


def read(engine):
    with engine.connect() as connection:
        found = connection.execute(READ, {"start": random.randrange(ROWS - 1000)})
        assert len([item(each) for each in found]) == 1000


def insert(engine):
    with engine.begin() as connection:
        connection.execute(INSERT, row())


def batch(engine):
    with engine.begin() as connection:
        connection.execute(INSERT, rows())


async def point_async(engine):
    wanted = random.randrange(ROWS) + 1
    async with engine.connect() as connection:
        found = await connection.execute(POINT, {"id": wanted})
        assert item(found.one()).id == wanted


async def read_async(engine):
    async with engine.connect() as connection:
        found = await connection.execute(READ, {"start": random.randrange(ROWS - 1000)})
        assert len([item(each) for each in found]) == 1000


async def insert_async(engine):
    async with engine.begin() as connection:
        await connection.execute(INSERT, row())


async def batch_async(engine):
    async with engine.begin() as connection:
        await connection.execute(INSERT, rows())


IN_THREADS = {
    "point": point,
    "read": read,
    "insert": insert,
    "insert-durable": insert,
    "batch": batch,
}
ASYNC = {
    "point": point_async,
    "read": read_async,
    "insert": insert_async,
    "insert-durable": insert_async,
    "batch": batch_async,
}


def pragmas(engine, cell):
    synchronous = "FULL" if cell["operation"] == "insert-durable" else "NORMAL"

    @event.listens_for(engine, "connect")
    def set_up(connection, _):
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA synchronous = {synchronous}")
        cursor.execute("PRAGMA busy_timeout = 30000")
        cursor.close()


def in_threads(cell, seconds, step, engine):
    latencies, failures = [], []
    end = time.perf_counter() + seconds

    def work():
        before = time.perf_counter()
        try:
            while before < end:
                step(engine)
                now = time.perf_counter()
                latencies.append(now - before)
                before = now
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(cell["tasks"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return latencies


async def in_tasks(cell, seconds, step, engine):
    latencies = []
    end = time.perf_counter() + seconds

    async def work():
        before = time.perf_counter()
        while before < end:
            await step(engine)
            now = time.perf_counter()
            latencies.append(now - before)
            before = now

    await asyncio.gather(*(work() for _ in range(cell["tasks"])))
    return latencies


class Clock:
    def __init__(self):
        self.cpu, self.wall = processor_time(), time.perf_counter()

    def report(self, latencies):
        cpu, wall = processor_time() - self.cpu, time.perf_counter() - self.wall
        latencies.sort()
        count = len(latencies)

        def quantile(share):
            return latencies[min(int(count * share), count - 1)] * 1e6

        return {
            "operations": count,
            "cpu_us": cpu * 1e6 / count,
            "per_second": count / wall,
            "p50_us": quantile(0.5),
            "p95_us": quantile(0.95),
            "p99_us": quantile(0.99),
        }


def processor_time():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def run_threads(cell, step, url):
    engine = sqlalchemy.create_engine(url, pool_size=cell["tasks"])
    if cell["backend"] == "sqlite":
        pragmas(engine, cell)
    try:
        in_threads(cell, cell["seconds"] / 8, step, engine)
        clock = Clock()
        return clock.report(in_threads(cell, cell["seconds"], step, engine))
    finally:
        engine.dispose()


async def run_async(cell, step, url):
    engine = create_async_engine(url, pool_size=cell["tasks"])
    if cell["backend"] == "sqlite":
        pragmas(engine.sync_engine, cell)
    try:
        await in_tasks(cell, cell["seconds"] / 8, step, engine)
        clock = Clock()
        return clock.report(await in_tasks(cell, cell["seconds"], step, engine))
    finally:
        await engine.dispose()


def run(contestant, cell):
    operation, database = cell["operation"], cell["database"]
    if operation not in ASYNC:
        return {"unsupported": True}
    location = database.partition("://")[2]
    match contestant, cell["backend"]:
        case "sqlalchemy", "sqlite":
            return run_threads(cell, IN_THREADS[operation], f"sqlite:///{database}")
        case "sqlalchemy", "mysql":
            return run_threads(cell, IN_THREADS[operation], f"mysql+pymysql://{location}")
        case "sqlalchemy", "postgres":
            url = f"postgresql+asyncpg://{location}"
            return asyncio.run(run_async(cell, ASYNC[operation], url))
        case "sqlalchemy-async", "sqlite":
            url = f"sqlite+aiosqlite:///{database}"
            return asyncio.run(run_async(cell, ASYNC[operation], url))
    return {"unsupported": True}


def versions(contestant):
    python = sys.version.partition(" ")[0]
    return f"{contestant}: SQLAlchemy {sqlalchemy.__version__} on Python {python}"


def main():
    contestant = sys.argv[1]
    print(json.dumps({"versions": versions(contestant)}), flush=True)
    for line in sys.stdin:
        try:
            answer = run(contestant, json.loads(line))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps(answer), flush=True)


main()
