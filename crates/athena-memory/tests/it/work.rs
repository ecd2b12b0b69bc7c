//! Goals, tasks, triggers, reminders and snapshots.

use athena_core::{Code, Ctx};
use athena_db::{Executor, params};
use athena_privacy::Policy;
use athena_store::rotate;
use athena_testkit::{TestApp, json, logged_records, privacy_with_keys, story};
use serde_json::Value;

async fn task(app: &TestApp, title: &str) -> i64 {
    add(app, json!({"title": title})).await
}

async fn add(app: &TestApp, input: Value) -> i64 {
    app.call("task.create", input).await["id"].as_i64().unwrap()
}

async fn goal(app: &TestApp, input: Value) -> i64 {
    app.call("goal.create", input).await["id"].as_i64().unwrap()
}

fn ids(page: &Value) -> Vec<i64> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["id"].as_i64().unwrap())
        .collect()
}

/// Adds a task with a trigger that waits for another one.
async fn awaiting(app: &TestApp, title: &str, on: i64) -> i64 {
    let id = task(app, title).await;
    let trigger = json!({"id": id, "type": "dependency", "depends_on": on});
    app.call("trigger.create", trigger).await;
    id
}

/// The ids of the tasks that are due.
fn ids_of_tasks(due: &Value) -> Vec<i64> {
    let items = due["items"].as_array().unwrap().iter();
    items
        .map(|item| item["task"]["id"].as_i64().unwrap())
        .collect()
}

async fn ready(app: &TestApp) -> Vec<i64> {
    ids(&app.call("task.ready", json!({})).await)
}

async fn status(app: &TestApp, id: i64) -> Value {
    app.call("task.get", json!({"id": id})).await["status"].clone()
}

async fn refused(
    app: &TestApp,
    operation: &str,
    input: Value,
    code: Code,
    field: &str,
    says: &str,
) {
    let error = app.refused(operation, input).await;
    assert_eq!(
        (error.code(), error.field()),
        (code, Some(field)),
        "{error}"
    );
    assert!(error.message().contains(says), "{error}");
}

story! {
    /// A task goes from phase to phase; its status, times and minutes follow.
    async fn phases(app: TestApp) {
        let id = task(app, "Ship the release").await;
        assert_eq!(status(app, id).await, "pending");
        app.call("task.advance", json!({"id": id, "phase": "plan_ready"})).await;
        app.clock.advance(600);
        let started = app.call("task.start", json!({"id": id})).await;
        assert_eq!((&started["status"], &started["phase"]), (&json!("active"), &json!("executing")));
        assert_eq!(started["phase_minutes"]["plan_ready"], 10.0);
        app.clock.advance(1_800);
        app.call("task.advance", json!({"id": id, "phase": "verifying"})).await;
        app.clock.advance(-900);
        let done = app.call("task.complete", json!({"id": id, "lessons": "Tag first"})).await;
        assert_eq!((&done["status"], &done["completion_percentage"]), (&json!("completed"), &json!(100.0)));
        assert_eq!(done["phase_minutes"]["executing"], 30.0);
        assert_eq!(done["phase_minutes"]["verifying"], 0.0, "a clock that goes back takes nothing");
        assert_eq!(done["lessons"], "Tag first");
        assert!(done["completed_at"].is_string());

        refused(app, "task.start", json!({"id": id}), Code::InvalidState, "phase", "reopen it first").await;
        let again = app.call("task.reopen", json!({"id": id})).await;
        assert_eq!((&again["phase"], &again["completed_at"]), (&json!("planning"), &json!(null)));
        let verify = json!({"id": id, "phase": "verifying"});
        refused(app, "task.advance", verify, Code::InvalidState, "phase", "`plan_ready`, `executing`").await;
        refused(app, "task.reopen", json!({"id": id}), Code::InvalidState, "id", "was never closed").await;

        let active = app.call("task.advance", json!({"id": id, "phase": "in_progress"})).await;
        assert_eq!(active["phase"], "executing");
        assert_eq!(ids(&app.call("task.list", json!({"status": "in_progress"})).await), [id]);
        let failed = app.call("task.fail", json!({"id": id, "reason": "No access"})).await;
        assert_eq!((&failed["status"], &failed["failure_reason"]), (&json!("failed"), &json!("No access")));
        refused(app, "task.block", json!({"id": id, "reason": "x"}), Code::InvalidState, "id", "reopen").await;
    }

    /// What is done is sorted by urgency, never by the alphabet; what is blocked is not there.
    async fn ready_tasks(app: TestApp) {
        let medium = add(app, json!({"title": "medium", "priority_name": "medium"})).await;
        let critical = add(app, json!({"title": "critical", "priority_name": "critical"})).await;
        let low = add(app, json!({"title": "low", "priority": 3})).await;
        let late = add(app, json!({"title": "late", "priority": 1, "due_at": "2026-02-01T00:00:00Z"})).await;
        let soon = add(app, json!({"title": "soon", "due_at": "2026-03-02T00:00:00Z"})).await;
        let urgent = goal(app, json!({"name": "Survive", "priority": 9})).await;
        let serving = add(app, json!({"title": "serving", "goal_id": urgent})).await;
        assert_eq!(ready(app).await, [late, critical, soon, serving, medium, low]);

        app.call("task.block", json!({"id": critical, "reason": "waiting for legal"})).await;
        assert_eq!(status(app, critical).await, "blocked");
        assert_eq!(ids(&app.call("task.list", json!({"status": "blocked"})).await), [critical]);
        assert_eq!(ready(app).await, [late, soon, serving, medium, low]);
        refused(app, "task.start", json!({"id": critical}), Code::InvalidState, "id", "unblock").await;
        app.call("task.unblock", json!({"id": critical})).await;
        app.call("goal.update", json!({"id": urgent, "status": "paused"})).await;
        assert_eq!(ready(app).await, [late, critical, soon, medium, low]);

        app.call("goal.update", json!({"id": urgent, "status": "cancelled"})).await;
        assert_eq!(ready(app).await, [late, critical, soon, medium, low]);
        let above = goal(app, json!({"name": "Be content", "status": "paused"})).await;
        let between = goal(app, json!({"name": "Live", "parent_goal_id": above})).await;
        app.call("goal.update", json!({"id": urgent, "status": "active", "parent_goal_id": between})).await;
        assert_eq!(ready(app).await, [late, critical, soon, medium, low], "a goal above is paused");
        app.call("goal.update", json!({"id": above, "status": "active"})).await;
        assert_eq!(ready(app).await, [late, critical, soon, serving, medium, low]);
        app.call("goal.update", json!({"id": between, "status": "cancelled"})).await;

        let first = app.call("task.ready", json!({"limit": 2})).await;
        let rest = app.call("task.ready", json!({"limit": 9, "cursor": first["next_cursor"]})).await;
        assert_eq!([ids(&first), ids(&rest)].concat(), [late, critical, soon, medium, low]);
        app.call("task.complete", json!({"id": critical})).await;
        let gone = json!({"limit": 9, "cursor": first["next_cursor"]});
        refused(app, "task.ready", gone, Code::NotFound, "cursor", "start again").await;
    }

    /// Completing a task frees what depended on it, and fires what waited for it, at once.
    async fn dependencies(app: TestApp) {
        let first = task(app, "Design").await;
        let second = add(app, json!({"title": "Build", "depends_on": [first]})).await;
        let third = task(app, "Announce").await;
        let trigger = json!({"id": third, "type": "dependency", "depends_on": first});
        app.call("trigger.create", trigger).await;
        assert_eq!(status(app, second).await, "blocked");
        assert_eq!(ready(app).await, [first]);
        refused(app, "task.start", json!({"id": second}), Code::InvalidState, "id", "depends on 1").await;

        app.call("task.complete", json!({"id": first})).await;
        assert_eq!(ready(app).await, [second, third]);
        let due = app.call("reminder.due", json!({})).await;
        assert_eq!(due["items"][0]["task"]["id"], third);
        assert_eq!(due["items"][0]["reasons"], json!([format!("task `{first}` is completed")]));
        let view = app.call("task.get", json!({"id": first})).await;
        assert_eq!(view["dependents"][0]["id"], second);

        app.call("task.reopen", json!({"id": first})).await;
        assert_eq!(status(app, second).await, "blocked");
        let left = app.call("task.undepend", json!({"id": second, "depends_on": first})).await;
        assert_eq!(left["depends_on"], json!([]));
        assert_eq!(status(app, second).await, "pending");

        app.call("task.depend", json!({"id": second, "depends_on": first})).await;
        app.call("task.remove", json!({"id": first})).await;
        assert_eq!(status(app, second).await, "pending", "what was removed holds up nothing");
        app.call("task.restore", json!({"id": first})).await;
        assert_eq!(status(app, second).await, "blocked");
    }

    /// What a task waits for may happen while it is away: it is made up for when it is back.
    async fn completed_while_away(app: TestApp) {
        let (wanted, other) = (task(app, "Design").await, task(app, "Measure").await);
        let (removed, failed) = (awaiting(app, "Build", wanted).await, awaiting(app, "Compare", other).await);
        app.call("task.remove", json!({"id": removed})).await;
        app.call("task.fail", json!({"id": failed, "reason": "No ruler"})).await;
        for id in [wanted, other] {
            app.call("task.complete", json!({"id": id})).await;
        }
        assert!(ready(app).await.is_empty());
        app.call("task.restore", json!({"id": removed})).await;
        assert_eq!(ready(app).await, [removed]);
        app.call("task.reopen", json!({"id": failed})).await;
        assert_eq!(ready(app).await, [removed, failed]);
        let due = app.call("reminder.due", json!({})).await;
        assert_eq!(due["items"][1]["reasons"], json!([format!("task `{other}` is completed")]));
        app.call("task.remove", json!({"id": removed})).await;
        app.call("task.restore", json!({"id": removed})).await;
        let trigger = &app.call("trigger.list", json!({"task_id": removed})).await["items"][0];
        assert_eq!(trigger["fired_count"], 1, "once is enough");
    }

    /// A task that was removed is waited for by nobody, and again once it is restored.
    async fn what_is_awaited_goes(app: TestApp) {
        let wanted = task(app, "Design").await;
        let waits = awaiting(app, "Build", wanted).await;
        let depends = add(app, json!({"title": "Sell", "depends_on": [wanted]})).await;
        assert_eq!(ready(app).await, [wanted]);
        let changed = async |operation: &'static str| {
            let last = app.call("change.list", json!({"after": 0, "limit": 1})).await["last"].clone();
            app.call(operation, json!({"id": wanted})).await;
            let told = app.call("change.list", json!({"after": last})).await;
            let items = told["items"].as_array().unwrap().iter().filter(|it| it["kind"] == "task");
            items.map(|it| it["id"].as_i64().unwrap()).collect::<Vec<i64>>()
        };
        assert_eq!(changed("task.remove").await, [wanted, waits, depends]);
        assert_eq!(ready(app).await, [waits, depends]);
        assert_eq!(app.call("task.get", json!({"id": waits})).await["awaits_trigger"], false);
        assert_eq!(changed("task.restore").await, [wanted, waits, depends]);
        assert_eq!(ready(app).await, [wanted]);
        assert_eq!(changed("task.complete").await, [wanted, waits, depends]);
        assert_eq!(changed("task.reopen").await, [wanted, depends]);
        let late = awaiting(app, "Praise", wanted).await;
        assert_eq!(ready(app).await, [wanted, waits]);

        // What has fired stays; what never will goes.
        assert_eq!(changed("task.purge").await, [wanted, depends, late]);
        assert_eq!(ready(app).await, [waits, depends, late]);
        let due = app.call("reminder.due", json!({})).await;
        assert_eq!((ids_of_tasks(&due), &due["items"][0]["reminders"][0]["missed"]), (vec![waits], &json!(0)));
        let left = app.call("trigger.list", json!({})).await;
        assert_eq!((&left["items"][0]["task_id"], &left["items"][0]["depends_on"]), (&json!(waits), &json!(null)));
        assert_eq!(left["items"].as_array().unwrap().len(), 1);
    }

    /// Triggers that would wait for each other, be it through dependencies, are refused.
    async fn circles_of_triggers(app: TestApp) {
        let (a, b, c) = (task(app, "a").await, task(app, "b").await, task(app, "c").await);
        app.call("trigger.create", json!({"id": b, "type": "dependency", "depends_on": a})).await;
        app.call("task.depend", json!({"id": c, "depends_on": b})).await;
        let way = format!("`{c}` → `{b}` → `{a}`");
        let closing = json!({"id": a, "type": "dependency", "depends_on": c});
        refused(app, "trigger.create", closing.clone(), Code::Conflict, "depends_on", &way).await;
        let depend = json!({"id": a, "depends_on": b});
        refused(app, "task.depend", depend, Code::Conflict, "depends_on", &format!("`{b}` → `{a}`")).await;
        app.call("task.complete", json!({"id": a})).await;
        app.call("task.reopen", json!({"id": a})).await;
        app.call("trigger.create", closing).await;
        assert_eq!(ready(app).await, [b], "its trigger has fired");
    }

    /// Of a task that is completed while a trigger for it is made, and of a goal that is purged while a
    /// task is added to it, each sees the other.
    async fn changes_made_at_once(app: TestApp) {
        let (_env, other) = app.another().await;
        for round in 0..5 {
            let (a, b) = (task(app, &format!("a{round}")).await, task(app, &format!("b{round}")).await);
            let (wanted, waits) = if round % 2 == 0 { (a, b) } else { (b, a) };
            let trigger = json!({"id": waits, "type": "dependency", "depends_on": wanted});
            let (made, done) = tokio::join!(
                app.try_call("trigger.create", trigger),
                app.registry.call("task.complete", &other, json!({"id": wanted}), None),
            );
            made.unwrap();
            done.unwrap();
            assert_eq!(app.call("task.get", json!({"id": waits})).await["awaits_trigger"], false);

            let aim = goal(app, json!({"name": "Soon gone"})).await;
            let (made, purged) = tokio::join!(
                app.try_call("task.create", json!({"title": "x", "goal_id": aim})),
                app.registry.call("goal.purge", &other, json!({"id": aim}), None),
            );
            purged.unwrap();
            match made {
                Ok(made) => assert_eq!(app.call("task.get", json!({"id": made["id"]})).await["goal_id"], json!(null)),
                Err(error) => assert_eq!((error.code(), error.field()), (Code::NotFound, Some("goal_id"))),
            }
        }
        other.db().close().await.unwrap();
    }

    /// A circle is refused, and named; so are tasks that are not there.
    async fn circles_of_tasks(app: TestApp) {
        let (a, b, c) = (task(app, "a").await, task(app, "b").await, task(app, "c").await);
        app.call("task.depend", json!({"id": a, "depends_on": b})).await;
        app.call("task.depend", json!({"id": b, "depends_on": c})).await;
        app.call("task.depend", json!({"id": b, "depends_on": c})).await;
        let way = format!("`{a}` → `{b}` → `{c}`");
        refused(app, "task.depend", json!({"id": c, "depends_on": a}), Code::Conflict, "depends_on", &way).await;
        refused(app, "task.depend", json!({"id": a, "depends_on": a}), Code::Conflict, "depends_on", "itself").await;
        refused(app, "task.depend", json!({"id": a, "depends_on": 999_999}), Code::NotFound, "depends_on", "`999999`").await;
        refused(app, "task.create", json!({"title": "x", "depends_on": [a, 999_999]}), Code::NotFound, "depends_on", "`999999`").await;
        app.call("project.create", json!({"name": "other"})).await;
        let far = add(app, json!({"title": "far", "project": "other"})).await;
        refused(app, "task.depend", json!({"id": a, "depends_on": far}), Code::NotFound, "depends_on", "of this project").await;
        refused(app, "task.create", json!({"title": "x", "goal_id": 77}), Code::NotFound, "goal_id", "`77`").await;
        refused(app, "task.create", json!({"title": "x", "parent_task_id": far}), Code::NotFound, "parent_task_id", "of this project").await;
    }

    /// Of two processes that close a circle from both sides at once, one is refused.
    async fn circles_made_at_once(app: TestApp) {
        let (_env, other) = app.another().await;
        for round in 0..5 {
            let (a, b) = (task(app, &format!("a{round}")).await, task(app, &format!("b{round}")).await);
            let (one, two) = tokio::join!(
                app.try_call("task.depend", json!({"id": a, "depends_on": b})),
                app.registry.call("task.depend", &other, json!({"id": b, "depends_on": a}), None),
            );
            assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1, "{one:?} {two:?}");
            assert_eq!(one.err().or(two.err()).unwrap().code(), Code::Conflict);
            let (a, b) = (goal(app, json!({"name": "a"})).await, goal(app, json!({"name": "b"})).await);
            let (one, two) = tokio::join!(
                app.try_call("goal.update", json!({"id": a, "parent_goal_id": b})),
                app.registry.call("goal.update", &other, json!({"id": b, "parent_goal_id": a}), None),
            );
            assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1, "{one:?} {two:?}");
            assert_eq!(one.err().or(two.err()).unwrap().code(), Code::Conflict);
        }
        other.db().close().await.unwrap();
    }

    /// Goals are a tree whose tasks say how far it is.
    async fn goals(app: TestApp) {
        let top = goal(app, json!({"name": "Launch", "priority_name": "high"})).await;
        let sub = goal(app, json!({"name": "Docs", "parent_goal_id": top})).await;
        let done = add(app, json!({"title": "Write", "goal_id": sub})).await;
        add(app, json!({"title": "Proofread", "goal_id": sub})).await;
        let given_up = add(app, json!({"title": "Translate", "goal_id": sub})).await;
        app.call("task.advance", json!({"id": given_up, "phase": "cancelled"})).await;
        app.call("task.complete", json!({"id": done})).await;
        let view = app.call("goal.get", json!({"id": top})).await;
        assert_eq!(view["completion_percentage"], 50.0);
        assert_eq!(view["subgoals"][0]["id"], sub);
        assert_eq!(view["subgoals"][0]["goal_type"], "subgoal");
        let view = app.call("goal.get", json!({"id": sub})).await;
        assert_eq!(view["tasks"], json!({"abandoned": 1, "completed": 1, "planning": 1}));
        let by_hand = app.call("goal.update", json!({"id": sub, "completion_percentage": 80})).await;
        assert_eq!((&by_hand["completion_percentage"], &by_hand["completion_by_hand"]), (&json!(80.0), &json!(true)));
        assert_eq!(app.call("goal.get", json!({"id": top})).await["completion_percentage"], 80.0);
        let derived = app.call("goal.update", json!({"id": sub, "derive_completion": true})).await;
        assert_eq!(derived["completion_percentage"], 50.0);
        let reached = app.call("goal.update", json!({"id": sub, "status": "completed"})).await;
        assert!(reached["completed_at"].is_string());
        assert_eq!(app.call("goal.get", json!({"id": top})).await["completion_percentage"], 100.0);

        let way = format!("`{sub}` → `{top}`");
        refused(app, "goal.update", json!({"id": top, "parent_goal_id": sub}), Code::Conflict, "parent_goal_id", &way).await;
        refused(app, "goal.update", json!({"id": top, "parent_goal_id": top}), Code::Conflict, "parent_goal_id", "cannot serve").await;
        refused(app, "goal.create", json!({"name": "x", "parent_goal_id": 999}), Code::NotFound, "parent_goal_id", "`999`").await;
        refused(app, "goal.update", json!({"id": top, "expected_version": 7}), Code::PreconditionFailed, "expected_version", "version 1").await;

        let low = goal(app, json!({"name": "Some day", "priority_name": "low"})).await;
        let first = app.call("goal.list", json!({"limit": 2})).await;
        let rest = app.call("goal.list", json!({"limit": 2, "cursor": first["next_cursor"]})).await;
        assert_eq!([ids(&first), ids(&rest)].concat(), [top, sub, low]);
        assert_eq!(ids(&app.call("goal.list", json!({"status": "completed"})).await), [sub]);

        app.call("goal.remove", json!({"id": sub})).await;
        assert_eq!(app.refused("goal.get", json!({"id": sub})).await.code(), Code::NotFound);
        let removed = app.call("goal.list", json!({"removed": true})).await;
        assert_eq!((ids(&removed), &removed["items"][0]["completion_percentage"]), (vec![sub], &json!(100.0)));
        app.call("goal.update", json!({"id": top, "parent_goal_id": low})).await;
        let restored = app.call("goal.restore", json!({"id": sub})).await;
        assert_eq!(restored["parent_goal_id"], top);
        let ask = json!({"query": "Proofread", "goal_id": sub});
        assert_eq!(app.call("task.search", ask.clone()).await["hits"][0]["title"], "Proofread");
        let receipt = app.call("goal.purge", json!({"id": sub})).await;
        assert_eq!(receipt["tasks_freed"], 3);
        assert_eq!(app.call("task.search", ask).await["hits"], json!([]));
        let first = app.call("goal.list", json!({"limit": 1})).await;
        app.call("goal.purge", json!({"id": top})).await;
        let gone = json!({"cursor": first["next_cursor"]});
        refused(app, "goal.list", gone, Code::NotFound, "cursor", "start again").await;
        assert!(receipt["search_records"].as_u64().unwrap() >= 1);
        assert_eq!(app.call("task.get", json!({"id": done})).await["goal_id"], json!(null));
    }

    /// Attempts teach; too many that fail end the task, unless it is planned anew.
    async fn attempts(app: TestApp) {
        let id = add(app, json!({"title": "Fix the flaky test", "max_cycles": 3, "estimated_minutes": 10})).await;
        let failure = json!({"id": id, "outcome": "failure", "error_type": "timeout", "lesson": "Wait longer", "minutes": 5});
        let first = app.call("task.attempt", failure.clone()).await;
        assert_eq!((&first["suggest_replan"], &first["failures_left"]), (&json!(true), &json!(2)));
        assert_eq!(first["attempt"]["started_at"], "2026-03-01T11:55:00Z");
        app.call("task.attempt", failure.clone()).await;
        let health = app.call("task.health", json!({"id": id})).await;
        assert_eq!((&health["level"], &health["score"], &health["errors"]), (&json!("warning"), &json!(0.9), &json!(2)));
        let mut anew = failure.clone();
        anew["replan_reason"] = json!("Mock the clock instead");
        let replanned = app.call("task.attempt", anew).await;
        assert_eq!((&replanned["failures_left"], &replanned["task"]["phase"]), (&json!(3), &json!("planning")));
        app.call("task.attempt", json!({"id": id, "outcome": "success"})).await;
        for _ in 0..2 {
            app.call("task.attempt", failure.clone()).await;
        }
        let last = app.call("task.attempt", failure.clone()).await;
        assert_eq!((&last["failures_left"], &last["task"]["status"]), (&json!(0), &json!("failed")));
        assert!((last["task"]["success_rate"].as_f64().unwrap() - 1.0 / 7.0).abs() < 1e-12);
        refused(app, "task.attempt", failure, Code::InvalidState, "id", "reopen").await;
        let view = app.call("task.get", json!({"id": id})).await;
        assert_eq!(view["last_attempts"].as_array().unwrap().len(), 7);
        assert_eq!(view["last_attempts"][0]["number"], 7);
        app.call("task.reopen", json!({"id": id})).await;
        for left in [2, 1] {
            let again = app.call("task.attempt", json!({"id": id, "outcome": "failure"})).await;
            assert_eq!((&again["failures_left"], &again["task"]["phase"]), (&json!(left), &json!("planning")));
        }
        let last = app.call("task.attempt", json!({"id": id, "outcome": "failure"})).await;
        assert_eq!((&last["failures_left"], &last["task"]["status"]), (&json!(0), &json!("failed")));
    }

    /// What fell due while nothing ran is made up for once, and counted; a clock that goes back fires
    /// nothing again.
    async fn a_schedule_that_was_missed(app: TestApp) {
        let id = task(app, "Look at the dashboards").await;
        let trigger = json!({"id": id, "type": "time", "schedule": "daily 09:00", "time_zone": "UTC"});
        let trigger = app.call("trigger.create", trigger).await;
        assert_eq!(trigger["next_due_at"], "2026-03-02T09:00:00Z");
        assert!(ready(app).await.is_empty(), "it waits for its time");
        assert_eq!(app.call("reminder.due", json!({})).await["items"], json!([]));

        app.clock.advance(3 * 86_400);
        let due = app.call("reminder.due", json!({})).await;
        let reminders = due["items"][0]["reminders"].as_array().unwrap();
        assert_eq!(reminders.len(), 1);
        assert_eq!((&reminders[0]["missed"], &reminders[0]["due_at"]), (&json!(2), &json!("2026-03-04T09:00:00Z")));
        assert_eq!(ready(app).await, [id]);
        let listed = app.call("trigger.list", json!({"task_id": id})).await;
        assert_eq!(listed["items"][0]["next_due_at"], "2026-03-05T09:00:00Z");
        assert_eq!(listed["items"][0]["fired_count"], 1);

        app.clock.advance(-2 * 86_400);
        athena_store::flush(&app.env).await;
        app.clock.advance(2 * 86_400);
        athena_store::flush(&app.env).await;
        let listed = app.call("trigger.list", json!({})).await;
        assert_eq!(listed["items"][0]["fired_count"], 1, "not again");

        let reminder = reminders[0]["id"].clone();
        app.call("reminder.snooze", json!({"id": reminder, "until": "2026-03-04T13:00:00Z"})).await;
        assert_eq!(app.call("reminder.due", json!({})).await["items"], json!([]));
        app.clock.advance(3_600);
        assert_eq!(app.call("reminder.due", json!({})).await["items"][0]["reminders"][0]["id"], reminder);
        app.call("reminder.acknowledge", json!({"id": reminder})).await;
        assert_eq!(app.call("reminder.due", json!({})).await["items"], json!([]));
        let until = json!({"id": reminder, "until": "2026-04-04T13:00:00Z"});
        refused(app, "reminder.snooze", until, Code::InvalidState, "id", "acknowledged").await;
        app.clock.advance(86_400);
        let due = app.call("reminder.due", json!({})).await;
        assert_ne!(due["items"][0]["reminders"][0]["id"], reminder, "a new one for the next day");

        app.call("task.complete", json!({"id": id})).await;
        app.clock.advance(7 * 86_400);
        assert_eq!(app.call("reminder.due", json!({})).await["items"], json!([]), "it is done");
        let reopened = app.call("task.reopen", json!({"id": id})).await;
        assert_eq!(reopened["phase"], "planning");
        let listed = app.call("trigger.list", json!({})).await;
        assert_eq!(listed["items"][0]["next_due_at"], "2026-03-13T09:00:00Z");
    }

    /// Several processes that look at once fire a trigger once.
    async fn fired_once_by_several_processes(app: TestApp) {
        for index in 0..20 {
            let id = task(app, &format!("Task {index}")).await;
            app.call("trigger.create", json!({"id": id, "type": "time", "due_at": "2026-03-01T13:00:00Z"})).await;
        }
        let (env, other) = app.another().await;
        app.clock.advance(7_200);
        tokio::join!(athena_store::flush(&app.env), athena_store::flush(&env));
        let listed = app.call("trigger.list", json!({})).await;
        let triggers = listed["items"].as_array().unwrap();
        assert_eq!(triggers.len(), 20);
        assert!(triggers.iter().all(|it| it["fired_count"] == 1 && it["next_due_at"].is_null()), "{listed}");
        let due = app.call("reminder.due", json!({})).await;
        assert!(due["items"].as_array().unwrap().iter().all(|it| it["reminders"][0]["missed"] == 0));
        other.db().close().await.unwrap();
    }

    /// Opening a file, a test that fails, a place: each reminds of what waits for it.
    async fn happenings(app: TestApp) {
        let file = task(app, "Rename the login").await;
        let event = task(app, "Look into CI").await;
        let context = task(app, "Ask Bo").await;
        let create = async |input| app.call("trigger.create", input).await;
        create(json!({"id": file, "type": "file", "path": "src/**/auth.rs"})).await;
        create(json!({"id": event, "type": "event", "event_type": "test_run", "outcome": "failure", "content": "Payments"})).await;
        create(json!({"id": context, "type": "context", "location": "office", "tags": ["lunch", "standup"]})).await;
        let notify = async |input| {
            let answer = app.call("trigger.notify", input).await;
            let reminders = answer["reminders"].as_array().unwrap().clone();
            reminders.iter().map(|it| it["task_id"].as_i64().unwrap()).collect::<Vec<i64>>()
        };
        assert!(notify(json!({"files": ["/srv/shop/src/main.rs"]})).await.is_empty());
        assert_eq!(notify(json!({"files": ["/srv/shop/src/web/auth.rs"]})).await, [file]);
        assert!(notify(json!({"event_type": "test_run", "outcome": "success", "content": "payments"})).await.is_empty());
        assert!(notify(json!({"event_type": "test_run", "outcome": "failure"})).await.is_empty());
        let failed = json!({"event_type": "test_run", "outcome": "failure", "content": "in payments::pay"});
        assert_eq!(notify(failed.clone()).await, [event]);
        assert_eq!(notify(failed).await, [event]);
        assert!(notify(json!({"location": "office"})).await.is_empty());
        assert_eq!(notify(json!({"location": "office", "tags": ["standup"]})).await, [context]);
        let due = app.call("reminder.due", json!({})).await;
        assert_eq!(due["items"].as_array().unwrap().len(), 3);
        let again = due["items"].as_array().unwrap().iter().find(|it| it["task"]["id"] == event).unwrap();
        assert_eq!((&again["reminders"][0]["missed"], again["reminders"].as_array().unwrap().len()), (&json!(1), 1));

        app.call("project.create", json!({"name": "other"})).await;
        let elsewhere = app.call("trigger.notify", json!({"files": ["src/auth.rs"], "project": "other"})).await;
        assert_eq!(elsewhere["reminders"], json!([]), "another project's triggers are its own");
        let trigger = app.call("trigger.list", json!({"task_id": file})).await["items"][0]["id"].clone();
        app.call("trigger.remove", json!({"id": trigger})).await;
        assert!(notify(json!({"files": ["src/auth.rs"]})).await.is_empty());
    }

    /// A reminder that keeps quiet does so when its trigger fires again, and is gone once its task ends.
    async fn reminders_that_are_answered(app: TestApp) {
        let id = task(app, "Rename the login").await;
        app.call("trigger.create", json!({"id": id, "type": "file", "path": "auth.rs"})).await;
        let opened = json!({"files": ["src/auth.rs"]});
        let reminder = app.call("trigger.notify", opened.clone()).await["reminders"][0]["id"].clone();
        app.call("reminder.snooze", json!({"id": reminder, "until": "2026-03-01T13:00:00Z"})).await;
        let again = app.call("trigger.notify", opened.clone()).await["reminders"][0].clone();
        assert_eq!((&again["id"], &again["missed"]), (&reminder, &json!(1)));
        assert_eq!(app.call("reminder.due", json!({})).await["items"], json!([]));
        app.clock.advance(3_600);
        assert_eq!(ids_of_tasks(&app.call("reminder.due", json!({})).await), [id]);

        app.call("task.remove", json!({"id": id})).await;
        app.call("task.restore", json!({"id": id})).await;
        assert_eq!(ids_of_tasks(&app.call("reminder.due", json!({})).await), [id]);
        for end in [("task.complete", json!({"id": id})), ("task.fail", json!({"id": id, "reason": "x"})), ("task.advance", json!({"id": id, "phase": "abandoned"}))] {
            app.call("trigger.notify", opened.clone()).await;
            assert_eq!(ids_of_tasks(&app.call("reminder.due", json!({})).await), [id]);
            app.call(end.0, end.1).await;
            app.call("task.reopen", json!({"id": id})).await;
            assert_eq!(app.call("reminder.due", json!({})).await["items"], json!([]), "{}", end.0);
        }
    }

    /// What happened before a trigger was made fires nothing; the branch and the folder are both where
    /// an event happened.
    async fn events_of_the_past(app: TestApp) {
        let create = async |title: &str, mut trigger: Value| {
            let id = task(app, title).await;
            trigger["id"] = json!(id);
            app.call("trigger.create", trigger).await;
            id
        };
        let event = create("Look into CI", json!({"type": "event", "event_type": "test_run"})).await;
        let branch = create("Rebase", json!({"type": "context", "location": "topic"})).await;
        let folder = create("Tidy up", json!({"type": "context", "location": "/srv/shop"})).await;
        let due = async || ids_of_tasks(&app.call("reminder.due", json!({})).await);
        let told = |content: &str, at: &str| json!({
            "content": content, "event_type": "test_run", "occurred_at": at,
            "context_branch": "topic", "context_cwd": "/srv/shop",
        });
        let past = [told("one", "2026-03-01T11:59:59Z"), told("two", "2026-02-28"), told("three", "2025")];
        app.call("event.record_batch", json!({"events": past})).await;
        assert_eq!(due().await, Vec::<i64>::new());
        app.call("event.record", json!({"content": "four", "event_type": "test_run", "occurred_at": "2026-03-01"})).await;
        assert_eq!(due().await, [event], "it may have been later that day");
        app.call("event.record", told("five", "2026-03-01T12:00:00Z")).await;
        assert_eq!(due().await, [event, branch, folder]);
    }

    /// Conditions that are empty or make no sense are refused.
    async fn bad_triggers(app: TestApp) {
        let id = task(app, "Anything").await;
        let with = |extra: Value| {
            let mut input = json!({"id": id});
            for (name, value) in extra.as_object().unwrap() {
                input[name] = value.clone();
            }
            input
        };
        for (extra, field, says) in [
            (json!({"type": "event"}), "type", "`event_type` or `outcome`"),
            (json!({"type": "event", "content": "  "}), "content", "blank"),
            (json!({"type": "event", "outcome": " "}), "outcome", "blank"),
            (json!({"type": "context", "tags": ["a", " "]}), "tags[1]", "blank"),
            (json!({"type": "time"}), "type", "`due_at` or `schedule`"),
            (json!({"type": "time", "time_zone": "UTC"}), "type", "`schedule`"),
            (json!({"type": "time", "time_zone": "UTC", "due_at": "2026-03-01T13:00:00Z"}), "time_zone", "with `due_at`"),
            (json!({"type": "context", "tags": []}), "type", "`location`"),
            (json!({"type": "file"}), "type", "`path`"),
            (json!({"type": "file", "path": "x", "schedule": "every 1d"}), "schedule", "does not belong"),
            (json!({"type": "time", "schedule": "now and then"}), "schedule", "`daily 09:00`"),
            (json!({"type": "time", "schedule": "daily 25:00"}), "schedule", "`weekly mon 09:00`"),
            (json!({"type": "time", "schedule": "daily 09:00", "time_zone": "Nowhere"}), "time_zone", "Europe/Berlin"),
            (json!({"type": "moon"}), "type", "allowed: `time`"),
        ] {
            refused(app, "trigger.create", with(extra), Code::InvalidInput, field, says).await;
        }
        refused(app, "trigger.create", with(json!({"type": "dependency", "depends_on": 999})), Code::NotFound, "depends_on", "`999`").await;
        let itself = with(json!({"type": "dependency", "depends_on": id}));
        refused(app, "trigger.create", itself, Code::Conflict, "depends_on", "itself").await;
        for nothing in [json!({}), json!({"files": [], "tags": []})] {
            let error = app.refused("trigger.notify", nothing).await;
            assert!(error.to_string().contains("needs `files` or `event_type`"), "{error}");
        }
        assert_eq!(app.call("trigger.list", json!({})).await["items"], json!([]));
        app.call("task.complete", json!({"id": id})).await;
        let late = with(json!({"type": "time", "schedule": "every 1h"}));
        refused(app, "trigger.create", late, Code::InvalidState, "id", "reopen").await;
    }

    /// What is refused of a task, and how it is said.
    async fn bad_tasks(app: TestApp) {
        let create = |field: &str, value: Value| json!({"title": "x", field: value});
        refused(app, "task.create", create("priority", json!(0)), Code::InvalidInput, "priority", "at least 1").await;
        refused(app, "task.create", create("priority", json!(11)), Code::InvalidInput, "priority", "at most 10").await;
        refused(app, "task.create", create("priority_name", json!("urgent")), Code::InvalidInput, "priority_name", "critical").await;
        refused(app, "task.create", json!({"title": "   "}), Code::InvalidInput, "title", "blank").await;
        refused(app, "task.create", json!({"title": "a".repeat(501)}), Code::InvalidInput, "title", "at most 500").await;
        let huge = json!({"title": "x", "description": "a".repeat(100_001)});
        refused(app, "task.create", huge, Code::ContentTooLarge, "description", "100001").await;
        refused(app, "task.create", create("status", json!("blocked")), Code::InvalidInput, "status", "blocked_reason").await;
        refused(app, "task.create", create("status", json!("done")), Code::InvalidInput, "status", "`pending`").await;
        assert_eq!(app.call("task.list", json!({})).await["items"], json!([]));

        let made = app.call("task.create", json!({"title": "x", "priority": 8})).await;
        let id = made["id"].as_i64().unwrap();
        let update = |title: &str| json!({"id": id, "title": title, "expected_version": 1});
        let (one, two) = tokio::join!(
            app.try_call("task.update", update("one")),
            app.try_call("task.update", update("two")),
        );
        assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1);
        assert_eq!(one.err().or(two.err()).unwrap().code(), Code::PreconditionFailed);
        app.call("task.complete", json!({"id": id})).await;
        let further = json!({"id": id, "completion_percentage": 40});
        refused(app, "task.update", further, Code::InvalidState, "completion_percentage", "reopen it").await;
        app.call("task.update", json!({"id": id, "lessons": "x"})).await;
        app.call("task.reopen", json!({"id": id})).await;
        let stale = json!({"id": id, "expected_version": 1});
        refused(app, "task.start", stale, Code::PreconditionFailed, "expected_version", "version 5").await;
        for operation in ["task.get", "task.start", "task.remove", "task.purge", "task.knowledge", "task.health"] {
            refused(app, operation, json!({"id": 999_999}), Code::NotFound, "id", "`999999`").await;
        }
    }

    /// Lists are paged in their order, and narrowed.
    async fn lists(app: TestApp) {
        let mut wanted = Vec::new();
        for priority in [9, 5, 2] {
            let due = "2026-03-02T00:00:00Z";
            let first = add(app, json!({"title": "due", "priority": priority, "due_at": due, "assignee": "bo"})).await;
            let second = add(app, json!({"title": "due too", "priority": priority, "due_at": due})).await;
            let third = add(app, json!({"title": "whenever", "priority": priority})).await;
            wanted.extend([first, second, third]);
        }
        let mut seen = Vec::new();
        let mut input = json!({"limit": 2});
        loop {
            let page = app.call("task.list", input.clone()).await;
            seen.extend(ids(&page));
            if page["next_cursor"].is_null() {
                break;
            }
            input["cursor"] = page["next_cursor"].clone();
        }
        assert_eq!(seen, wanted);
        let extra = add(app, json!({"title": "soon gone", "priority": 10})).await;
        let page = app.call("task.list", json!({"limit": 1})).await;
        app.call("task.purge", json!({"id": extra})).await;
        let gone = json!({"cursor": page["next_cursor"]});
        refused(app, "task.list", gone, Code::NotFound, "cursor", "start again").await;
        let bo = app.call("task.list", json!({"assignee": "bo"})).await;
        assert_eq!(ids(&bo), [wanted[0], wanted[3], wanted[6]]);
        let due = app.call("task.list", json!({"due_before": "2026-03-03T00:00:00Z", "status": "pending"})).await;
        assert_eq!(ids(&due).len(), 6);
        let soon = app.call("reminder.due", json!({"within_hours": 24})).await;
        assert_eq!(soon["items"].as_array().unwrap().len(), 6);
        assert_eq!(soon["items"][0]["reasons"], json!(["it is due in 12h 0m"]));
        assert_eq!(app.call("reminder.due", json!({"within_hours": 1})).await["items"], json!([]));
        app.clock.advance(86_400);
        let late = app.call("reminder.due", json!({"limit": 4})).await;
        assert_eq!((&late["items"][0]["overdue"], &late["items"][0]["reasons"]), (&json!(true), &json!(["it is overdue by 12h 0m"])));
        let rest = app.call("reminder.due", json!({"cursor": late["next_cursor"]})).await;
        assert_eq!(rest["items"].as_array().unwrap().len(), 2);
    }

    /// Tasks are found by what they say, in other words too, until they are removed; a purge leaves
    /// no trace.
    async fn search_and_purge(app: TestApp) {
        let id = add(app, json!({"title": "Migrate zanzibar to the new cluster", "description": "Mail bo.larsen@nordmail.dk first"})).await;
        let other = task(app, "Water the plants").await;
        app.call("task.depend", json!({"id": other, "depends_on": id})).await;
        app.call("task.attempt", json!({"id": id, "outcome": "failure", "lesson": "zanzibar is slow"})).await;
        app.call("trigger.create", json!({"id": id, "type": "event", "content": "zanzibar"})).await;
        let found = async |query: &str| {
            let found = app.call("task.search", json!({"query": query})).await;
            let hits = found["hits"].as_array().unwrap().clone();
            hits.iter().map(|hit| hit["id"].as_i64().unwrap()).collect::<Vec<i64>>()
        };
        assert_eq!(found("zanzibar").await, [id]);
        let task = app.call("task.get", json!({"id": id})).await;
        assert!(!task["description"].as_str().unwrap().contains("bo.larsen@"), "{task}");
        app.call("task.update", json!({"id": id, "description": "Also the archive"})).await;
        assert_eq!(found("archive").await[0], id);
        let none = app.call("task.search", json!({"query": "zanzibar", "status": "completed"})).await;
        assert_eq!(none["hits"], json!([]));
        app.call("task.remove", json!({"id": id})).await;
        assert!(!found("zanzibar").await.contains(&id));
        assert_eq!(app.refused("task.get", json!({"id": id})).await.code(), Code::NotFound);
        assert_eq!(ids(&app.call("task.list", json!({"removed": true})).await), [id]);
        app.call("task.restore", json!({"id": id})).await;
        assert_eq!(found("zanzibar").await, [id]);

        let receipt = app.call("task.purge", json!({"id": id})).await;
        for (field, count) in [("attempts", 1), ("dependencies", 1), ("triggers", 1)] {
            assert_eq!(receipt[field], count, "{field}");
        }
        assert!(receipt["search_records"].as_u64().unwrap() >= 1);
        assert!(!found("zanzibar").await.contains(&id));
        let records = format!("{:?}", logged_records(app.env.db()).await).to_lowercase();
        assert!(!records.contains("zanzibar"), "a word of a purged task is still in the search log");
        if let Some(folder) = app.store.folder() {
            for file in std::fs::read_dir(folder).unwrap() {
                let bytes = std::fs::read(file.unwrap().path()).unwrap();
                assert!(!bytes.windows(8).any(|window| window.eq_ignore_ascii_case(b"zanzibar")), "in a file");
            }
        }
    }

    /// Before a task begins, what is known about it is at hand.
    async fn knowledge(app: TestApp) {
        let named = app.remember("The parser was written in one night").await;
        let about = app.remember("Deploying the billing service needs the VPN").await;
        let id = add(app, json!({"title": "Deploy the billing service", "related_memory_ids": [named, 999]})).await;
        let known = app.call("task.knowledge", json!({"id": id})).await;
        let memories = known["memories"].as_array().unwrap();
        assert_eq!((&memories[0]["id"], &memories[0]["reason"]), (&json!(named), &json!("named")));
        assert_eq!((&memories[1]["id"], &memories[1]["reason"]), (&json!(about), &json!("recalled")));
        assert!(memories[1]["match"].as_f64().unwrap() >= 0.12);
        app.call("memory.forget", json!({"id": named})).await;
        let known = app.call("task.knowledge", json!({"id": id})).await;
        assert_eq!(known["memories"][0]["id"], about);
    }

    /// A session goes on where the last one stood.
    async fn snapshots(app: TestApp) {
        assert_eq!(app.refused("snapshot.latest", json!({})).await.code(), Code::NotFound);
        let open = task(app, "Write the parser").await;
        let running = task(app, "Fix the lexer").await;
        let done = task(app, "Set up").await;
        app.call("task.start", json!({"id": running})).await;
        app.call("task.complete", json!({"id": done})).await;
        let aim = goal(app, json!({"name": "A language"})).await;
        let save = json!({
            "session": "s1", "summary": "Lexer nearly done", "next_step": "Test strings",
            "failures": ["cargo test: 2 failed"], "todos": [{"content": "strings", "status": "in_progress"}],
        });
        let saved = app.call("snapshot.save", save).await;
        assert_eq!(saved["task_ids"], json!([running, open]));
        app.call("snapshot.save", json!({"session": "s2"})).await;
        app.call("task.complete", json!({"id": running})).await;

        let latest = app.call("snapshot.latest", json!({"session": "s1"})).await;
        assert_eq!((&latest["id"], &latest["next_step"]), (&saved["id"], &json!("Test strings")));
        assert_eq!((&latest["tasks"][0]["id"], &latest["tasks"][0]["status"]), (&json!(running), &json!("completed")));
        assert_eq!((&latest["goals"][0]["id"], &latest["goals"][0]["name"]), (&json!(aim), &json!("A language")));
        assert_eq!(latest["todos"], json!([{"content": "strings", "status": "in_progress"}]));
        assert_eq!(app.call("snapshot.latest", json!({})).await["session"], "s2");
        assert_eq!(ids(&app.call("snapshot.list", json!({})).await).len(), 2);
        app.call("task.purge", json!({"id": open})).await;
        let got = app.call("snapshot.get", json!({"id": saved["id"]})).await;
        assert_eq!(got["tasks"].as_array().unwrap().len(), 1, "what was purged is gone from it");
        app.call("snapshot.purge", json!({"id": saved["id"]})).await;
        assert_eq!(app.refused("snapshot.get", json!({"id": saved["id"]})).await.code(), Code::NotFound);
    }

    /// A search log that is made anew finds tasks again, and not those that were removed.
    async fn a_search_log_made_anew(app: TestApp) {
        let id = task(app, "Paint the lighthouse").await;
        let gone = task(app, "Sell the lighthouse").await;
        app.call("task.remove", json!({"id": gone})).await;
        let forget = "UPDATE search_heads SET format = 0";
        app.env.db().execute(forget, params! {}).await.unwrap();
        let (env, ctx) = app.another().await;
        let ask = json!({"query": "lighthouse"});
        let found = app.registry.call("task.search", &ctx, ask, None).await.unwrap();
        let hits = found["hits"].as_array().unwrap();
        assert_eq!((hits.len(), &hits[0]["id"]), (1, &json!(id)));
        env.db().close().await.unwrap();
    }

    /// A purge takes along the answers that showed a task or a goal beside something else.
    async fn purging_answers_with_names(app: TestApp) {
        let (wanted, waits) = (task(app, "Zanzibar").await, task(app, "Wait").await);
        let named = goal(app, json!({"name": "Zanzibar"})).await;
        let depend = json!({"id": waits, "depends_on": wanted});
        app.registry.call("task.depend", &app.ctx, depend, Some("k1".to_owned())).await.unwrap();
        let purged = app.call("task.purge", json!({"id": wanted})).await;
        assert_eq!(purged["kept_answers"], 1);
        app.registry.call("snapshot.save", &app.ctx, json!({}), Some("k2".to_owned())).await.unwrap();
        let purged = app.call("goal.purge", json!({"id": named})).await;
        assert_eq!(purged["kept_answers"], 1);
    }

    /// Personal data is replaced for the project of the task, whatever project calls; what was
    /// replaced is found and fires, and so it is with other tokens, after the secret was changed.
    async fn personal_data(app: TestApp) {
        let (old, new) = ("0f".repeat(31) + "aa", "1e".repeat(31) + "bb");
        let (env, ctx) = app.another_with(privacy_with_keys(Policy::Standard, &old)).await;
        let call = |ctx: Ctx, operation: &'static str, input: Value| async move {
            app.registry.call(operation, &ctx, input, None).await.unwrap()
        };
        call(ctx.clone(), "project.create", json!({"name": "other"})).await;
        let made = json!({"project": "other", "title": "Write to ada.byron@engines.io"});
        let made = call(ctx.clone(), "task.create", made).await;
        let id = made["id"].clone();
        let waits = json!({"id": id, "type": "event", "content": "ada.byron@engines.io"});
        let waits = call(ctx.clone(), "trigger.create", waits).await;
        assert!(made["title"].as_str().unwrap().contains(waits["content"].as_str().unwrap()));
        let (rotated, later) = app.another_with(privacy_with_keys(Policy::Standard, &format!("{new},{old}"))).await;
        for (round, ctx) in [ctx, later.clone()].into_iter().enumerate() {
            if round > 0 {
                rotate(&rotated, "test", true, &|_| {}).await.unwrap();
            }
            let ask = json!({"project": "other", "query": "ada.byron@engines.io"});
            let found = call(ctx.clone(), "task.search", ask).await;
            assert_eq!(found["hits"].as_array().unwrap().len(), 1, "{found}");
            let told = json!({"project": "other", "content": "A letter from ada.byron@engines.io"});
            let told = call(ctx.clone(), "trigger.notify", told).await;
            assert_eq!(told["reminders"][0]["task_id"], id);
        }
        let after = call(later, "task.get", json!({"id": id})).await;
        assert_ne!(after["title"], made["title"]);
        for env in [env, rotated] {
            env.db().close().await.unwrap();
        }
    }
}
