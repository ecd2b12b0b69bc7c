//! The events of an agent's session that Athena takes part in.

/// An event, by the name that `athena hook` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A session begins, goes on, or begins anew after its context was cleared.
    SessionStart,
    /// A person sent a prompt.
    UserPrompt,
    /// A tool was used.
    PostTool,
    /// The context is about to be replaced by a summary of it.
    PreCompact,
    /// A session ends.
    SessionEnd,
}

impl Event {
    /// Every event, in the order in which a session meets them.
    pub(crate) const ALL: [Self; 5] = [
        Self::SessionStart,
        Self::UserPrompt,
        Self::PostTool,
        Self::PreCompact,
        Self::SessionEnd,
    ];

    /// Returns the name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SessionStart => "session-start",
            Self::UserPrompt => "user-prompt",
            Self::PostTool => "post-tool",
            Self::PreCompact => "pre-compact",
            Self::SessionEnd => "session-end",
        }
    }

    /// Returns the name in the settings of Claude Code and in what it sends.
    pub(crate) const fn client_name(self) -> &'static str {
        match self {
            Self::SessionStart => "SessionStart",
            Self::UserPrompt => "UserPromptSubmit",
            Self::PostTool => "PostToolUse",
            Self::PreCompact => "PreCompact",
            Self::SessionEnd => "SessionEnd",
        }
    }

    /// Returns what happens at the event, for people.
    pub(crate) const fn summary(self) -> &'static str {
        match self {
            Self::SessionStart => "starts the session and tells the agent what is known",
            Self::UserPrompt => "records the prompt and tells the agent what bears on it",
            Self::PostTool => "records what a tool was used for and how it ended",
            Self::PreCompact => "saves where the session stands before its context is replaced",
            Self::SessionEnd => "saves where the session stands and ends it",
        }
    }

    /// Returns the event of that name on the command line.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }
}
