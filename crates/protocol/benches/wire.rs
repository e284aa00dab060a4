//! How long each operation takes: `cargo bench -p posthaste-protocol`.

#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::unwrap_used, reason = "a bench may panic")]

mod operations;

use criterion::{Criterion, criterion_group, criterion_main};

fn wire(criterion: &mut Criterion) {
    for (name, prepare) in operations::ALL {
        criterion.bench_function(name, |bencher| bencher.iter(prepare()));
    }
}

criterion_group!(benches, wire);
criterion_main!(benches);
