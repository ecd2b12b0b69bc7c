-- Goals, a tree in each project.
CREATE TABLE prospective_goals (
    id INTEGER PRIMARY KEY,
    project_id BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    uid UUID NOT NULL,
    version INTEGER NOT NULL,
    name VARCHAR(500) NOT NULL,
    description TEXT,
    goal_type VARCHAR(20) NOT NULL,
    priority INTEGER NOT NULL,
    status VARCHAR(20) NOT NULL,
    -- Set by hand; without it, tasks and subgoals say how far it is.
    completion_percentage REAL,
    estimated_completion_date TIMESTAMP,
    deadline TIMESTAMP,
    parent_goal_id BIGINT,
    related_memory_ids JSON NOT NULL,
    principal VARCHAR(200) NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    completed_at TIMESTAMP,
    removed_at TIMESTAMP,
    -- 1 until the goal is removed, NULL afterwards.
    live_key INTEGER,
    UNIQUE (project_id, uid)
);

CREATE INDEX prospective_goals_order ON prospective_goals (project_id, live_key, priority);
CREATE INDEX prospective_goals_parent ON prospective_goals (parent_goal_id);

-- The phase says where a task stands; its status follows from that and from what it waits for.
CREATE TABLE prospective_tasks (
    id INTEGER PRIMARY KEY,
    project_id BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    uid UUID NOT NULL,
    version INTEGER NOT NULL,
    title VARCHAR(500) NOT NULL,
    description TEXT,
    active_form VARCHAR(500),
    kind VARCHAR(20) NOT NULL,
    phase VARCHAR(20) NOT NULL,
    phase_started_at TIMESTAMP NOT NULL,
    -- Minutes spent in each phase that it has left.
    phase_minutes JSON NOT NULL,
    blocked_reason TEXT,
    failure_reason TEXT,
    priority INTEGER NOT NULL,
    goal_id BIGINT,
    parent_task_id BIGINT,
    assignee VARCHAR(200),
    estimated_minutes REAL,
    actual_minutes REAL,
    due_at TIMESTAMP,
    related_memory_ids JSON NOT NULL,
    related_code_ids JSON NOT NULL,
    completion_percentage REAL,
    success_rate REAL,
    lessons TEXT,
    acceptance JSON NOT NULL,
    plan JSON,
    attempts INTEGER NOT NULL,
    -- The attempts up to this one no longer count as failures: the task was reopened since.
    failures_from INTEGER NOT NULL,
    max_cycles INTEGER NOT NULL,
    principal VARCHAR(200) NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    started_at TIMESTAMP,
    completed_at TIMESTAMP,
    removed_at TIMESTAMP,
    -- 1 until the task is removed, NULL afterwards.
    live_key INTEGER,
    UNIQUE (project_id, uid)
);

CREATE INDEX prospective_tasks_phase ON prospective_tasks (project_id, live_key, phase, priority);
CREATE INDEX prospective_tasks_due ON prospective_tasks (project_id, live_key, due_at);
CREATE INDEX prospective_tasks_goal ON prospective_tasks (goal_id);
CREATE INDEX prospective_tasks_parent ON prospective_tasks (parent_task_id);

CREATE TABLE task_dependencies (
    task_id BIGINT NOT NULL REFERENCES prospective_tasks (id) ON DELETE CASCADE,
    depends_on BIGINT NOT NULL REFERENCES prospective_tasks (id) ON DELETE CASCADE,
    dependency_type VARCHAR(20) NOT NULL,
    principal VARCHAR(200) NOT NULL,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (task_id, depends_on)
);

CREATE INDEX task_dependencies_on ON task_dependencies (depends_on);

CREATE TABLE task_attempts (
    id INTEGER PRIMARY KEY,
    task_id BIGINT NOT NULL REFERENCES prospective_tasks (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    outcome VARCHAR(20) NOT NULL,
    error_type VARCHAR(200),
    lesson TEXT,
    replan_reason TEXT,
    minutes REAL,
    principal VARCHAR(200) NOT NULL,
    started_at TIMESTAMP,
    ended_at TIMESTAMP NOT NULL,
    UNIQUE (task_id, number)
);

-- What makes a task worth a reminder. Which columns are set depends on the type.
CREATE TABLE task_triggers (
    id INTEGER PRIMARY KEY,
    project_id BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    task_id BIGINT NOT NULL REFERENCES prospective_tasks (id) ON DELETE CASCADE,
    trigger_type VARCHAR(20) NOT NULL,
    due_at TIMESTAMP,
    schedule VARCHAR(100),
    time_zone VARCHAR(100),
    -- When it is due next, of those that are about time; NULL while its task is done.
    next_due_at TIMESTAMP,
    event_type VARCHAR(50),
    outcome VARCHAR(50),
    content VARCHAR(1000),
    path TEXT,
    location VARCHAR(200),
    tags JSON NOT NULL,
    depends_on BIGINT,
    fired_count INTEGER NOT NULL,
    last_fired_at TIMESTAMP,
    principal VARCHAR(200) NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE INDEX task_triggers_due ON task_triggers (next_due_at);
CREATE INDEX task_triggers_type ON task_triggers (project_id, trigger_type);
CREATE INDEX task_triggers_task ON task_triggers (task_id);
CREATE INDEX task_triggers_on ON task_triggers (depends_on);

CREATE TABLE reminders (
    id INTEGER PRIMARY KEY,
    project_id BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    task_id BIGINT NOT NULL REFERENCES prospective_tasks (id) ON DELETE CASCADE,
    trigger_id BIGINT NOT NULL REFERENCES task_triggers (id) ON DELETE CASCADE,
    due_at TIMESTAMP NOT NULL,
    fired_at TIMESTAMP NOT NULL,
    missed INTEGER NOT NULL,
    reason TEXT NOT NULL,
    snoozed_until TIMESTAMP,
    acknowledged_at TIMESTAMP,
    -- 1 until it is acknowledged or its task ends, NULL afterwards: a trigger has one open reminder at
    -- most.
    open_key INTEGER,
    UNIQUE (trigger_id, open_key)
);

CREATE INDEX reminders_open ON reminders (project_id, open_key, due_at);
CREATE INDEX reminders_task ON reminders (task_id);

-- Where a session stood. Tasks and goals are kept by their ids, so that what is purged is gone.
CREATE TABLE session_snapshots (
    id INTEGER PRIMARY KEY,
    project_id BIGINT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    uid UUID NOT NULL,
    session_id VARCHAR(200),
    summary TEXT,
    next_step TEXT,
    task_ids JSON NOT NULL,
    goal_ids JSON NOT NULL,
    failures JSON NOT NULL,
    todos JSON NOT NULL,
    principal VARCHAR(200) NOT NULL,
    taken_at TIMESTAMP NOT NULL,
    UNIQUE (project_id, uid)
);

CREATE INDEX session_snapshots_session ON session_snapshots (project_id, session_id);
