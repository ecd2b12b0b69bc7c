"""Computes from `week.jsonl` what must be answered when the week is asked about.

    python3 expected.py week.jsonl > questions.json

It knows the list of what happened and nothing of Athena: an answer that is wrong there cannot be
wrong here in the same way. A question is an operation with its input, and checks of the answer. A
check says where to look (`at`, a JSON pointer in which `*` stands for every item), at which items
(`where`), what a number found there stands for (`as`), and what must be found:

    is        exactly that, in that order
    set       these and no others, in any order
    first     these, before anything else
    includes  these among others
    excludes  none of these
"""

import json
import sys
from collections import Counter, defaultdict

DAY = 86_400
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
NOW = 6 * DAY + 20 * 3_600
# What an agent changes the software by; runs and deployments only name the commit they ran on.
CHANGES = {"code_edit", "file_change", "refactoring", "dependency_change", "merge_conflict"}

QUESTIONS = []


def ask(question, operation, given, *checks, pages=False):
    QUESTIONS.append(
        {"question": question, "operation": operation, "input": given, "checks": list(checks), "pages": pages}
    )


def check(where_to_look, how, value, kind=None, where=None):
    made = {"at": where_to_look, "how": how, "value": value}
    if kind:
        made["as"] = kind
    if where:
        made["where"] = where
    return made


def items(how, keys, kind="event"):
    return check("/items/*/id", how, list(keys), kind)


def hits(how, keys, kind="memory"):
    return check("/hits/*/id", how, list(keys), kind)


def moment(seconds):
    return {"at": seconds}


def span(first, last=None):
    """Returns the limits of a day, or of some days."""
    last = last or first
    return {"after": moment(DAYS.index(first) * DAY), "before": moment((DAYS.index(last) + 1) * DAY)}


def length(milliseconds):
    """Says a length of time by its two largest units, the second only if it is the next one."""
    units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)]
    for place, (name, unit) in enumerate(units):
        if milliseconds >= unit:
            said = f"{milliseconds // unit}{name}"
            rest = milliseconds % unit
            if place + 1 < len(units) and rest >= units[place + 1][1]:
                said += f" {rest // units[place + 1][1]}{units[place + 1][0]}"
            return said
    return "0s"


class Week:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.lines = [json.loads(line) for line in file]
        self.by_key = {line["key"]: line for line in self.lines}
        told = [line for line in self.lines if line["do"] == "event"]
        self.told = told
        self.kept = [line for line in told if "same_as" not in line]
        removed = {line["id"]["event"] for line in self.lines if line["do"] == "remove"}
        there = [self.happened(line) for line in self.kept if line["key"] not in removed]
        self.events = sorted((it for it in there if it["at"] >= 0), key=lambda it: it["at"])

    @staticmethod
    def happened(line):
        """Returns an event at the time at which it happened, which may be long before it was told."""
        occurred = line.get("occurred_at")
        if occurred is None:
            return line
        return {**line, "at": occurred["at"] if isinstance(occurred, dict) else -1}

    def of(self, do):
        return [line for line in self.lines if line["do"] == do and "same_as" not in line]

    def where(self, test):
        return [event for event in self.events if test(event)]

    def on(self, day, events=None):
        begin = DAYS.index(day) * DAY
        return [it for it in (self.events if events is None else events) if begin <= it["at"] < begin + DAY]


def keys(events):
    return [event["key"] for event in events]


def is_run(event, test=None):
    return event["event_type"] == "test_run" and test in (None, event["test_name"])


def files(event):
    return {*event.get("context_files", []), *([event["file_path"]] if "file_path" in event else [])}


def longest_gap(events):
    """Returns the pair with the most time between them; the first of several."""
    pairs = list(zip(events, events[1:]))
    return max(pairs, key=lambda pair: pair[1]["at"] - pair[0]["at"])


def what_failed(week):
    failed = week.where(lambda it: it.get("outcome") == "failure")
    runs = [it for it in failed if is_run(it)]
    for day in ("mon", "tue", "thu", "sun"):
        ask(f"Which test runs failed on {day}?", "event.list",
            {"failed_tests": True, "order": "oldest", "limit": 1_000, **span(day)},
            items("is", keys(week.on(day, runs))))
    ask("What failed on thu, whatever it was?", "event.list",
        {"outcome": "failure", "order": "oldest", "limit": 1_000, **span("thu")},
        items("is", keys(week.on("thu", failed))))
    ask("How many things failed on wed, and of which kinds?", "event.span", {"outcome": "failure", **span("wed")},
        check("/count", "is", len(week.on("wed", failed))),
        check("/types", "is", dict(Counter(it["event_type"] for it in week.on("wed", failed)))))
    often = Counter(it["test_name"] for it in runs).most_common(1)[0][0]
    ask(f"When did {often} fail?", "event.list", {"test_name": often, "outcome": "failure", "order": "oldest"},
        items("is", keys(it for it in runs if it["test_name"] == often)),
        check("/items/*/occurred_at", "is", [it["at"] for it in runs if it["test_name"] == often], "time"))
    for file in ("tests/test_payment.py", "shop/payment.py"):
        ask(f"What failed that has to do with {file}?", "event.list",
            {"file": file, "outcome": "failure", "order": "oldest", "limit": 200},
            items("is", keys(it for it in failed if file in files(it))))
    ask("With which errors did tests fail on fri?", "event.list", {"failed_tests": True, "limit": 1_000, **span("fri")},
        check("/items/*/error_type", "set", sorted({it["error_type"] for it in week.on("fri", runs) if "error_type" in it})))
    deployments = week.where(lambda it: it["event_type"] == "deployment")
    ask("How did the deployments end, in order?", "event.list", {"event_type": ["deployment"], "order": "oldest"},
        items("is", keys(deployments)), check("/items/*/outcome", "is", [it["outcome"] for it in deployments]))
    ask("What went wrong when nobody could pay?", "event.search",
        {"query": "checkout answers 502 to every buyer", "limit": 1, **span("thu")}, hits("is", ["outage-begins"], "event"))


def what_brought_it_about(week):
    for key in ("outage-begins", "outage-fix"):
        cause = week.by_key[key]["caused_by"]["event"]
        ask(f"What brought {key} about?", "event.around", {"id": {"event": key}, "limit": 3},
            check("/cause/id", "is", cause, "event"), check("/event/id", "is", key, "event"))
    begins = week.by_key["outage-begins"]
    session = week.where(lambda it: it.get("session") == begins["session"])
    place = keys(session).index("outage-begins")
    ask("What happened around the beginning of the outage?", "event.around", {"id": {"event": "outage-begins"}, "limit": 4},
        check("/before/*/id", "is", keys(session[place - 4 : place]), "event"),
        check("/after/*/id", "is", keys(session[place + 1 : place + 5]), "event"))


def what_was_decided(week):
    decided = week.where(lambda it: it["event_type"] in ("decision", "arch_decision"))
    ask("What was decided, in order?", "event.list", {"event_type": ["decision", "arch_decision"], "order": "oldest"},
        items("is", keys(decided)))
    text = lambda key: week.by_key[key]["content"]
    ask("Where are carts kept?", "memory.recall", {"query": "Where are shopping carts kept?", "limit": 3},
        hits("first", ["carts-postgres"]), hits("excludes", ["carts-redis"]))
    ask("How did the place of carts change, and why?", "memory.history", {"id": {"memory": "carts-postgres"}},
        items("is", ["carts-redis", "carts-postgres"], "memory"),
        check("/items/*/content", "is", [text("carts-redis"), text("carts-postgres")]),
        check("/items/1/update_reason", "is", week.by_key["carts-postgres"]["reason"]))
    ask("Where are payments retried how often?", "memory.recall",
        {"query": "How often is a failed payment retried?", "limit": 5},
        hits("first", ["retries-three"]), hits("excludes", ["retries-eight"]))
    ask("By what was the first rule for retries replaced?", "memory.get", {"id": {"memory": "retries-eight"}},
        check("/superseded_by", "is", "retries-three", "memory"), check("/content", "is", text("retries-eight")))
    replaced = ["carts-redis", "freeze-none", "freeze-friday", "retries-eight"]
    ask("What was replaced?", "memory.list", {"state": "superseded"}, items("set", replaced, "memory"))
    freezes = ["freeze-none", "freeze-friday", "freeze-monday"]
    ask("How did the freeze change?", "memory.history", {"id": {"memory": "freeze-monday"}},
        items("is", freezes, "memory"), check("/items/*/version", "is", [1, 2, 3]))


def what_was_believed(week):
    def believed(day, about, query, key, *not_yet):
        ask(f"What was believed about {about} on {day}?", "memory.recall",
            {"query": query, "as_of": {"midnight": DAYS.index(day)}, "limit": 10},
            hits("first", [key]), hits("excludes", not_yet))

    carts = "Where are shopping carts kept?"
    believed("tue", "carts", carts, "carts-redis", "carts-postgres")
    believed("wed", "carts", carts, "carts-postgres", "carts-redis")
    retries = "How often is a failed payment retried?"
    believed("tue", "retries", retries, "retries-eight", "retries-three")
    believed("thu", "retries", retries, "retries-eight", "retries-three")
    believed("sat", "retries", retries, "retries-three", "retries-eight")
    freeze = "When are deployments frozen?"
    believed("wed", "the freeze", freeze, "freeze-none", "freeze-friday", "freeze-monday")
    believed("fri", "the freeze", freeze, "freeze-friday", "freeze-none", "freeze-monday")
    believed("sun", "the freeze", freeze, "freeze-monday", "freeze-none", "freeze-friday")
    believed("wed", "the warehouse in August", "Is the warehouse closed in August?", "fact-mistake")
    known = [it["key"] for it in week.of("remember") if it["at"] < DAY]
    ask("What was known on mon?", "memory.recall",
        {"query": "payment certificate wallet facets", "as_of": {"midnight": 0}, "limit": 100},
        hits("excludes", [it["key"] for it in week.of("remember") + week.of("update") if it["key"] not in known]))
    ask("Is the warehouse closed in August?", "memory.recall", {"query": "Is the warehouse closed in August?"},
        hits("excludes", ["fact-mistake"]))
    ask("What was forgotten?", "memory.list", {"forgotten": True}, items("is", ["fact-mistake"], "memory"))


class Task:
    """Where a task stands at the end of the week."""

    def __init__(self, line):
        self.key = line["key"]
        self.line = line
        self.due = line["due_at"]["at"] if "due_at" in line else None
        self.waits_for = [it["task"] for it in line.get("depends_on", [])]
        self.status = "pending"
        self.attempts = []
        self.reason = None


def fires(trigger, made):
    """Whether a trigger has fired by Sunday evening."""
    if trigger["type"] == "time":
        return trigger["due_at"]["at"] <= NOW
    return made[trigger["depends_on"]["task"]].status == "completed"


def tasks(week):
    made = {line["key"]: Task(line) for line in week.of("task")}
    ends = {"complete": "completed", "fail": "failed", "advance": "cancelled", "start": "active"}
    for line in week.lines:
        task = made.get(line.get("id", {}).get("task"))
        if task is None:
            continue
        task.status = ends.get(line["do"], task.status)
        if line["do"] == "attempt":
            task.attempts.append(line)
        if line["do"] == "block":
            task.reason = line["reason"]
        if line["do"] == "depend":
            task.waits_for.append(line["depends_on"]["task"])
    return made


def what_is_to_be_done(week):
    made = tasks(week)
    open_ones = [it for it in made.values() if it.status in ("pending", "active")]
    is_held_up = lambda it: it.reason or any(made[key].status != "completed" for key in it.waits_for)
    overdue = lambda it: it.due is not None and it.due < NOW
    priority = lambda it: it.line["priority"]
    goals = {line["key"]: line for line in week.of("goal")}
    paused = {line["id"]["goal"] for line in week.of("pause")}
    goal = lambda it: it.line.get("goal_id", {}).get("goal")
    late = lambda it: it.due if it.due is not None else float("inf")
    number = {key: place for place, key in enumerate(made)}

    fired = {line["id"]["task"]: fires(line, made) for line in week.of("trigger")}
    ready = [it for it in open_ones if not is_held_up(it) and goal(it) not in paused and fired.get(it.key, True)]
    of_goal = lambda it: goals[goal(it)]["priority"] if goal(it) else 0
    ready.sort(key=lambda it: (not overdue(it), -priority(it), late(it), -of_goal(it), number[it.key]))
    ask("What can be done now, and in what order?", "task.ready", {"limit": 100},
        items("is", [it.key for it in ready], "task"))
    rank = lambda it: 0 if overdue(it) else 1 if fired.get(it.key) else 2
    for hours in (1, 24, 72):
        due = [it for it in open_ones if fired.get(it.key) or it.due is not None and it.due <= NOW + hours * 3_600]
        due.sort(key=lambda it: (rank(it), -priority(it), late(it)))
        ask(f"What is due within {hours} hours?", "reminder.due", {"within_hours": hours},
            check("/items/*/task/id", "is", [it.key for it in due], "task"),
            check("/items/*/overdue", "is", [overdue(it) for it in due]))
    ask("By how much is the certificate overdue?", "reminder.due", {"limit": 1},
        check("/items/0/task/id", "is", "task-certificate", "task"),
        check("/items/0/reasons", "includes", ["it is overdue by 3h 10m"]))

    for who in ("ines", "coder"):
        ask(f"What can {who} do now?", "task.ready", {"assignee": who, "limit": 100},
            items("is", [it.key for it in ready if it.line.get("assignee", who) == who], "task"))
    held_up = [it.key for it in open_ones if is_held_up(it)]
    ask("What is held up?", "task.list", {"status": "blocked"}, items("set", held_up, "task"))
    ask("Why is the contract held up?", "task.get", {"id": {"task": "task-contract"}},
        check("/status", "is", "blocked"), check("/blocked_reason", "is", made["task-contract"].reason))
    for status in ("completed", "failed", "cancelled"):
        ask(f"What was {status}?", "task.list", {"status": status},
            items("set", [it.key for it in made.values() if it.status == status], "task"))
    ask("What does the wallet wait for, and what waits for the ledger?", "task.get", {"id": {"task": "task-ledger"}},
        check("/depends_on/*/id", "is", ["task-retries"], "task"), check("/dependents/*/id", "is", ["task-wallet"], "task"),
        check("/depends_on/*/status", "is", ["completed"]), check("/status", "is", "active"))
    ask("What is the coder's to do before Monday evening?", "task.list",
        {"assignee": "coder", "due_before": moment(NOW + DAY), "limit": 100},
        items("set", [it.key for it in made.values() if it.line.get("assignee") == "coder" and it.due is not None and it.due < NOW + DAY], "task"))
    for key in ("task-retries", "task-carts"):
        tried = made[key].attempts[::-1]
        ask(f"How did {key} go, and what was learned?", "task.get", {"id": {"task": key}},
            check("/last_attempts/*/outcome", "is", [it["outcome"] for it in tried]),
            check("/last_attempts/*/lesson", "is", [it["lesson"] for it in tried]),
            check("/last_attempts/*/minutes", "is", [it["minutes"] for it in tried]),
            check("/failed_attempts", "is", sum(it["outcome"] == "failure" for it in tried)),
            check("/actual_minutes", "is", next(it for it in week.of("complete") if it["id"]["task"] == key)["actual_minutes"]))
    ask("Which task is about the sharp s and facets?", "task.search", {"query": "umlauts in facets", "limit": 1},
        hits("is", ["task-umlauts"], "task"))
    how_far(week, made, goals)


def how_far(week, made, goals):
    def percentage(key):
        """The mean over the tasks that were not given up and the goals below."""
        shares = [100.0 * (it.status == "completed") for it in made.values()
                  if it.line.get("goal_id") == {"goal": key} and it.status != "cancelled"]
        shares += [percentage(it["key"]) for it in goals.values() if it.get("parent_goal_id") == {"goal": key}]
        return sum(shares) / len(shares) if shares else 0.0

    below = [it for it in goals.values() if it.get("parent_goal_id") == {"goal": "goal-austria"}]
    below.sort(key=lambda it: -it["priority"])
    ask("How far is Austria?", "goal.get", {"id": {"goal": "goal-austria"}},
        check("/completion_percentage", "is", percentage("goal-austria")),
        check("/subgoals/*/id", "is", [it["key"] for it in below], "goal"),
        check("/subgoals/*/completion_percentage", "is", [percentage(it["key"]) for it in below]))
    paused = {line["id"]["goal"] for line in week.of("pause")}
    active = sorted((it for it in goals.values() if it["key"] not in paused), key=lambda it: -it["priority"])
    ask("What is worked towards, and how far is it?", "goal.list", {"status": "active"},
        items("is", [it["key"] for it in active], "goal"),
        check("/items/*/completion_percentage", "is", [percentage(it["key"]) for it in active]))


def in_what_order(week):
    def compare(first, second, relation, *checks):
        ask(f"Which came first, {first} or {second}?", "event.compare",
            {"first": {"event": first}, "second": {"event": second}}, check("/relation", "is", relation), *checks)

    gap = lambda one, other: abs(week.by_key[one]["at"] - week.by_key[other]["at"]) * 1_000
    for first, second, relation in [
        ("decision-carts-redis", "decision-carts-postgres", "before"),
        ("outage-ends", "deployment-wed-16", "after"),
    ]:
        compare(first, second, relation, check("/gap_ms", "is", gap(first, second)), check("/gap", "is", length(gap(first, second))))
    compare("history-founded", "history-first-sale", "undetermined")
    compare("history-founded", "history-moved", "before")
    compare("history-moved", "outage-begins", "before")
    session = week.where(lambda it: it.get("session") == "thu-11")
    ask("What happened in the session of the outage, from its beginning?", "event.list",
        {"session": "thu-11", "order": "oldest", "limit": 20}, items("is", keys(session)), pages=True)
    ask("What happened in the whole week, in order?", "event.list",
        {"order": "oldest", "after": moment(0), "limit": 900}, items("is", keys(week.events)), pages=True)
    ask("What happened last?", "event.list", {"limit": 12}, items("is", keys(week.events[::-1][:12])))
    ask("What do we know of the years before?", "event.list", {"before": moment(0), "order": "oldest"},
        items("is", ["history-founded", "history-first-sale", "history-moved"]),
        check("/items/*/precision", "is", ["year", "month", "day"]))
    ask("What was removed?", "event.list", {"removed": True}, items("is", ["mistaken-note"]))
    outage = week.where(lambda it: "outage" in it.get("tags", []))
    ask("What was the course of the outage?", "event.list", {"tag": "outage", "order": "oldest"}, items("is", keys(outage)))


def how_long(week):
    def spans(question, given, events, *checks):
        gap = longest_gap(events)
        took = (events[-1]["at"] - events[0]["at"]) * 1_000
        ask(question, "event.span", given, check("/count", "is", len(events)),
            check("/first/id", "is", events[0]["key"], "event"), check("/last/id", "is", events[-1]["key"], "event"),
            check("/first/occurred_at", "is", events[0]["at"], "time"), check("/last/occurred_at", "is", events[-1]["at"], "time"),
            check("/elapsed_ms", "is", took), check("/elapsed", "is", length(took)),
            check("/longest_gap/from", "is", gap[0]["key"], "event"), check("/longest_gap/to", "is", gap[1]["key"], "event"),
            check("/duration_ms", "is", sum(it.get("duration_ms", 0) for it in events)), *checks)

    for session in ("mon-09", "sun-16"):
        spans(f"How long was session {session}?", {"session": session}, week.where(lambda it: it.get("session") == session))
    spans("How long was the outage?", {"tag": "outage"}, week.where(lambda it: "outage" in it.get("tags", [])))
    spans("How long was the payment outage, asked in words?", {"query": "payment outage", "min_score": 0.35, **span("thu")},
          week.where(lambda it: "outage" in it.get("tags", [])))
    spans("How long was the longest pause of the week?", {"after": moment(0)}, week.events)
    deployments = week.where(lambda it: it["event_type"] == "deployment")
    spans("How long did deployments take?", {"event_type": "deployment"}, deployments,
          check("/outcomes", "is", dict(Counter(it["outcome"] for it in deployments))))
    spans("Since when was shop/ledger.py worked on?", {"file": "shop/ledger.py"}, week.where(lambda it: "shop/ledger.py" in files(it)))
    failing = week.where(lambda it: is_run(it) and not it["test_passed"])
    test = Counter(it["test_name"] for it in failing).most_common(2)[1][0]
    spans(f"When did {test} fail first and last?", {"test_name": test, "outcome": "failure"}, [it for it in failing if it["test_name"] == test])
    measured = week.where(lambda it: "speed" in it.get("tags", []))
    speeds = [it["metrics"]["p95_ms"] for it in measured]
    ask("How fast was the shop?", "event.span", {"tag": "speed"},
        check("/metrics/*/name", "set", ["p95_ms", "queries"]),
        *(check(f"/metrics/*/{name}", "is", [value], where={"name": "p95_ms"})
          for name, value in [("count", len(speeds)), ("min", min(speeds)), ("max", max(speeds)), ("mean", sum(speeds) / len(speeds))]))
    last = deployments[-1]
    ask("When was the shop deployed last?", "event.list", {"event_type": ["deployment"], "limit": 1},
        items("is", [last["key"]]), check("/items/*/occurred_at", "is", [last["at"]], "time"))


def what_changed_since(week):
    is_change = lambda it: it["event_type"] in CHANGES
    tests = sorted({it["test_name"] for it in week.events if is_run(it)})
    special = ["tests/test_search.py::test_facets_with_umlauts", "tests/test_payment.py::test_pays_with_wallet"]
    usual = [it for it in tests if it not in special][:2]
    for test in special + usual:
        runs = week.where(lambda it: is_run(it, test))
        passes = [it for it in runs if it["test_passed"]]
        since = passes[-1]["at"] if passes else -1
        failures = [it for it in runs if not it["test_passed"] and it["at"] > since]
        until = failures[0]["at"] if failures else NOW
        changes = week.where(lambda it: is_change(it) and since < it["at"] < until)[::-1]
        ask(f"What changed since {test} passed last?", "event.changes_since_pass", {"test_name": test, "limit": 1_000},
            check("/last_pass/id", "is", passes[-1]["key"] if passes else None, "event"),
            check("/first_failure/id", "is", failures[0]["key"] if failures else None, "event"),
            check("/changes/*/id", "is", keys(changes), "event"), check("/more", "is", False))


def what_was_learned(week):
    learned = week.where(lambda it: "learned" in it)[::-1]
    ask("What was learned in the week?", "event.learned", {},
        items("is", keys(learned)), check("/items/*/learned", "is", [it["learned"] for it in learned]))
    ask("What was learned on tue?", "event.learned", span("tue"), items("is", keys(week.on("tue", learned))))
    ask("What do we know about two buyers of the same lamp?", "event.search",
        {"query": "two buyers read the same last lamp, reserving needs a lock", "limit": 1}, hits("is", ["lesson-wed-11"], "event"))


def which_files(week):
    edits = week.where(lambda it: it["event_type"] == "code_edit" and it["session"] == "fri-14" and "file_path" in it)
    ask("Which files were edited in session fri-14?", "event.list", {"session": "fri-14", "event_type": ["code_edit"], "limit": 500},
        check("/items/*/file_path", "set", sorted({it["file_path"] for it in edits})))
    about = week.where(lambda it: "shop/vouchers.py" in files(it))
    ask("What happened to shop/vouchers.py?", "event.list", {"file": "shop/vouchers.py", "order": "oldest", "limit": 100},
        items("is", keys(about)), pages=True)
    lines = week.where(lambda it: it.get("symbol") == "round_discount" and it["event_type"] == "code_edit")
    ask("How was round_discount changed?", "event.list", {"symbol": "round_discount", "event_type": ["code_edit"], "order": "oldest", "limit": 100},
        items("is", keys(lines)), check("/items/*/lines_added", "is", [it["lines_added"] for it in lines]))
    typescript = week.where(lambda it: it.get("language") == "typescript")
    ask("How much TypeScript was written on sat?", "event.list", {"language": "typescript", "order": "oldest", "limit": 500, **span("sat")},
        items("is", keys(week.on("sat", typescript))),
        check("/items/*/context_branch", "set", sorted({it["context_branch"] for it in week.on("sat", typescript)})))


def told_twice(week):
    commits = week.where(lambda it: "commit" in it.get("tags", []))
    ask("Which commits were made, each once?", "event.list", {"tag": "commit", "order": "oldest", "limit": 500},
        items("is", keys(commits)), check("/items/*/git_commit", "is", [it["git_commit"] for it in commits]), pages=True)
    slow = ["slow-first", "slow-later"]
    ask("How often was the staging server slow?", "event.span", {"query": "The staging server was slow", "min_score": 0.6},
        check("/count", "is", len(slow)), check("/first/id", "is", slow[0], "event"), check("/last/id", "is", slow[1], "event"))
    staging = [it["key"] for it in week.of("remember") if "server" in it.get("tags", [])]
    ask("What is known of servers, each once?", "memory.list", {"tag": "server"}, items("set", staging, "memory"))


def what_is_known(week):
    for question, key in [
        ("What is the staging server called?", "fact-staging"),
        ("Who takes the payments?", "fact-provider"),
        ("When does the supplier send its prices?", "fact-supplier"),
        ("How much tax is there on lamps in Austria?", "fact-vat"),
        ("How long may a buyer return a lamp?", "fact-returns"),
        ("When are backups taken, and how long are they kept?", "fact-backup"),
        ("Who is on call this week?", "fact-oncall"),
        ("How many requests a minute does Paybird accept?", "fact-limit"),
        ("Where is the pinned certificate?", "fact-pinning"),
        ("Which lamp sells best?", "fact-lamps"),
    ]:
        ask(question, "memory.recall", {"query": question, "limit": 3}, hits("first", [key]))


def who_said_what(week):
    said = week.of("message")
    thread = {"thread": {"thread": "talk"}}
    ask("Who said what?", "message.list", {**thread, "limit": 25},
        check("/items/*/id", "is", keys(said), "message"), check("/items/*/content", "is", [it["content"] for it in said]),
        check("/items/*/role", "is", [it["role"] for it in said]), check("/items/*/seq", "is", list(range(1, len(said) + 1))),
        check("/items/*/occurred_at", "is", [it["at"] for it in said], "time"), pages=True)
    ask("What was said last?", "message.list", {**thread, "order": "newest", "limit": 3},
        check("/items/*/id", "is", keys(said[::-1][:3]), "message"))
    turns = sum(it["role"] == "user" for it in said)
    ask("How long is the conversation?", "thread.get", thread,
        check("/thread/messages", "is", len(said)), check("/turns", "is", turns))
    ask("Who said that forty carts are gone?", "message.search", {"query": "forty carts are gone", "limit": 1},
        check("/hits/*/message/id", "is", ["ask-wed-0"], "message"), check("/hits/*/message/name", "is", ["Ines"]))
    ask("What did the agent say about the sandbox of certificates?", "message.search",
        {"query": "HTTP client ignores the pinned certificate", **thread, "limit": 1},
        check("/hits/*/message/id", "is", ["answer-thu-1"], "message"), check("/hits/*/message/role", "is", ["assistant"]))
    ask("What does one need to go on with the conversation?", "thread.context", {**thread, "budget_tokens": 10_000},
        check("/messages/*/id", "is", keys(said), "message"))
    ask("What fits two hundred tokens?", "thread.context", {**thread, "budget_tokens": 200},
        check("/messages/*/id", "includes", keys(said[-3:]), "message"), check("/messages/*/id", "excludes", keys(said[:20]), "message"))


def what_belongs_into_a_prompt(week):
    remembered = week.of("remember")
    text = lambda lines: [it["content"] for it in lines]
    rules = [it for it in remembered if it.get("type") == "rule"]
    plain = [it for it in rules if "scope" not in it]
    scoped = [it for it in rules if "scope" in it]
    likes = [it for it in remembered if it.get("type") == "preference"]
    unrelated = [it for it in remembered if {"office", "design", "mail"} & set(it.get("tags", []))]
    old = [week.by_key[key] for key in ("carts-redis", "retries-eight", "freeze-none", "freeze-friday", "fact-mistake")]
    ask("What belongs into a prompt about the retries?", "context.brief",
        {"prompt": "How often do we retry a payment that failed?", "budget_tokens": 2_000},
        check("/text", "includes", text(plain + likes) + [week.by_key["retries-three"]["content"]]),
        check("/text", "excludes", text(scoped + unrelated + old)))
    ask("What belongs into a prompt about the payment's file?", "context.brief",
        {"prompt": "Review the retries", "files": ["shop/payment.py"], "budget_tokens": 2_000},
        check("/text", "includes", text(plain + likes + [week.by_key["rule-payment-review"]])),
        check("/text", "excludes", text([week.by_key["rule-web-strict"]] + unrelated + old)))
    order = sorted(plain, key=lambda it: -it["priority"])
    ask("Which rules hold without any question, the weightiest first?", "context.brief", {"budget_tokens": 2_000},
        check("/items/*/id", "is", [it["key"] for it in order], "memory", {"section": "rules"}))
    ask("What belongs into a prompt with little room?", "context.brief", {"prompt": "carts", "budget_tokens": 60},
        check("/items/*/id", "first", [order[0]["key"]], "memory"))
    ask("What does the user like?", "memory.list", {"type": "preference"}, items("set", keys(likes), "memory"))


def what_the_feed_says(week):
    told = [it["key"] for it in week.kept]
    ask("Which events does the feed tell of?", "change.list", {"limit": 700},
        check("/items/*/id", "set", told, "event", {"kind": "event"}), check("/missed", "is", False), pages=True)
    sunday = week.on("sun", week.lines)
    done = [it["id"]["task"] for it in sunday if "task" in it.get("id", {})]
    memories = [it["key"] for it in sunday if it["do"] == "remember"]
    ask("What changed on sun?", "change.list", {"after": {"change": DAYS.index("sat")}, "limit": 1_000},
        check("/items/*/id", "includes", sorted(set(done)), "task", {"kind": "task"}),
        check("/items/*/id", "set", memories, "memory", {"kind": "memory"}),
        check("/items/*/id", "set", keys(week.on("sun")), "event", {"kind": "event"}),
        check("/items/*/operation", "set", ["event.record_batch"], where={"kind": "event"}), pages=True)
    ask("Which messages were added on sun?", "change.list", {"after": {"change": DAYS.index("sat")}, "limit": 1_000},
        check("/items/*/id", "set", [it["key"] for it in sunday if it["do"] == "message"], "message", {"kind": "message"}), pages=True)


def main():
    week = Week(sys.argv[1])
    for part in (
        what_failed, what_brought_it_about, what_was_decided, what_was_believed, what_is_to_be_done, in_what_order,
        how_long, what_changed_since, what_was_learned, which_files, told_twice, what_is_known, who_said_what,
        what_belongs_into_a_prompt, what_the_feed_says,
    ):
        part(week)
    told_again = defaultdict(str, {it["key"]: it["same_as"] for it in week.lines if "same_as" in it})
    json.dump({"questions": QUESTIONS, "told": len(week.told), "kept": len(week.kept), "same": told_again}, sys.stdout, ensure_ascii=False)


if __name__ == "__main__":
    main()
