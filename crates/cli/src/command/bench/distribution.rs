//! The percentile distribution of latencies, in the text format of HdrHistogram (`.hgrm`), which its
//! plotters read.

use std::io::{self, Write};

use hdrhistogram::Histogram;

/// Lines for each halving of the distance to 100 %.
const TICKS: u32 = 5;
/// Microseconds in a unit of the file: milliseconds.
const UNIT: f64 = 1_000.0;

/// Writes it, in milliseconds.
///
/// # Errors
/// The errors of the writer.
pub(super) fn write(latency: &Histogram<u64>, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    let mut below = 0;
    for step in latency.iter_quantiles(TICKS) {
        below += step.count_since_last_iteration();
        let (value, share) = (step.value_iterated_to() as f64 / UNIT, step.quantile_iterated_to());
        write!(out, "{value:>12.3} {share:>14.12} {below:>10}")?;
        match share < 1.0 {
            true => writeln!(out, " {:>14.2}", 1.0 / (1.0 - share))?,
            // Of the last line it is infinite.
            false => writeln!(out)?,
        }
    }
    let (mean, deviation) = (latency.mean() / UNIT, latency.stdev() / UNIT);
    writeln!(out, "#[Mean    = {mean:>12.3}, StdDeviation   = {deviation:>12.3}]")?;
    let (max, count) = (latency.max() as f64 / UNIT, latency.len());
    writeln!(out, "#[Max     = {max:>12.3}, Total count    = {count:>12}]")?;
    let sub_buckets = (2 * 10_u64.pow(latency.sigfig().into())).next_power_of_two();
    writeln!(out, "#[Buckets = {:>12}, SubBuckets     = {sub_buckets:>12}]", latency.buckets())
}

#[cfg(test)]
mod tests {
    use super::super::measure::tests::stored;
    use super::*;

    #[test]
    fn lines_rise_to_the_count_of_all() {
        let measure = stored(10_000);
        let mut text = Vec::new();
        write(measure.latency.histogram().unwrap(), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let (head, foot): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| !line.starts_with('#'));
        assert_eq!(
            head[0].split_whitespace().collect::<Vec<_>>(),
            ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
        );
        let rows: Vec<Vec<f64>> = head[2..]
            .iter()
            .map(|line| line.split_whitespace().map(|number| number.parse().unwrap()).collect())
            .collect();
        assert!(rows.windows(2).all(|pair| pair[0][..3].iter().zip(&pair[1]).all(|(a, b)| a <= b)));
        let middle = rows.iter().find(|row| row[1] == 0.5).unwrap();
        assert!((4.99..5.01).contains(&middle[0]) && middle[3] == 2.0, "{middle:?}");
        let (last, others) = rows.split_last().unwrap();
        assert_eq!((last.len(), last[1], last[2]), (3, 1.0, 10_000.0));
        assert!(others.iter().all(|row| row.len() == 4));
        assert!(foot[0].starts_with("#[Mean    =        5.0"), "{}", foot[0]);
        assert!(foot[1].contains("Total count    =        10000]"), "{}", foot[1]);
        assert!(foot[2].ends_with("SubBuckets     =         2048]"), "{}", foot[2]);
    }
}
