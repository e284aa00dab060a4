package main

import (
	"bytes"
	"context"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// stride: of many callers every eighth call is timed, as with the other clients.
const stride = 8

// workload is a producer and what it is to send.
type workload struct {
	producer  rocketmq.Producer
	arguments arguments
}

// run runs the shape for so long, and until the last answer has come.
func (w *workload) run(length time.Duration) *tally {
	t := newTally()
	body := bytes.Repeat([]byte{'x'}, w.arguments.body)
	message := func() *primitive.Message { return primitive.NewMessage(w.arguments.topic, body) }
	send := func() (int, error) {
		_, err := w.producer.SendSync(context.Background(), message())
		return 1, err
	}
	switch w.arguments.shape {
	case "oneway":
		send = func() (int, error) {
			return 1, w.producer.SendOneWay(context.Background(), message())
		}
	case "batch":
		send = func() (int, error) {
			messages := make([]*primitive.Message, w.arguments.batch)
			for i := range messages {
				messages[i] = message()
			}
			_, err := w.producer.SendSync(context.Background(), messages...)
			return len(messages), err
		}
	}
	once := w.arguments.shape == "burst"
	end := time.Now().Add(length)
	var callers sync.WaitGroup
	for caller := range w.arguments.inFlight {
		callers.Add(1)
		go func() {
			defer callers.Done()
			for number := caller; time.Now().Before(end); number++ {
				began := time.Now()
				messages, err := send()
				if w.arguments.inFlight == 1 || number%stride == 0 {
					t.took(time.Since(began))
				}
				t.ended(messages, err)
				if once {
					return
				}
			}
		}()
	}
	callers.Wait()
	return t
}
