//! The log: to standard error, so that standard output stays the answer's alone.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

/// Starts logging; `wanted` is a level or a list such as `warn,athena_db=debug`.
///
/// Text that is neither is told and `warn` taken instead: a typing mistake must not cost the log.
pub(crate) fn start(wanted: &str, colour: bool) {
    let filter = EnvFilter::try_new(wanted).unwrap_or_else(|_| {
        eprintln!("warning: `{wanted}` is no log level; using `warn`");
        EnvFilter::new("warn")
    });
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_timer(SystemTime)
        .try_init();
    if started.is_err() {
        eprintln!("warning: the log was started before");
    }
}

/// Picks the level: `--quiet` and `-v` are stronger than the setting.
pub(crate) fn level(setting: &str, quiet: bool, verbose: u8) -> String {
    match (quiet, verbose) {
        (true, _) => "error".into(),
        (false, 0) => setting.into(),
        (false, 1) => "info".into(),
        (false, 2) => "debug".into(),
        (false, _) => "trace".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::level;

    #[test]
    fn options_are_stronger_than_the_setting() {
        assert_eq!(level("warn", false, 0), "warn");
        assert_eq!(level("warn", false, 2), "debug");
        assert_eq!(level("debug", true, 0), "error");
    }
}
