// The official Go client as a client of the benchmark.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

// arguments are what the client is told to do.
type arguments struct {
	nameServer, topic, shape string
	inFlight, batch, body    int
	warmUp, measure          time.Duration
}

func main() {
	if err := run(parse()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func parse() arguments {
	var a arguments
	flag.StringVar(&a.nameServer, "name-server", "", "host:port")
	flag.StringVar(&a.topic, "topic", "", "topic that exists")
	flag.StringVar(&a.shape, "shape", "callers", "callers, oneway, batch or burst")
	flag.IntVar(&a.inFlight, "in-flight", 1, "callers")
	flag.IntVar(&a.batch, "batch", 1, "messages of a batch")
	flag.IntVar(&a.body, "body", 128, "bytes of a body")
	warmUp := flag.Int("warm-up-ms", 0, "length of the warm-up")
	measure := flag.Int("measure-ms", 1000, "length of the measured interval")
	flag.String("with", "", "settings; this client has none")
	flag.Parse()
	a.warmUp = time.Duration(*warmUp) * time.Millisecond
	a.measure = time.Duration(*measure) * time.Millisecond
	return a
}

func run(a arguments) error {
	rlog.SetLogLevel("fatal")
	made, err := rocketmq.NewProducer(
		producer.WithNameServer(primitive.NamesrvAddr{a.nameServer}),
		producer.WithGroupName("bench"),
		// All clients send the same bytes.
		producer.WithCompressMsgBodyOverHowmuch(1<<30),
	)
	if err != nil {
		return err
	}
	if err := made.Start(); err != nil {
		return err
	}
	work := workload{producer: made, arguments: a}
	if a.warmUp > 0 {
		work.run(a.warmUp)
	}
	fmt.Println("ready")
	in := bufio.NewReader(os.Stdin)
	if line, err := in.ReadString('\n'); err != nil || line != "go\n" {
		return fmt.Errorf("the driver said %q instead of go", line)
	}
	began, cpu := time.Now(), cpuTime()
	tally := work.run(a.measure)
	measured := tally.measurement(time.Since(began), cpuTime()-cpu)
	if err := json.NewEncoder(os.Stdout).Encode(measured); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

// cpuTime is the user and system time of this process.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
