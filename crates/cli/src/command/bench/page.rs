//! A run as one HTML page: settings, figures and charts, with nothing loaded from elsewhere.

use askama::Template;
use hdrhistogram::Histogram;

use super::chart::{self, Axis, Chart, Scale};
use super::run::{Lap, Results};
use super::settings::Settings;
use super::summary::{self, millis};
use crate::stderr::thousands;

/// Bars in each decade of the histogram.
const BARS: f64 = 10.0;

/// The page; `templates/bench.html` is what it looks like, and escapes what it is given.
#[derive(Template)]
#[template(path = "bench.html")]
pub(super) struct Page<'a> {
    title: String,
    version: &'static str,
    summary: Vec<String>,
    failed_conditions: &'a [String],
    settings: Vec<(&'static str, String)>,
    figures: Vec<(&'static str, String)>,
    charts: Vec<Chart>,
}

impl<'a> Page<'a> {
    pub(super) fn new(settings: &Settings, results: &Results, failed: &'a [String]) -> Self {
        let mut charts = Vec::new();
        if let Some(latency) = results.total.latency.histogram() {
            charts.extend([histogram(latency), percentiles(latency)]);
        }
        charts.extend([throughput(&results.laps), latency_over_time(&results.laps)]);
        Self {
            title: format!("posthaste {} · {}", settings.command, settings.topic),
            version: env!("CARGO_PKG_VERSION"),
            summary: summary::counts(results, settings),
            failed_conditions: failed,
            settings: settings_table(settings),
            figures: figures(results),
            charts,
        }
    }
}

fn settings_table(settings: &Settings) -> Vec<(&'static str, String)> {
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".into());
    vec![
        ("topic", settings.topic.clone()),
        ("body", format!("{} bytes", thousands(settings.size as u64))),
        ("messages", settings.count.map_or_else(|| "no limit".into(), thousands)),
        ("duration", or_none(settings.duration_s.map(|seconds| format!("{seconds} s")))),
        ("producers", thousands(settings.producers.into())),
        ("in flight at most", thousands(settings.in_flight.into())),
        (
            "rate",
            settings.rate.map_or_else(|| "as fast as possible".into(), |rate| format!("{rate}/s")),
        ),
        ("one-way", yes_or_no(settings.oneway)),
        ("batching", yes_or_no(settings.batching)),
        ("keys to order by", or_none(settings.order_keys.map(|keys| thousands(keys.into())))),
        ("tag", or_none(settings.tag.clone())),
        ("deadline of a send", format!("{} ms", thousands(settings.timeout_ms))),
    ]
}

fn yes_or_no(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.into()
}

fn figures(results: &Results) -> Vec<(&'static str, String)> {
    let latency = &results.total.latency;
    let of = |micros: Option<f64>| micros.map_or_else(|| "-".into(), millis);
    let at = |quantile| of(latency.at(quantile).map(|micros| micros as f64));
    vec![
        ("p50", at(0.5)),
        ("p90", at(0.9)),
        ("p95", at(0.95)),
        ("p99", at(0.99)),
        ("p99.9", at(0.999)),
        ("max", of(latency.max().map(|micros| micros as f64))),
        ("mean", of(latency.mean())),
    ]
}

fn chart(title: &'static str, description: String, x: Axis, y: Axis) -> Chart {
    Chart { title, description, x, y, bars: Vec::new(), lines: Vec::new() }
}

/// How many messages took how long.
fn histogram(latency: &Histogram<u64>) -> Chart {
    let least = latency.min_nz().min(latency.max()).max(1) as f64;
    let mut bars: Vec<(i32, u64)> = Vec::new();
    for step in latency.iter_recorded() {
        let bar = ((step.value_iterated_to().max(1) as f64).log10() * BARS).floor() as i32;
        let count = step.count_since_last_iteration();
        match bars.last_mut() {
            Some((last, sum)) if *last == bar => *sum += count,
            _ => bars.push((bar, count)),
        }
    }
    let share = |count: u64| 100.0 * count as f64 / latency.len() as f64;
    let most = bars.iter().map(|(_, count)| share(*count)).fold(0.0, f64::max);
    let mut chart = chart(
        "How many messages took how long",
        format!("histogram of {} latencies", thousands(latency.len())),
        Axis::x("latency, ms", Scale::decades(least, latency.max() as f64 + 1.0), tick_millis),
        Axis::y("share of messages, %", Scale::beyond(most), tick),
    );
    for (bar, count) in bars {
        let (from, to) =
            (10_f64.powf(f64::from(bar) / BARS), 10_f64.powf(f64::from(bar + 1) / BARS));
        let text = format!(
            "{} to {} ms: {} messages, {:.2} %",
            millis(from),
            millis(to),
            thousands(count),
            share(count)
        );
        chart.bar((from, to), share(count), text);
    }
    chart
}

/// Which share of the messages took how long at most; the further right, the rarer.
fn percentiles(latency: &Histogram<u64>) -> Chart {
    let rarest = latency.len().max(10) as f64;
    let mut chart = chart(
        "Latency by percentile",
        format!(
            "median {} ms, maximum {} ms",
            millis(latency.value_at_quantile(0.5) as f64),
            millis(latency.max() as f64)
        ),
        Axis::x("percentile", Scale::decades(1.0, rarest), tick_percentile),
        Axis::y(
            "latency, ms",
            Scale::decades(latency.min().max(1) as f64, latency.max() as f64 + 1.0),
            tick_millis,
        ),
    );
    let points = latency.iter_quantiles(5).map(|step| {
        let rarity = 1.0 / (1.0 - step.quantile_iterated_to()).max(1.0 / rarest);
        (rarity, step.value_iterated_to() as f64)
    });
    chart.line("latency", points);
    chart
}

/// Messages a second, second by second.
fn throughput(laps: &[Lap]) -> Chart {
    let most = laps.iter().map(Lap::rate).fold(0.0, f64::max);
    let mut chart = chart(
        "Throughput over time",
        format!("at most {}/s", thousands(most.round() as u64)),
        seconds_axis(laps),
        Axis::y("messages a second", Scale::beyond(most), tick),
    );
    chart.line("throughput", over_time(laps, |lap| Some(lap.rate())));
    chart
}

/// The latency of each second.
fn latency_over_time(laps: &[Lap]) -> Chart {
    let all = || laps.iter().flat_map(|lap| lap.latency.iter().filter_map(|(_, micros)| *micros));
    let (least, most) = (all().min().unwrap_or(1).max(1), all().max().unwrap_or(1));
    let mut chart = chart(
        "Latency over time",
        format!(
            "each second's percentiles, between {} and {} ms",
            millis(least as f64),
            millis(most as f64)
        ),
        seconds_axis(laps),
        Axis::y("latency, ms", Scale::decades(least as f64, most as f64 + 1.0), tick_millis),
    );
    for (index, name) in ["p50", "p95", "p99", "p99.9"].into_iter().enumerate() {
        let at = |lap: &Lap| Some(lap.latency.get(index)?.1? as f64);
        chart.line(name, over_time(laps, at));
    }
    chart
}

fn seconds_axis(laps: &[Lap]) -> Axis {
    let end = laps.last().map_or(1.0, |lap| lap.end.as_secs_f64());
    Axis::x("seconds", Scale::to(end), tick)
}

/// A level line through each lap, for a figure that some laps may not have.
fn over_time<'a>(
    laps: &'a [Lap],
    figure: impl Fn(&Lap) -> Option<f64> + 'a,
) -> impl Iterator<Item = (f64, f64)> + 'a {
    laps.iter().filter_map(move |lap| Some((lap, figure(lap)?))).flat_map(|(lap, value)| {
        let end = lap.end.as_secs_f64();
        [(end - lap.length.as_secs_f64(), value), (end, value)]
    })
}

fn tick(value: f64) -> String {
    match value {
        value if value >= 1_000.0 => thousands(value.round() as u64),
        // As short as it is written: 0.5, 20.
        value => format!("{}", (value * 1e6).round() / 1e6),
    }
}

fn tick_millis(micros: f64) -> String {
    tick(micros / 1_000.0)
}

/// 1 in 10 is slower than the 90th percentile, 1 in 100 than the 99th.
fn tick_percentile(rarity: f64) -> String {
    let nines = rarity.log10().round() as usize;
    format!("{:.*}", nines.saturating_sub(2), 100.0 * (1.0 - 1.0 / rarity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_written_with_all_their_nines() {
        let texts = [1.0, 10.0, 100.0, 1e3, 1e6].map(tick_percentile);
        assert_eq!(texts, ["0", "90", "99", "99.9", "99.9999"]);
    }

    #[test]
    fn ticks_are_short() {
        let texts = [0.0, 0.5, 20.0, 0.1 + 0.2, 100_000.0].map(tick);
        assert_eq!(texts, ["0", "0.5", "20", "0.3", "100,000"]);
    }
}
