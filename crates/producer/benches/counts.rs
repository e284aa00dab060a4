//! Runs one operation as often as asked, and says how many allocations it made on its thread: what
//! `cargo xtask counts` starts, alone and under valgrind.
//!
//! `counts` lists the operations, `counts NAME RUNS` runs one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench may panic")]

#[path = "../../protocol/benches/operations/mod.rs"]
mod operations;
mod sends;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let mut all = operations::ALL.iter().chain(sends::ALL);
    let Some(wanted) = arguments.next() else {
        return all.for_each(|(name, _)| println!("{name}"));
    };
    let runs = arguments.next().map_or(1, |runs| runs.parse().expect("RUNS"));
    let (_, prepare) = all.find(|(name, _)| *name == wanted).expect("no such operation");
    let mut operation = prepare();
    // What is made once, such as a buffer that grows to its size, is not counted.
    (0..10).for_each(|_| operation());
    let counted = allocation_counter::measure(|| (0..runs).for_each(|_| operation()));
    println!("{}", counted.count_total);
}
