//! Where the parts of a chart lie on its drawing; the template of the page draws them.

use std::fmt::Write;

/// Of the drawing, in its own units.
pub(super) const WIDTH: f64 = 720.0;
pub(super) const HEIGHT: f64 = 260.0;
/// Of the field between the axes.
pub(super) const LEFT: f64 = 70.0;
pub(super) const RIGHT: f64 = WIDTH - 20.0;
pub(super) const TOP: f64 = 14.0;
pub(super) const BOTTOM: f64 = HEIGHT - 44.0;

/// A chart, ready to be drawn.
pub(super) struct Chart {
    pub(super) title: &'static str,
    /// What it shows, for whoever does not see it.
    pub(super) description: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) bars: Vec<Bar>,
    pub(super) lines: Vec<Line>,
}

/// One axis.
pub(super) struct Axis {
    pub(super) label: &'static str,
    pub(super) ticks: Vec<Tick>,
    scale: Scale,
    /// Where the axis begins and ends on the drawing.
    from: f64,
    to: f64,
}

/// A value that is written at an axis.
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) text: String,
}

/// A bar that stands on the x axis.
pub(super) struct Bar {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    /// Shown when it is pointed at.
    pub(super) text: String,
}

/// A line through points.
pub(super) struct Line {
    pub(super) name: &'static str,
    /// As the `points` of a polyline.
    pub(super) points: String,
}

/// Which values an axis shows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scale {
    Linear { most: f64 },
    Log { least: f64, most: f64 },
}

impl Scale {
    /// From 0 to a round number that is at least `most`.
    pub(super) fn up_to(most: f64) -> Self {
        let step = round_step(most);
        Self::Linear { most: (most / step).ceil().max(1.0) * step }
    }

    /// Whole decades around these values, which are greater than 0.
    pub(super) fn decades(least: f64, most: f64) -> Self {
        let least = 10_f64.powf(least.log10().floor());
        Self::Log { least, most: 10_f64.powf(most.log10().ceil()).max(least * 10.0) }
    }

    /// Where a value lies between the ends of the axis, from 0 to 1.
    fn share(self, value: f64) -> f64 {
        let share = match self {
            Self::Linear { most } => value / most,
            Self::Log { least, most } => (value / least).ln() / (most / least).ln(),
        };
        share.clamp(0.0, 1.0)
    }

    /// The values to write at the axis.
    fn values(self) -> Vec<f64> {
        match self {
            Self::Linear { most } => {
                let step = round_step(most);
                (0..=(most / step).round() as u32).map(|n| f64::from(n) * step).collect()
            }
            Self::Log { least, most } => {
                (0..=(most / least).log10().round() as i32).map(|n| least * 10_f64.powi(n)).collect()
            }
        }
    }
}

/// 1, 2 or 5 times a power of ten, so that four to ten of them make up `most`.
fn round_step(most: f64) -> f64 {
    let rough = most.max(1e-9) / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let times = [1.0, 2.0, 5.0].into_iter().find(|times| times * power >= rough).unwrap_or(10.0);
    // A little less than a fifth may be missing to the next step.
    times * power
}

impl Axis {
    /// The axis at the bottom.
    pub(super) fn x(label: &'static str, scale: Scale, text: impl Fn(f64) -> String) -> Self {
        Self::new(label, scale, (LEFT, RIGHT), text)
    }

    /// The axis at the left.
    pub(super) fn y(label: &'static str, scale: Scale, text: impl Fn(f64) -> String) -> Self {
        Self::new(label, scale, (BOTTOM, TOP), text)
    }

    fn new(
        label: &'static str,
        scale: Scale,
        (from, to): (f64, f64),
        text: impl Fn(f64) -> String,
    ) -> Self {
        let mut axis = Self { label, ticks: Vec::new(), scale, from, to };
        let ticks = scale.values().into_iter();
        axis.ticks = ticks.map(|value| Tick { at: axis.at(value), text: text(value) }).collect();
        axis
    }

    /// Where a value lies on the drawing, to a tenth.
    pub(super) fn at(&self, value: f64) -> f64 {
        let at = self.from + (self.to - self.from) * self.scale.share(value);
        (at * 10.0).round() / 10.0
    }
}

impl Chart {
    /// Adds a bar from one x to another, as high as `y`.
    pub(super) fn bar(&mut self, (from, to): (f64, f64), y: f64, text: String) {
        let (left, right, top) = (self.x.at(from), self.x.at(to), self.y.at(y));
        // A pixel of air between neighbours, and something to see of the smallest.
        let (width, height) = ((right - left - 1.0).max(1.0), (BOTTOM - top).max(1.0));
        self.bars.push(Bar { x: left, y: BOTTOM - height, width, height, text });
    }

    /// Adds a line through these points.
    pub(super) fn line(&mut self, name: &'static str, points: impl Iterator<Item = (f64, f64)>) {
        let mut text = String::new();
        for (x, y) in points {
            // Writing to a text does not fail.
            let _ = write!(text, "{},{} ", self.x.at(x), self.y.at(y));
        }
        self.lines.push(Line { name, points: text.trim_end().to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_axes_go_from_zero_to_a_round_number() {
        for (most, end, count) in
            [(97_133.0, 100_000.0, 6), (1.0, 1.0, 6), (10.003, 12.0, 7), (0.0, 2e-10, 2)]
        {
            let axis = Axis::y("", Scale::up_to(most), |value| value.to_string());
            let last: f64 = axis.ticks.last().unwrap().text.parse().unwrap();
            assert!((last - end).abs() < 1e-9, "{most}: {last}");
            assert_eq!(axis.ticks.len(), count, "{most}");
            assert_eq!((axis.ticks[0].at, axis.ticks.last().unwrap().at), (BOTTOM, TOP), "{most}");
            assert!(axis.at(most) >= TOP);
        }
    }

    #[test]
    fn logarithmic_axes_have_whole_decades() {
        let axis = Axis::x("", Scale::decades(0.024, 31.0), |value| format!("{value:.2}"));
        let texts: Vec<&str> = axis.ticks.iter().map(|tick| tick.text.as_str()).collect();
        assert_eq!(texts, ["0.01", "0.10", "1.00", "10.00", "100.00"]);
        let steps: Vec<f64> =
            axis.ticks.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
        assert!(steps.iter().all(|step| (step - steps[0]).abs() < 0.2), "{steps:?}");
        assert_eq!(axis.at(0.01), LEFT);
        assert_eq!(axis.at(1_000.0), RIGHT, "what lies outside stays inside");
    }

    #[test]
    fn a_bar_stands_on_the_axis() {
        let mut chart = Chart {
            title: "",
            description: String::new(),
            x: Axis::x("", Scale::up_to(10.0), |_| String::new()),
            y: Axis::y("", Scale::up_to(10.0), |_| String::new()),
            bars: Vec::new(),
            lines: Vec::new(),
        };
        chart.bar((0.0, 5.0), 10.0, "half".into());
        let bar = &chart.bars[0];
        assert_eq!((bar.x, bar.y, bar.y + bar.height), (LEFT, TOP, BOTTOM));
        chart.line("", [(0.0, 0.0), (10.0, 10.0)].into_iter());
        assert_eq!(chart.lines[0].points, format!("{LEFT},{BOTTOM} {RIGHT},{TOP}"));
    }
}
