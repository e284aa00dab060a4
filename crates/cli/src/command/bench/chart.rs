//! Where the parts of a chart lie on its drawing; the template of the page draws them.

use std::fmt::Write;

/// Of the drawing, in its own units.
pub(super) const WIDTH: f64 = 720.0;
pub(super) const HEIGHT: f64 = 260.0;
/// Of the field between the axes.
pub(super) const LEFT: f64 = 84.0;
pub(super) const RIGHT: f64 = WIDTH - 34.0;
pub(super) const TOP: f64 = 14.0;
pub(super) const BOTTOM: f64 = HEIGHT - 44.0;

/// A chart, ready to be drawn.
pub(super) struct Chart {
    pub(super) title: &'static str,
    /// What it shows, in words for screen readers.
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
    Linear { most: f64, step: f64 },
    Log { least: f64, most: f64 },
}

impl Scale {
    /// From 0 to `most`.
    pub(super) fn to(most: f64) -> Self {
        let most = most.max(1e-9);
        Self::Linear { most, step: round_step(most) }
    }

    /// From 0 to a round number that is at least `most`.
    pub(super) fn beyond(most: f64) -> Self {
        let step = round_step(most.max(1e-9));
        Self::Linear { most: (most / step).ceil().max(1.0) * step, step }
    }

    /// Whole decades around these values, which are greater than 0.
    pub(super) fn decades(least: f64, most: f64) -> Self {
        let least = 10_f64.powf(least.log10().floor());
        Self::Log { least, most: 10_f64.powf(most.log10().ceil()).max(least * 10.0) }
    }

    /// Where a value lies between the ends of the axis, from 0 to 1.
    fn share(self, value: f64) -> f64 {
        let share = match self {
            Self::Linear { most, .. } => value / most,
            Self::Log { least, most } => (value / least).ln() / (most / least).ln(),
        };
        share.clamp(0.0, 1.0)
    }

    /// The values to write at the axis.
    fn values(self) -> Vec<f64> {
        match self {
            Self::Linear { most, step } => {
                // A whole number of steps must not become one less by rounding.
                let steps = (most / step + 1e-6) as u32;
                (0..=steps).map(|n| f64::from(n) * step).collect()
            }
            Self::Log { least, most } => (0..=(most / least).log10().round() as i32)
                .map(|n| least * 10_f64.powi(n))
                .collect(),
        }
    }
}

/// 1, 2 or 5 times a power of ten, so that two to five of them make up `most`.
fn round_step(most: f64) -> f64 {
    let rough = most / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    // A hair less than a fifth will do, or 100 would be made up of tens of tens by rounding.
    let fits = |times: &f64| times * power * 1.000_001 >= rough;
    [1.0, 2.0, 5.0].into_iter().find(fits).unwrap_or(10.0) * power
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
    fn linear_axes_go_from_zero_in_round_steps() {
        let ticks = |scale| {
            let axis = Axis::y("", scale, |value| format!("{value:.1}"));
            axis.ticks.into_iter().map(|tick| tick.text).collect::<Vec<_>>().join(" ")
        };
        for (most, to, beyond) in [
            (97.1, "0.0 20.0 40.0 60.0 80.0", "0.0 20.0 40.0 60.0 80.0 100.0"),
            (100.0, "0.0 20.0 40.0 60.0 80.0 100.0", "0.0 20.0 40.0 60.0 80.0 100.0"),
            (1.0, "0.0 0.2 0.4 0.6 0.8 1.0", "0.0 0.2 0.4 0.6 0.8 1.0"),
            (10.003, "0.0 5.0 10.0", "0.0 5.0 10.0 15.0"),
        ] {
            assert_eq!(
                (ticks(Scale::to(most)), ticks(Scale::beyond(most))),
                (to.into(), beyond.into()),
                "{most}"
            );
        }
        for nothing in [Scale::to(0.0), Scale::beyond(0.0)] {
            assert_eq!(Axis::y("", nothing, |_| String::new()).at(0.0), BOTTOM);
        }
        assert_eq!(Axis::y("", Scale::beyond(90.0), |_| String::new()).at(100.0), TOP);
    }

    #[test]
    fn logarithmic_axes_have_whole_decades() {
        let axis = Axis::x("", Scale::decades(0.024, 31.0), |value| format!("{value:.2}"));
        let texts: Vec<&str> = axis.ticks.iter().map(|tick| tick.text.as_str()).collect();
        assert_eq!(texts, ["0.01", "0.10", "1.00", "10.00", "100.00"]);
        let steps: Vec<f64> = axis.ticks.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
        assert!(steps.iter().all(|step| (step - steps[0]).abs() < 0.2), "{steps:?}");
        assert_eq!(axis.at(0.01), LEFT);
        assert_eq!(axis.at(1_000.0), RIGHT, "what lies outside stays inside");
    }

    #[test]
    fn a_bar_stands_on_the_axis() {
        let mut chart = Chart {
            title: "",
            description: String::new(),
            x: Axis::x("", Scale::beyond(10.0), |_| String::new()),
            y: Axis::y("", Scale::beyond(10.0), |_| String::new()),
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
