package bench;

import java.util.Locale;
import java.util.concurrent.atomic.LongAdder;
import org.HdrHistogram.ConcurrentHistogram;
import org.HdrHistogram.Histogram;

/** Counts and latencies of an interval. */
final class Tally {
    private final LongAdder messages = new LongAdder();
    private final LongAdder failed = new LongAdder();
    private final Histogram latencies = new ConcurrentHistogram(1, 120_000_000_000L, 3);

    void ended(long count, boolean acknowledged) {
        (acknowledged ? messages : failed).add(count);
    }

    void took(long nanos) {
        latencies.recordValue(Math.max(1, Math.min(nanos, 120_000_000_000L)));
    }

    String measurement(long nanos, long cpuNanos) {
        return String.format(Locale.ROOT,
            "{\"messages\":%d,\"failed\":%d,\"seconds\":%.6f,\"cpu_us\":%d,"
                + "\"p50_us\":%.2f,\"p99_us\":%.2f,\"p999_us\":%.2f}",
            messages.sum(), failed.sum(), nanos / 1e9, cpuNanos / 1000,
            quantile(50), quantile(99), quantile(99.9));
    }

    private double quantile(double percentile) {
        return latencies.getValueAtPercentile(percentile) / 1000.0;
    }
}
