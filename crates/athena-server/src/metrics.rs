//! Counters in the text format of Prometheus.
//!
//! Labels are a face, the name of an operation and a status: a bounded set that holds nothing a
//! user wrote.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Upper bounds of the latency buckets in seconds.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// What was served so far.
#[derive(Debug, Default)]
pub(crate) struct Metrics(Mutex<Counters>);

#[derive(Debug, Default)]
struct Counters {
    requests: BTreeMap<(Series, u16), u64>,
    durations: BTreeMap<Series, Histogram>,
    in_flight: u64,
    connections: u64,
}

/// The face and the operation of a series.
type Series = (&'static str, &'static str);

#[derive(Debug, Default)]
struct Histogram {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum_seconds: f64,
}

impl Metrics {
    /// Counts a request that was answered.
    pub(crate) fn record(
        &self,
        face: &'static str,
        operation: &'static str,
        status: u16,
        took: Duration,
    ) {
        let mut counters = self.counters();
        *counters
            .requests
            .entry(((face, operation), status))
            .or_default() += 1;
        counters
            .durations
            .entry((face, operation))
            .or_default()
            .observe(took.as_secs_f64());
    }

    /// Counts a request as in flight until the guard is dropped.
    pub(crate) fn begin(&self) -> InFlight<'_> {
        self.counters().in_flight += 1;
        InFlight(self)
    }

    /// Counts a connection as open until the guard is dropped.
    pub(crate) fn connect(self: &Arc<Self>) -> Connected {
        self.counters().connections += 1;
        Connected(Arc::clone(self))
    }

    /// Writes all counters.
    pub(crate) fn render(&self) -> String {
        let counters = self.counters();
        let mut text = String::new();
        counters
            .render(&mut text)
            .expect("a String takes all that is written to it");
        text
    }

    fn counters(&self) -> MutexGuard<'_, Counters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in flight.
pub(crate) struct InFlight<'a>(&'a Metrics);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.counters().in_flight -= 1;
    }
}

/// An open connection.
pub(crate) struct Connected(Arc<Metrics>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.counters().connections -= 1;
    }
}

impl Histogram {
    fn observe(&mut self, seconds: f64) {
        for (bound, bucket) in BUCKETS.iter().zip(&mut self.buckets) {
            if seconds <= *bound {
                *bucket += 1;
            }
        }
        self.count += 1;
        self.sum_seconds += seconds;
    }
}

impl Counters {
    fn render(&self, text: &mut String) -> std::fmt::Result {
        let version = env!("CARGO_PKG_VERSION");
        head(text, "athena_build_info", "gauge", "The running version.")?;
        writeln!(text, "athena_build_info{{version=\"{version}\"}} 1")?;
        head(text, "athena_connections", "gauge", "Open connections.")?;
        writeln!(text, "athena_connections {}", self.connections)?;
        head(
            text,
            "athena_requests_in_flight",
            "gauge",
            "Requests that are being served.",
        )?;
        writeln!(text, "athena_requests_in_flight {}", self.in_flight)?;
        head(
            text,
            "athena_requests_total",
            "counter",
            "Requests answered, by face, operation and status.",
        )?;
        for (((face, operation), status), count) in &self.requests {
            writeln!(
                text,
                "athena_requests_total{{face=\"{face}\",operation=\"{operation}\",status=\"{status}\"}} {count}"
            )?;
        }
        head(
            text,
            "athena_request_duration_seconds",
            "histogram",
            "Time to answer, by face and operation.",
        )?;
        self.durations
            .iter()
            .try_for_each(|(series, histogram)| histogram.render(text, *series))
    }
}

impl Histogram {
    fn render(&self, text: &mut String, (face, operation): Series) -> std::fmt::Result {
        let name = "athena_request_duration_seconds";
        let labels = format!("face=\"{face}\",operation=\"{operation}\"");
        for (bound, bucket) in BUCKETS.iter().zip(&self.buckets) {
            writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {bucket}")?;
        }
        writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", self.count)?;
        writeln!(text, "{name}_sum{{{labels}}} {}", self.sum_seconds)?;
        writeln!(text, "{name}_count{{{labels}}} {}", self.count)
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_operation_and_status() {
        let metrics = Metrics::default();
        metrics.record("rest", "note.get", 200, Duration::from_millis(2));
        metrics.record("rest", "note.get", 200, Duration::from_millis(20));
        metrics.record("rest", "note.get", 404, Duration::from_secs(20));
        let text = metrics.render();
        for line in [
            r#"athena_requests_total{face="rest",operation="note.get",status="200"} 2"#,
            r#"athena_requests_total{face="rest",operation="note.get",status="404"} 1"#,
            r#"athena_request_duration_seconds_bucket{face="rest",operation="note.get",le="0.0025"} 1"#,
            r#"athena_request_duration_seconds_bucket{face="rest",operation="note.get",le="10"} 2"#,
            r#"athena_request_duration_seconds_bucket{face="rest",operation="note.get",le="+Inf"} 3"#,
            r#"athena_request_duration_seconds_count{face="rest",operation="note.get"} 3"#,
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "no `{line}` in\n{text}"
            );
        }
    }

    #[test]
    fn connections_end_with_their_guard() {
        let metrics = Arc::new(Metrics::default());
        let guard = metrics.connect();
        assert!(metrics.render().contains("athena_connections 1\n"));
        drop(guard);
        assert!(metrics.render().contains("athena_connections 0\n"));
    }

    #[test]
    fn requests_in_flight_end_with_their_guard() {
        let metrics = Metrics::default();
        let guard = metrics.begin();
        assert!(metrics.render().contains("athena_requests_in_flight 1\n"));
        drop(guard);
        assert!(metrics.render().contains("athena_requests_in_flight 0\n"));
    }
}
