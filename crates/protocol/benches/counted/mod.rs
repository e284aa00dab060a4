//! What a program does that `cargo xtask counts` starts: it runs one operation as often as asked, and
//! says how many allocations that made on its thread.

/// Without arguments lists the operations; with `NAME RUNS` runs one.
pub(crate) fn run<'a, F: FnMut() + 'a>(
    all: impl IntoIterator<Item = &'a (&'static str, fn() -> F)>,
) {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let mut all = all.into_iter();
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
