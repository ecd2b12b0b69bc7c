//! The results as a picture: a bar for each engine, as long as the logarithm of its CPU time.

use std::fmt::Write as _;

use super::score::{Score, cheapest};
use super::{ATHENA, KINDS, PEERS, Results};
use crate::bench::page::short;

const WIDTH: f64 = 720.0;
const LEFT: f64 = 110.0;
const RIGHT: f64 = 90.0;
const BAR: f64 = 16.0;
const STEP: f64 = 22.0;
const HEADING: f64 = 34.0;
/// A setting with less recall is not drawn if the engine has a better one.
const ENOUGH: f64 = 0.99;

/// Draws the CPU time of a question, kind by kind, each engine with its cheapest good setting.
pub(super) fn draw(results: &Results) -> String {
    let groups = KINDS.map(|kind| (kind, bars(results, kind)));
    let all = || {
        groups
            .iter()
            .flat_map(|(_, bars)| bars.iter().map(|bar| bar.1))
    };
    let least = all().fold(f64::INFINITY, f64::min) / 2.0;
    let most = all().fold(f64::NEG_INFINITY, f64::max);
    let length = |cpu_ms: f64| {
        let share = (cpu_ms / least).ln() / (most / least).ln().max(1e-9);
        share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    };
    let mut body = String::new();
    let mut y = 8.0;
    for (kind, bars) in &groups {
        y += HEADING;
        let _ = writeln!(
            body,
            r#"<text x="{LEFT}" y="{:.0}" class="heading">{kind}</text>"#,
            y - 10.0
        );
        for (name, cpu_ms) in bars {
            let class = if *name == ATHENA { "own" } else { "peer" };
            let (middle, width) = (y + BAR - 4.0, length(*cpu_ms));
            let _ = writeln!(
                body,
                r#"<text x="{:.0}" y="{middle:.0}" class="name">{name}</text>"#,
                LEFT - 8.0
            );
            let _ = writeln!(
                body,
                r#"<rect x="{LEFT}" y="{y:.0}" width="{width:.1}" height="{BAR}" class="{class}"/>"#
            );
            let _ = writeln!(
                body,
                r#"<text x="{:.1}" y="{middle:.0}" class="value">{} ms</text>"#,
                LEFT + width + 6.0,
                short(*cpu_ms)
            );
            y += STEP;
        }
    }
    let height = y + 30.0;
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0}" font-family="sans-serif" font-size="12">
<style>
.heading {{ font-weight: bold; font-size: 14px }}
.name {{ text-anchor: end }}
text {{ fill: #444 }}
.own {{ fill: #2a7f62 }}
.peer {{ fill: #9aa5b1 }}
@media (prefers-color-scheme: dark) {{ text {{ fill: #ccc }} }}
</style>
{body}<text x="{LEFT}" y="{:.0}" class="note">CPU time of a question among {} rows, logarithmic; shorter is better</text>
</svg>
"#,
        height - 10.0,
        results.rows
    )
}

fn bars(results: &Results, kind: &str) -> Vec<(&'static str, f64)> {
    let cpu = |score: &Score| score.best.map(|best| (score.name, best.cpu_ms));
    let names = [ATHENA].into_iter().chain(PEERS);
    let mut bars: Vec<(&str, f64)> = names
        .filter_map(|name| cpu(cheapest(&results.scores, kind, name, None, ENOUGH)?))
        .collect();
    bars.sort_by(|a, b| a.1.total_cmp(&b.1));
    bars
}

#[cfg(test)]
mod tests {
    use super::super::render::tests::results;
    use super::draw;

    #[test]
    fn every_engine_has_a_bar() {
        let drawn = draw(&results(100_000));
        assert!(
            drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"),
            "{drawn}"
        );
        assert_eq!(drawn.matches("<rect ").count(), 3, "{drawn}");
        assert_eq!(drawn.matches(r#"class="own""#).count(), 1, "{drawn}");
        assert!(
            drawn.contains("50.0 ms") && drawn.contains("sqlite"),
            "{drawn}"
        );
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
    }
}
