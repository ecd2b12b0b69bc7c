"""Makes `week.jsonl`: what a coding agent did for a web shop from Monday to Sunday.

    python3 make.py > week.jsonl

The same in every run. A line says what happened (`do`), when (`at`, in seconds since Monday 00:00),
and by which name the other lines and the questions speak of it (`key`). Its other fields are what an
agent tells. `{"task": "…"}` and the like stand for the id of the thing with that key, and
`{"at": seconds}` for a time. `same_as` is for the questions only: the line tells once more what
another one has told.
"""

import hashlib
import json
import random

MINUTE, HOUR, DAY = 60, 3_600, 86_400
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
CHANCE = random.Random(41)
LINES = []

# Which files belong to which part of the shop, what is in them, and which tests look after them.
PARTS = {
    "vouchers": {
        "branch": "cart-vouchers",
        "files": {
            "shop/cart.py": ["Cart.total", "Cart.apply_voucher", "Cart.merge"],
            "shop/vouchers.py": ["Voucher.redeem", "Voucher.is_valid", "round_discount"],
            "web/cart.ts": ["renderCart", "onVoucherEntered"],
        },
        "tests": [
            "tests/test_cart.py::test_total_with_voucher",
            "tests/test_cart.py::test_merges_guest_cart",
            "tests/test_vouchers.py::test_expired_voucher_is_refused",
            "tests/test_vouchers.py::test_discount_is_rounded_down",
        ],
    },
    "payments": {
        "branch": "payment-retries",
        "files": {
            "shop/payment.py": ["Payment.capture", "Payment.refund", "retry_later"],
            "shop/webhooks.py": ["verify_signature", "on_payment_settled"],
            "shop/ledger.py": ["Ledger.book", "Ledger.balance"],
        },
        "tests": [
            "tests/test_payment.py::test_capture_is_retried",
            "tests/test_payment.py::test_refund_in_parts",
            "tests/test_webhooks.py::test_signature_is_verified",
            "tests/test_ledger.py::test_balance_after_refund",
        ],
    },
    "search": {
        "branch": "search-facets",
        "files": {
            "shop/search.py": ["SearchIndex.query", "count_facets", "fold_umlauts"],
            "shop/catalogue.py": ["Product.slug", "import_products"],
            "web/facets.ts": ["renderFacets", "toggleFacet"],
        },
        "tests": [
            "tests/test_search.py::test_ranking_prefers_title",
            "tests/test_search.py::test_facet_counts",
            "tests/test_catalogue.py::test_import_is_repeatable",
        ],
    },
    "stock": {
        "branch": "stock-reservation",
        "files": {
            "shop/stock.py": ["Stock.reserve", "Stock.release", "Stock.available"],
            "shop/orders.py": ["Order.place", "Order.cancel"],
            "shop/mail.py": ["send_confirmation"],
        },
        "tests": [
            "tests/test_stock.py::test_reservation_runs_out",
            "tests/test_stock.py::test_two_buyers_one_lamp",
            "tests/test_orders.py::test_cancel_releases_stock",
            "tests/test_mail.py::test_confirmation_names_all_items",
        ],
    },
}

ERRORS = {
    "AssertionError": "expected {0}, got {1}",
    "KeyError": "no entry {0} where {1} are kept",
    "TypeError": "an integer was handed over where {0} of {1} is expected",
    "TimeoutError": "no answer within {0} seconds, tried {1} times",
}
GOALS_OF_EDITS = [
    "handle an empty list", "keep the order of the items", "round only once, at the end",
    "take the lock before reading", "name the offending field", "drop the unused argument",
    "return early when nothing changed", "compare amounts as whole cents", "log the retry number",
    "split the long branch", "close the cursor", "check the currency", "cache the folded words",
    "release what was reserved", "tell a timeout from a refusal",
]


def add(at, do, key, **fields):
    line = {"at": at, "do": do, "key": key}
    line.update((name, value) for name, value in fields.items() if value is not None)
    LINES.append(line)
    return key


def at(day, clock):
    hours, minutes = clock.split(":")
    return DAYS.index(day) * DAY + int(hours) * HOUR + int(minutes) * MINUTE


class Session:
    """A stretch of work, in which the time goes on by itself."""

    def __init__(self, day, start):
        self.day = day
        self.name = f"{day}-{start[:2]}"
        self.now = at(day, start)
        self.end = self.now + 105 * MINUTE
        self.number = 0
        self.branch = "main"
        self.head = sha(f"{self.name} begins")

    def tell(self, event_type, content, key=None, wait=None, **fields):
        self.now += wait or CHANCE.randint(14, 70)
        self.number += 1
        key = key or f"{self.name}-{self.number:03}"
        fields.setdefault("context_branch", self.branch)
        fields.setdefault("source", "hook")
        if fields["source"] == "hook":
            fields.setdefault("idempotency_key", f"call-{key}")
        return add(
            self.now, "event", key, event_type=event_type, content=content, session=self.name, **fields
        )


def sha(text):
    return hashlib.sha1(text.encode()).hexdigest()[:12]


def edit(session, part):
    file = CHANCE.choice(list(part["files"]))
    symbol = CHANCE.choice(part["files"][file])
    why = CHANCE.choice(GOALS_OF_EDITS)
    session.tell(
        "code_edit", f"Changed {symbol} in {file} to {why}", file_path=file, symbol=symbol,
        language="typescript" if file.endswith(".ts") else "python", outcome="success",
        lines_added=CHANCE.randint(1, 40), lines_deleted=CHANCE.randint(0, 20),
    )
    return file


def look_around(session, part):
    file = CHANCE.choice(list(part["files"]))
    if CHANCE.random() < 0.4:
        symbol = CHANCE.choice(part["files"][file])
        session.tell("symbol_lookup", f"Looked up where {symbol} is called", symbol=symbol, context_files=[file])
    else:
        session.tell("tool_execution", f"Read {file}", context_files=[file], duration_ms=CHANCE.randint(3, 90))


def run(session, test, passed, wait=None, key=None, error_type=None, content=None):
    """Runs a test. That it ran on a commit does not make the run a change."""
    said = content or f"{test.split('::')[1]} {'passed' if passed else 'failed'}"
    return session.tell(
        "test_run", said, key=key, wait=wait, test_name=test, test_passed=passed,
        outcome="success" if passed else "failure", file_path=test.split("::")[0],
        duration_ms=CHANCE.randint(40, 9_000), git_commit=session.head, error_type=error_type,
    )


def fail_and_repair(session, part, test):
    error_type = CHANCE.choice(list(ERRORS))
    why = ERRORS[error_type].format(CHANCE.randint(2, 40), CHANCE.randint(41, 99))
    failed = run(session, test, False, error_type=error_type, content=f"{test.split('::')[1]} failed: {why}")
    if CHANCE.random() < 0.25:
        failed = session.tell(
            "error", f"{error_type} in {test.split('::')[1]}: {why}", error_type=error_type,
            outcome="failure", context_files=[CHANCE.choice(list(part["files"]))], caused_by={"event": failed},
        )
    session.tell("debugging", f"Looked for the reason why {test.split('::')[1]} fails", duration_ms=CHANCE.randint(20_000, 600_000))
    edit(session, part)
    run(session, test, True)


def commit(session, part, files):
    subject = f"Let {CHANCE.choice([s for names in part['files'].values() for s in names])} {CHANCE.choice(GOALS_OF_EDITS)}"
    session.head = sha(f"{session.name} {session.number} {subject}")
    told = dict(git_commit=session.head, context_files=sorted(set(files)), tags=["commit"], outcome="success")
    first = session.tell(
        "code_edit", f"Committed {session.head[:7]}: {subject}", source="git", idempotency_key=session.head,
        git_author="Jonas", **told,
    )
    if CHANCE.random() < 0.35:
        # The hook saw the commit too, and tells it in the same words.
        content = LINES[-1]["content"]
        session.tell("code_edit", content, wait=CHANCE.randint(20, 240), same_as=first, **told)
    if CHANCE.random() < 0.2:
        # The commit is read from the history once more, with another title.
        session.tell(
            "code_edit", f"Commit {session.head[:7]} was read again", source="git",
            idempotency_key=session.head, same_as=first, **told,
        )


def episode(session, name):
    part = PARTS[name]
    session.branch = part["branch"]
    for _ in range(CHANCE.randint(1, 4)):
        look_around(session, part)
    files = [edit(session, part) for _ in range(CHANCE.randint(1, 4))]
    for test in CHANCE.sample(part["tests"], CHANCE.randint(1, 3)):
        if CHANCE.random() < 0.22:
            fail_and_repair(session, part, test)
        else:
            run(session, test, True)
    if CHANCE.random() < 0.12:
        session.tell("refactoring", f"Moved what {files[0]} shares with others into a module of its own", file_path=files[0], outcome="success")
    commit(session, part, files)


def measure(session):
    """Measures the search and the check-out."""
    session.tell(
        "perf_profile", f"Measured the shop on {session.day} in session {session.name}", tags=["speed"],
        metrics={"p95_ms": CHANCE.randint(180, 460), "queries": CHANCE.randint(11, 37)}, duration_ms=CHANCE.randint(30_000, 90_000),
    )


DEPLOYMENTS = {
    "mon-16": ("success", 412_000), "tue-16": ("success", 388_000), "wed-16": ("failure", 95_000),
    "thu-14": ("success", 655_000), "thu-16": ("success", 401_000), "fri-16": ("success", 397_000), "sat-15": ("partial", 240_000),
}

LESSONS = {
    "mon-11": "A voucher must be rounded once at the end, for rounding each line loses up to a cent a line.",
    "tue-09": "SQLite orders umlauts by their bytes; fold them before sorting.",
    "tue-14": "The payment sandbox answers twice when a webhook takes longer than five seconds.",
    "wed-11": "Reserving stock needs a row lock, for two buyers can read the same last lamp.",
    "thu-11": "The provider's certificate is pinned; a renewal must be rolled out before the old one ends.",
    "fri-09": "Facet counts are cheap when they are computed with the hits, not after them.",
    "sat-10": "The import is repeatable once every product has the supplier's number as its key.",
}

DECISIONS = {
    "mon-14": ("decision-carts-redis", "decision", "Decided to keep carts in Redis"),
    "tue-11": ("decision-retries-eight", "decision", "Decided to retry a payment eight times within a minute"),
    "wed-14": ("decision-carts-postgres", "arch_decision", "Decided to keep carts in PostgreSQL after all"),
    "thu-14": ("decision-pinning", "decision", "Decided to renew the pinned certificate thirty days ahead"),
    "fri-14": ("decision-retries-three", "decision", "Decided to retry a payment three times, with growing pauses"),
    "sun-10": ("decision-facets", "arch_decision", "Decided to compute facets together with the hits"),
}


def outage(session):
    """Thursday's outage, whose events say what brought them about."""
    session.branch = "main"
    tell = session.tell
    tell("dependency_change", "Updated the HTTP client from 2.3 to 2.4", key="outage-update", file_path="requirements.txt", git_commit=session.head, outcome="success")
    tell("error", "Payment outage: the checkout answers 502 to every buyer", key="outage-begins", error_type="BadGateway", outcome="failure", tags=["outage"], importance=1.0, caused_by={"event": "outage-update"})
    tell("observation", "Payment outage: the log says the provider's certificate is not trusted", key="outage-log", tags=["outage"], wait=420)
    tell("bug_discovery", "Payment outage: the new HTTP client ignores the pinned certificate", key="outage-found", file_path="shop/payment.py", tags=["outage"], wait=960, caused_by={"event": "outage-begins"})
    tell("code_edit", "Handed the pinned certificate to the new HTTP client", key="outage-fix", file_path="shop/payment.py", symbol="Payment.capture", language="python", outcome="success", wait=700, caused_by={"event": "outage-found"})
    tell("success", "Payment outage is over: the checkout takes money again", key="outage-ends", outcome="success", tags=["outage"], wait=300, caused_by={"event": "outage-fix"})


WALLET = "tests/test_payment.py::test_pays_with_wallet"
UMLAUTS = "tests/test_search.py::test_facets_with_umlauts"


def special(session):
    """What the questions ask about by name."""
    name = session.name
    if name == "mon-09":
        add(session.now, "event", "history-founded", event_type="observation", content="The lamp shop was founded", occurred_at="2019")
        add(session.now, "event", "history-first-sale", event_type="success", content="The first lamp was sold", occurred_at="2019-05")
        add(session.now, "event", "history-moved", event_type="action", content="The lamp shop moved to its own servers", occurred_at="2022-03-14")
    if name in ("tue-14", "sat-10"):
        session.branch = "search-facets"
        run(session, UMLAUTS, True, key=f"umlauts-passes-{session.day}")
    if name == "sat-15":
        session.branch = "payment-retries"
        run(session, WALLET, False, key="wallet-fails-sat", error_type="NotImplementedError")
    if name == "sun-16":
        session.branch = "search-facets"
        session.tell("code_edit", "Changed fold_umlauts in shop/search.py to fold sharp s as well", key="umlauts-culprit", file_path="shop/search.py", symbol="fold_umlauts", language="python", outcome="success")
        run(session, UMLAUTS, False, key="umlauts-fails", error_type="AssertionError")
        run(session, UMLAUTS, False, key="umlauts-fails-again", error_type="AssertionError", wait=90)
        session.branch = "payment-retries"
        run(session, WALLET, False, key="wallet-fails-sun", error_type="NotImplementedError")
    if name == "tue-09":
        # A note without a key is told twice within minutes, and once more hours later.
        session.tell("observation", "The staging server was slow", key="slow-first", source="note")
        session.tell("observation", "The staging server was slow", key="slow-told-twice", source="note", wait=240, same_as="slow-first")
    if name == "tue-16":
        session.tell("observation", "The staging server was slow", key="slow-later", source="note")
    if name == "fri-11":
        # The hook sends a call again, for it got no answer the first time.
        session.tell("tool_execution", "Ran the linter over shop", key="linter", idempotency_key="lint-1")
        session.tell("tool_execution", "Ran the linter over the shop once more", key="linter-again", idempotency_key="lint-1", same_as="linter")
        # Two runs that say the same, told apart by their keys.
        session.tell("tool_execution", "Formatted the code", key="format-one")
        session.tell("tool_execution", "Formatted the code", key="format-two")
    if name == "thu-11":
        outage(session)
    if name == "wed-11":
        session.tell("observation", "The voucher page is in the wrong colour", key="mistaken-note", source="note", file_path="shop/vouchers.py")
    if name == "sat-10":
        # Support tells on Saturday what it heard on Thursday, in the middle of the outage.
        for number, moment in enumerate(["11:52", "12:01"]):
            add(session.now + number, "event", f"late-mail-{number}", event_type="conversation", session="support",
                content=f"Payment outage: buyer number {number + 1} wrote that the checkout takes no money", tags=["outage"],
                occurred_at={"at": at("thu", moment)})


def work():
    for day in DAYS:
        weekend = day in ("sat", "sun")
        for start in ["10:00", "15:00"] if day == "sat" else ["10:00", "16:00"] if weekend else ["09:00", "11:00", "14:00", "16:00"]:
            session = Session(day, start)
            session.tell("session_checkpoint", f"Began session {session.name}", tags=["begin"])
            special_at = CHANCE.randint(2, 4)
            for turn in range(8):
                if turn == special_at:
                    special(session)
                episode(session, CHANCE.choice(list(PARTS)))
                if turn == 3:
                    measure(session)
                    if session.name in DECISIONS:
                        key, event_type, content = DECISIONS[session.name]
                        session.tell(event_type, content, key=key)
                if turn == 5 and session.name in LESSONS:
                    lesson = LESSONS[session.name]
                    session.tell("learning", f"Understood something in session {session.name}", key=f"lesson-{session.name}", learned=lesson)
            if session.name in DEPLOYMENTS:
                outcome, took = DEPLOYMENTS[session.name]
                session.branch = "main"
                session.tell(
                    "deployment", f"Deployed {session.head[:7]} to production: {outcome}", key=f"deployment-{session.name}",
                    outcome=outcome, duration_ms=took, git_commit=session.head, tags=["production"], metrics={"downtime_s": took // 60_000},
                )
            session.tell("session_checkpoint", f"Ended session {session.name}", tags=["end"])
            assert session.now < session.end, (session.name, session.now - session.end)


RULES = [
    ("rule-cents", "mon", "Amounts of money are whole cents, never floating point numbers.", 9, None),
    ("rule-migrations", "mon", "A migration never drops a column in the release that stops using it.", 8, None),
    ("rule-secrets", "mon", "Secrets never go into the repository, not even into tests.", 10, None),
    ("rule-tests-first", "tue", "No fix is committed without a test that failed before it.", 7, None),
    ("rule-payment-review", "thu", "Every change below shop/payment.py is reviewed by a second person.", 9, "shop/payment.py"),
    ("rule-web-strict", "wed", "TypeScript files are compiled in strict mode.", 6, "web/**/*.ts"),
]
PREFERENCES = [
    ("likes-short-commits", "mon", "Commit titles are imperative and at most sixty characters long.", 5),
    ("likes-plain-words", "tue", "Error messages are written in plain words, without exclamation marks.", 4),
    ("likes-tables", "fri", "Reports of measurements are given as a table.", 3),
]
FACTS = [
    ("fact-staging", "mon", "The staging server is called Bertha and has four cores.", ["server"]),
    ("fact-provider", "mon", "Payments are taken by the provider Paybird; its sandbox is slow in the morning.", ["payment"]),
    ("fact-supplier", "mon", "The supplier Glimmer sends its price list every Friday at noon.", ["supplier"]),
    ("fact-lamps", "mon", "The best selling lamp is the Firefly, in copper.", ["catalogue"]),
    ("fact-vat", "tue", "Austria taxes lamps with twenty per cent, Germany with nineteen.", ["tax"]),
    ("fact-returns", "tue", "Buyers may return a lamp within thirty days.", ["returns"]),
    ("fact-warehouse", "tue", "The warehouse packs orders twice a day, at ten and at three.", ["stock"]),
    ("fact-newsletter", "tue", "The newsletter goes out on the first Tuesday of a month.", ["mail"]),
    ("fact-coffee", "wed", "The coffee machine in the office is descaled by Wanda.", ["office"]),
    ("fact-parking", "wed", "Visitors park behind the bakery.", ["office"]),
    ("fact-search-engine", "wed", "The product search runs inside the shop, without a server of its own.", ["search"]),
    ("fact-images", "wed", "Product pictures are scaled to twelve hundred pixels on upload.", ["catalogue"]),
    ("fact-backup", "thu", "Backups of the shop's database are taken at four in the morning and kept for ninety days.", ["server"]),
    ("fact-pinning", "thu", "The certificate of Paybird is pinned in config/paybird.pem.", ["payment"]),
    ("fact-oncall", "thu", "Jonas is on call in even weeks, Ines in odd ones.", ["people"]),
    ("fact-limit", "fri", "Paybird refuses more than a hundred requests a minute.", ["payment"]),
    ("fact-fonts", "fri", "The shop window uses the font Quicksand.", ["design"]),
    ("fact-language", "sat", "Texts of the shop are kept in German and in English.", ["design"]),
    ("fact-wallet", "sat", "Paying with a wallet waits for a contract with Paybird.", ["payment"]),
    ("fact-plants", "sun", "The plants in the office are watered on Sundays.", ["office"]),
]
MISTAKE = ("fact-mistake", "wed", "The warehouse is closed in August.", ["stock"])


def memories():
    def remember(key, day, minute, content, **fields):
        add(at(day, "08:00") + minute * MINUTE, "remember", key, content=content, **fields)

    for minute, (key, day, content, priority, scope) in enumerate(RULES):
        remember(key, day, minute, content, type="rule", priority=priority, scope=scope)
    for minute, (key, day, content, priority) in enumerate(PREFERENCES, 10):
        remember(key, day, minute, content, type="preference", priority=priority)
    for minute, (key, day, content, tags) in enumerate([*FACTS, MISTAKE], 20):
        remember(key, day, minute, content, tags=tags)
    # What is told again is known already.
    add(at("fri", "13:00"), "remember", "fact-staging-again", content=FACTS[0][2], tags=["server"], same_as="fact-staging")

    add(at("mon", "15:10"), "remember", "carts-redis", type="decision", tags=["decided"],
        content="Shopping carts are kept in Redis, for they are read on every page.")
    add(at("wed", "15:10"), "update", "carts-postgres", id={"memory": "carts-redis"},
        content="Shopping carts are kept in PostgreSQL, for Redis lost them when it was restarted.",
        reason="Redis lost forty carts on Wednesday")
    add(at("tue", "12:10"), "remember", "retries-eight", type="decision", tags=["decided"],
        content="A payment that fails is retried eight times within a minute.")
    add(at("fri", "15:10"), "remember", "retries-three", type="decision", tags=["decided"],
        content="A payment that fails is retried three times, with pauses of one, five and thirty minutes.",
        replaces=[{"memory": "retries-eight"}])
    add(at("sun", "11:10"), "remember", "facets-with-hits", type="decision", tags=["decided"],
        content="Facets are computed together with the hits of a search.")
    add(at("mon", "12:30"), "remember", "freeze-none", tags=["release"], content="There is no freeze of deployments planned.")
    add(at("thu", "12:30"), "update", "freeze-friday", id={"memory": "freeze-none"},
        content="Deployments freeze on Friday at six.", reason="Ines asked for a quiet weekend")
    add(at("sat", "12:30"), "update", "freeze-monday", id={"memory": "freeze-friday"},
        content="Deployments are frozen until Monday at eight.", reason="The weekend's sale")
    add(at("thu", "09:30"), "forget", "forget-mistake", id={"memory": "fact-mistake"}, reason="That was the other warehouse")


NOW = at("sun", "20:00")

GOALS = [
    ("goal-austria", "Open the shop in Austria", 9, None),
    ("goal-payment", "Payments that never get lost", 8, "goal-austria"),
    ("goal-search", "A search that finds every lamp", 6, "goal-austria"),
    ("goal-speed", "Pages within three hundred milliseconds", 4, None),
    ("goal-app", "An app for the telephone", 3, None),
]

# Key, day, title, priority, due in minutes from Sunday 20:00, goal, depends on, assignee.
TASKS = [
    ("task-vat", "mon", "Compute the Austrian tax", 8, 1_210, "goal-austria", [], "coder"),
    ("task-terms", "mon", "Have the Austrian terms translated", 5, 3_950, "goal-austria", [], "ines"),
    ("task-retries", "mon", "Retry payments with growing pauses", 8, -2_910, "goal-payment", [], "coder"),
    ("task-ledger", "mon", "Book every payment in the ledger", 7, -1_730, "goal-payment", ["task-retries"], "coder"),
    ("task-wallet", "tue", "Take payments by wallet", 6, 2_170, "goal-payment", ["task-ledger"], "coder"),
    ("task-certificate", "thu", "Renew the pinned certificate", 10, -190, "goal-payment", [], "jonas"),
    ("task-umlauts", "tue", "Fold umlauts in facets", 6, 310, "goal-search", [], "coder"),
    ("task-synonyms", "tue", "Teach the search synonyms", 4, None, "goal-search", ["task-umlauts"], None),
    ("task-facets", "wed", "Show facets beside the hits", 6, -4_570, "goal-search", [], "coder"),
    ("task-pictures", "wed", "Serve smaller pictures", 5, 610, "goal-speed", [], None),
    ("task-cache", "wed", "Cache the start page", 7, 910, "goal-speed", ["task-pictures"], "coder"),
    ("task-profile", "thu", "Profile the check-out", 4, None, "goal-speed", [], "coder"),
    ("task-push", "thu", "Send push messages", 9, 130, "goal-app", [], "coder"),
    ("task-carts", "mon", "Move the carts to PostgreSQL", 7, -5_830, None, [], "coder"),
    ("task-freeze", "thu", "Announce the freeze", 3, -3_130, None, [], "ines"),
    ("task-contract", "fri", "Sign the contract with Paybird", 9, 1_510, None, [], "ines"),
    ("task-sandbox", "fri", "Make the sandbox answer faster", 5, 700, None, [], "coder"),
    ("task-plants", "sat", "Water the plants", 1, 250, None, [], None),
    ("task-report", "sat", "Write the report of the week", 5, 790, None, [], "coder"),
    ("task-invoice", "sat", "Pay the invoice of the hosting", 7, -70, None, [], "ines"),
    ("task-old-import", "mon", "Repair the old import", 2, None, None, [], "coder"),
    ("task-fonts", "fri", "Load fonts from the own server", 5, None, None, [], None),
]


def plan():
    for number, (key, name, priority, parent) in enumerate(GOALS):
        add(at("mon", "07:00") + number * MINUTE, "goal", key, name=name, priority=priority,
            parent_goal_id=parent and {"goal": parent})
    for number, (key, day, title, priority, due, goal, depends, assignee) in enumerate(TASKS):
        add(at(day, "07:30") + number * MINUTE, "task", key, title=title, priority=priority,
            due_at=None if due is None else {"at": NOW + due * MINUTE}, goal_id=goal and {"goal": goal},
            depends_on=[{"task": it} for it in depends] or None, assignee=assignee)

    def change(do, day, clock, key, **fields):
        add(at(day, clock), do, f"{do}-{key}-{day}-{clock}", id={"task": f"task-{key}"}, **fields)

    change("start", "mon", "09:10", "carts")
    change("attempt", "mon", "10:40", "carts", outcome="failure", minutes=85, error_type="LostUpdate",
           lesson="Two requests of one buyer overwrite each other's cart; lock the row.")
    change("attempt", "wed", "15:40", "carts", outcome="success", minutes=140, lesson="A row lock for each cart is fast enough.")
    change("complete", "wed", "15:50", "carts", actual_minutes=225, lessons="Measure before choosing a store.")
    change("start", "tue", "09:20", "retries")
    change("attempt", "tue", "12:20", "retries", outcome="failure", minutes=70, error_type="RateLimited",
           lesson="Eight retries a minute run into Paybird's limit.")
    change("attempt", "thu", "10:20", "retries", outcome="failure", minutes=55, error_type="BadGateway",
           lesson="A retry during an outage makes the outage longer.")
    change("attempt", "fri", "15:20", "retries", outcome="success", minutes=95, lesson="Growing pauses outlast an outage.")
    change("complete", "fri", "15:30", "retries", actual_minutes=220)
    change("start", "fri", "16:00", "ledger")
    change("start", "wed", "09:30", "facets")
    change("complete", "wed", "17:00", "facets", actual_minutes=190)
    change("start", "tue", "14:20", "umlauts")
    change("attempt", "sun", "17:00", "umlauts", outcome="failure", minutes=40, error_type="AssertionError",
           lesson="The sharp s folds to two letters, which shifts the counts.")
    change("complete", "thu", "18:30", "freeze", actual_minutes=10)
    change("block", "fri", "10:00", "contract", reason="Paybird's lawyer is on holiday until Tuesday")
    change("attempt", "fri", "11:00", "old-import", outcome="failure", minutes=30, lesson="The old format is not documented.")
    change("fail", "fri", "11:30", "old-import", reason="The supplier stopped the old format", lessons="Ask the supplier first.")
    change("advance", "sat", "11:30", "fonts", phase="abandoned")
    change("depend", "sat", "12:00", "report", depends_on={"task": "task-profile"})
    change("start", "sun", "10:30", "profile")
    change("complete", "sun", "12:30", "profile", actual_minutes=75, lessons="Half of the check-out is spent in the tax table.")
    add(at("fri", "09:00"), "remove", "remove-mistaken-note", id={"event": "mistaken-note"})

    def remind(key, day, **fields):
        add(at(day, "07:55"), "trigger", f"trigger-{key}", id={"task": f"task-{key}"}, **fields)

    remind("plants", "sat", type="time", due_at={"at": NOW - 30 * MINUTE})
    remind("pictures", "thu", type="time", due_at={"at": NOW + 14 * HOUR})
    remind("report", "sat", type="dependency", depends_on={"task": "task-profile"})
    add(at("sat", "13:00"), "pause", "pause-app", id={"goal": "goal-app"}, status="paused")


# What Ines and the agent said to each other: day, then one line of each in turn.
TALK = {
    "mon": [
        ("Good morning. What is first this week?", "Carts, then the retries of payments."),
        ("Where do carts live at the moment?", "In the web server's memory; I would like to keep them in Redis."),
        ("Fine with me. Who looks after Redis?", "Jonas installs it on Bertha before noon."),
        ("Please keep my vouchers working meanwhile.", "The voucher tests run before every commit."),
    ],
    "tue": [
        ("A buyer says her payment failed twice.", "I saw it: Paybird timed out. I retry payments eight times from today on."),
        ("Will she be charged eight times?", "No, every retry carries the same number, and Paybird counts it once."),
        ("When will Glimmer's new lamps be in the shop?", "The import runs on Friday at noon, after their price list."),
    ],
    "wed": [
        ("Forty carts are gone this morning!", "Redis was restarted and had not written them down. I am sorry."),
        ("That must not happen again.", "I move the carts to PostgreSQL today."),
        ("How did the deployment go?", "It failed after ninety-five seconds, and I rolled it back."),
        ("Are the facets done?", "Yes, they stand beside the hits now."),
    ],
    "thu": [
        ("Nobody can pay, what is going on?", "The checkout answers 502. I am looking for the reason."),
        ("Any news?", "The new HTTP client ignores the pinned certificate."),
        ("Is it over?", "Yes, buyers can pay again since a few minutes."),
        ("Please have no deployments on the weekend.", "They freeze on Friday at six."),
    ],
    "fri": [
        ("Paybird wrote: we send too many requests.", "I retry three times only from now on, with growing pauses."),
        ("And the contract for wallets?", "Their lawyer is on holiday until Tuesday."),
        ("Who pays the hosting invoice?", "You do; it is due on Sunday evening."),
        ("What have we learned from the outage?", "To renew the pinned certificate thirty days ahead."),
    ],
    "sat": [
        ("The sale begins today. Is everything ready?", "Everything but wallets, which wait for the contract."),
        ("How many lamps are left of the Firefly?", "Two hundred and twelve."),
        ("Remind me of the plants, please.", "They are on the list for Sunday night."),
    ],
    "sun": [
        ("Did the sale go well?", "Three hundred and eighty orders, and no outage."),
        ("Why are facets wrong for Leuchtröhre?", "Folding the sharp s broke the counts; the test fails since today."),
        ("What do you do tomorrow?", "The certificate first, for it is overdue, then the ledger."),
    ],
}


def talk():
    add(at("mon", "08:40"), "thread", "talk", title="Week with Ines", agent="coder")
    for day, pairs in TALK.items():
        for number, (question, answer) in enumerate(pairs):
            moment = at(day, "08:45") + number * 40 * MINUTE
            said = dict(thread={"thread": "talk"})
            add(moment, "message", f"ask-{day}-{number}", role="user", name="Ines", content=question, **said)
            if number == 1:
                call = f"call-{day}"
                add(moment + 20, "message", f"call-{day}", role="assistant", content="I look it up.",
                    tool_calls=[{"id": call, "type": "function", "function": {"name": "logs", "arguments": "{}"}}], **said)
                add(moment + 40, "message", f"tool-{day}", role="tool", name="logs", tool_call_id=call,
                    content=f"Log of {day}: {CHANCE.randint(100, 999)} lines", **said)
            add(moment + 60, "message", f"answer-{day}-{number}", role="assistant", name="coder", content=answer, **said)


def main():
    work()
    memories()
    plan()
    talk()
    LINES.sort(key=lambda line: line["at"])
    for line in LINES:
        print(json.dumps(line, ensure_ascii=False))


if __name__ == "__main__":
    main()
