//! Charts as SVG.

use anyhow::{Result, anyhow};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::case::{Case, Scenario, ServerKind};
use crate::client::{Client, Kind};
use crate::curve::Chart;
use crate::record::{Record, Session};
use crate::table::count;
use crate::workshop::Workshop;

const SIZE: (u32, u32) = (860, 420);
const BAR: u32 = 26;
const COLOURS: [RGBColor; 6] = [
    RGBColor(0x1b, 0x6c, 0xa8),
    RGBColor(0xd9, 0x5f, 0x02),
    RGBColor(0x2c, 0xa0, 0x5a),
    RGBColor(0x7b, 0x3f, 0x99),
    RGBColor(0xb0, 0x8d, 0x1a),
    RGBColor(0x55, 0x55, 0x55),
];

/// Draws everything that the session has.
pub(crate) fn write(workshop: &Workshop, session: &Session) -> Result<()> {
    let folder = workshop.results();
    let rows = [
        (
            "real-1024",
            ServerKind::Real,
            Scenario::InFlight(1024),
            "Messages per second on Apache RocketMQ 5.5.0: 1,024 callers in flight, 128 B",
        ),
        (
            "null-256",
            ServerKind::Null,
            Scenario::InFlight(256),
            "Messages per second on the wire: 256 callers in flight, 128 B",
        ),
    ];
    for (name, server, scenario, title) in rows {
        let bars = bars(session, server, scenario);
        if !bars.is_empty() {
            draw_bars(&folder.join(format!("{name}.svg")), title, &bars)
                .map_err(|e| anyhow!("{e}"))?;
        }
    }
    for chart in &session.charts {
        let path = folder.join(format!("{}.svg", chart.name));
        draw_lines(&path, chart).map_err(|error| anyhow!("drawing {}: {error}", chart.name))?;
    }
    Ok(())
}

/// The median rates of a row of the table, the fastest first.
fn bars(session: &Session, server: ServerKind, scenario: Scenario) -> Vec<(Client, f64)> {
    let row =
        session.rows().into_iter().find(|row| (row.0, row.1, row.2) == (server, scenario, 128));
    let clients = row.map(|row| row.3).unwrap_or_default();
    let rate = |client| {
        let spread = session.spread(&Case { server, scenario, body: 128, client }, Record::rate)?;
        Some((client, spread.median))
    };
    let mut bars: Vec<(Client, f64)> = clients.into_iter().filter_map(rate).collect();
    bars.sort_by(|a, b| b.1.total_cmp(&a.1));
    bars
}

type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

fn draw_bars(path: &std::path::Path, title: &str, bars: &[(Client, f64)]) -> Drawn {
    let height = 60 + BAR * bars.len() as u32;
    let root = SVGBackend::new(path, (SIZE.0, height)).into_drawing_area();
    root.fill(&WHITE)?;
    root.draw(&Text::new(title.to_owned(), (16, 14), ("sans-serif", 20).into_font()))?;
    let longest = bars.iter().map(|bar| bar.1).fold(1.0, f64::max);
    for (number, (client, rate)) in bars.iter().enumerate() {
        let top = 44 + (BAR as usize * number) as i32;
        let end = 250 + (500.0 * rate / longest) as i32;
        let colour = match client.kind {
            Kind::Posthaste => COLOURS[0],
            Kind::Bare(_) | Kind::BareCallers => RGBColor(0xb8, 0xb8, 0xb8),
            _ => COLOURS[1],
        };
        root.draw(&Text::new(client.to_string(), (16, top + 3), ("sans-serif", 17).into_font()))?;
        root.draw(&Rectangle::new([(250, top), (end, top + 18)], colour.filled()))?;
        let label = format!("{}/s", count(*rate));
        root.draw(&Text::new(label, (end + 6, top + 3), ("sans-serif", 17).into_font()))?;
    }
    Ok(root.present()?)
}

fn draw_lines(path: &std::path::Path, chart: &Chart) -> Drawn {
    let points = || chart.lines.iter().flat_map(|line| &line.points);
    let least = points().map(|point| point.0).fold(f64::MAX, f64::min);
    let most = points().map(|point| point.0).fold(least + 1e-9, f64::max);
    // Room for the names, so that they cover no line.
    let room = 1.1 + 0.08 * chart.lines.len() as f64;
    let top = points().map(|point| point.1).fold(0.0, f64::max) * room + 1e-9;
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut builder = ChartBuilder::on(&root);
    builder
        .caption(&chart.title, ("sans-serif", 20))
        .margin(14)
        .x_label_area_size(42)
        .y_label_area_size(64);
    if chart.log_x {
        let mut context = builder.build_cartesian_2d((least..most).log_scale(), 0.0..top)?;
        put_lines(&mut context, chart)?;
    } else {
        let mut context = builder.build_cartesian_2d(least..most, 0.0..top)?;
        put_lines(&mut context, chart)?;
    }
    Ok(root.present()?)
}

type Context<'a, 'b, X> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, RangedCoordf64>>;

fn put_lines<'a, 'b: 'a, X>(context: &mut Context<'a, 'b, X>, chart: &Chart) -> Drawn
where
    X: Ranged<ValueType = f64> + plotters::coord::ranged1d::ValueFormatter<f64>,
{
    let mut mesh = context.configure_mesh();
    let label = |number: &f64| count(*number).trim_end_matches(".00").replace(".00 ", " ");
    mesh.x_desc(&chart.x).y_desc(&chart.y).light_line_style(WHITE);
    mesh.x_label_formatter(&label).y_label_formatter(&label).draw()?;
    for (line, colour) in chart.lines.iter().zip(COLOURS.iter().cycle()) {
        let series = LineSeries::new(line.points.iter().copied(), colour.stroke_width(2));
        let key = move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2));
        context.draw_series(series)?.label(&line.name).legend(key);
    }
    context
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .label_font(("sans-serif", 16))
        .position(SeriesLabelPosition::UpperRight)
        .draw()?;
    Ok(())
}
