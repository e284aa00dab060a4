//! How long the pieces of the send path take: `cargo bench -p posthaste --features bench`.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use criterion::{Criterion, criterion_group, criterion_main};

fn pieces(criterion: &mut Criterion) {
    for (name, prepare) in posthaste::bench::ALL {
        criterion.bench_function(name, |bencher| bencher.iter(prepare()));
    }
}

criterion_group!(benches, pieces);
criterion_main!(benches);
