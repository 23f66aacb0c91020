//! Prometheus' text format, version 0.0.4: families of samples with escaped labels.

use std::fmt::Write as _;

use crate::domain::meter::{BOUNDS_MS, Durations};

/// The `Content-Type` of the format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

type Labels<'a> = &'a [(&'a str, &'a str)];

/// A page under way. Samples of a family follow its head.
#[derive(Default)]
pub(super) struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    pub fn counter(&mut self, name: &'static str, help: &str) {
        self.head(name, "counter", help);
    }

    pub fn gauge(&mut self, name: &'static str, help: &str) {
        self.head(name, "gauge", help);
    }

    pub fn histogram(&mut self, name: &'static str, help: &str) {
        self.head(name, "histogram", help);
    }

    fn head(&mut self, name: &'static str, kind: &str, help: &str) {
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        self.family = name;
    }

    /// A whole number.
    pub fn count(&mut self, labels: Labels<'_>, value: impl std::fmt::Display) {
        self.sample("", labels, value);
    }

    /// Seconds, from milliseconds.
    pub fn seconds(&mut self, labels: Labels<'_>, ms: i64) {
        self.sample("", labels, seconds(ms));
    }

    /// The samples of a histogram of seconds.
    pub fn durations(&mut self, labels: Labels<'_>, durations: &Durations) {
        let mut all = 0;
        for (place, count) in durations.counts.iter().enumerate() {
            all += count;
            let bound = BOUNDS_MS.get(place).map_or("+Inf".into(), |ms| seconds(*ms));
            let labels: Vec<_> = labels.iter().copied().chain([("le", &*bound)]).collect();
            self.sample("_bucket", &labels, all);
        }
        self.sample("_sum", labels, seconds(i64::try_from(durations.sum_ms).unwrap_or(i64::MAX)));
        self.sample("_count", labels, all);
    }

    fn sample(&mut self, suffix: &str, labels: Labels<'_>, value: impl std::fmt::Display) {
        let _ = write!(self.text, "{}{suffix}", self.family);
        for (place, (name, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            let _ = write!(self.text, "{}{name}=\"{value}\"", if place == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    pub fn finish(self) -> String {
        self.text
    }
}

/// Milliseconds as seconds, exactly.
fn seconds(ms: i64) -> String {
    let (sign, ms) = (if ms < 0 { "-" } else { "" }, ms.unsigned_abs());
    match ms % 1000 {
        0 => format!("{sign}{}", ms / 1000),
        rest => format!("{sign}{}.{rest:03}", ms / 1000).trim_end_matches('0').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut page = Page::default();
        page.counter("x_total", "a \\ and a\nbreak");
        page.count(&[("type", "Sync.\"A\\B\"\n"), ("b", "")], 7);
        page.count(&[], 1);
        assert_eq!(
            page.finish(),
            "# HELP x_total a \\\\ and a\\nbreak\n# TYPE x_total counter\n\
             x_total{type=\"Sync.\\\"A\\\\B\\\"\\n\",b=\"\"} 7\nx_total 1\n"
        );
    }

    #[test]
    fn seconds_are_exact() {
        for (ms, text) in
            [(0, "0"), (5, "0.005"), (250, "0.25"), (1_000, "1"), (120_050, "120.05"), (-1_500, "-1.5")]
        {
            assert_eq!(seconds(ms), text);
        }
    }

    #[test]
    fn buckets_add_up_and_end_with_all() {
        let mut durations = Durations::default();
        [3, 7, 7, 999_999].into_iter().for_each(|ms| durations.add(ms));
        let mut page = Page::default();
        page.histogram("t_seconds", "t");
        page.durations(&[("p", "1")], &durations);
        let text = page.finish();
        for line in [
            "t_seconds_bucket{p=\"1\",le=\"0.005\"} 1\n",
            "t_seconds_bucket{p=\"1\",le=\"0.01\"} 3\n",
            "t_seconds_bucket{p=\"1\",le=\"120\"} 3\n",
            "t_seconds_bucket{p=\"1\",le=\"+Inf\"} 4\n",
            "t_seconds_sum{p=\"1\"} 1000.016\n",
            "t_seconds_count{p=\"1\"} 4\n",
        ] {
            assert!(text.contains(line), "no {line} in\n{text}");
        }
    }
}
