//! Exit codes: one table, for the process, for the manual and for scripts.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Ok,
    /// The run that was waited for failed or was cancelled, a check found something bad, or Fulcrum itself failed.
    Failed,
    /// The command, an input or a definition is wrong; trying again will not help.
    Usage,
    /// There is no such thing.
    NotFound,
    /// This identity may not do it, or is not known.
    Denied,
    /// The controller cannot be reached or has too much to do; try again.
    Unavailable,
    /// The thing is not in a state that allows it, or exists with other content.
    Conflict,
    /// Ctrl-C. Whatever was waited for goes on.
    Interrupted,
}

impl Exit {
    /// Every exit, in the order of the manual.
    pub const ALL: [Exit; 8] = [
        Exit::Ok,
        Exit::Failed,
        Exit::Usage,
        Exit::NotFound,
        Exit::Denied,
        Exit::Unavailable,
        Exit::Conflict,
        Exit::Interrupted,
    ];

    /// The number that the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NotFound => 3,
            Exit::Denied => 4,
            Exit::Unavailable => 5,
            Exit::Conflict => 6,
            Exit::Interrupted => 130,
        }
    }

    /// What it means, for the manual.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Exit::Ok => "it worked",
            Exit::Failed => {
                "the run failed or was cancelled, a check found something bad, or Fulcrum itself failed"
            }
            Exit::Usage => "the command, an input or a definition is wrong",
            Exit::NotFound => "there is no such thing",
            Exit::Denied => "this identity may not do it, or is not known",
            Exit::Unavailable => "the controller cannot be reached or is overloaded; try again",
            Exit::Conflict => "its state does not allow it, or it exists with other content",
            Exit::Interrupted => "interrupted by Ctrl-C; what was waited for goes on",
        }
    }

    /// The table, as it stands in `--help`.
    #[must_use]
    pub fn table() -> String {
        let rows = Exit::ALL.map(|exit| format!("  {:>3}  {}\n", exit.code(), exit.meaning()));
        format!("Exit codes:\n{}", rows.concat())
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}
