-- Where goals stand and what is due is read off all tasks again and again: from this index alone.
CREATE INDEX prospective_tasks_standing ON prospective_tasks
    (project_id, live_key, phase, priority, due_at, goal_id, completion_percentage);

DROP INDEX prospective_tasks_phase ON prospective_tasks;
