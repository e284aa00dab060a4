package main

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// tally has the counts and latencies of an interval.
type tally struct {
	messages, failed atomic.Int64
	lock             sync.Mutex
	latencies        *hdrhistogram.Histogram
}

func newTally() *tally {
	return &tally{latencies: hdrhistogram.New(1, int64(2*time.Minute), 3)}
}

func (t *tally) ended(messages int, err error) {
	if err == nil {
		t.messages.Add(int64(messages))
	} else {
		t.failed.Add(int64(messages))
	}
}

func (t *tally) took(d time.Duration) {
	t.lock.Lock()
	defer t.lock.Unlock()
	_ = t.latencies.RecordValue(min(int64(d), int64(2*time.Minute)))
}

// measurement is the line that the driver reads.
type measurement struct {
	Messages int64   `json:"messages"`
	Failed   int64   `json:"failed"`
	Seconds  float64 `json:"seconds"`
	CPU      int64   `json:"cpu_us"`
	P50      float64 `json:"p50_us"`
	P99      float64 `json:"p99_us"`
	P999     float64 `json:"p999_us"`
}

func (t *tally) measurement(took, cpu time.Duration) measurement {
	quantile := func(q float64) float64 { return float64(t.latencies.ValueAtQuantile(q)) / 1000 }
	return measurement{
		Messages: t.messages.Load(),
		Failed:   t.failed.Load(),
		Seconds:  took.Seconds(),
		CPU:      cpu.Microseconds(),
		P50:      quantile(50),
		P99:      quantile(99),
		P999:     quantile(99.9),
	}
}
