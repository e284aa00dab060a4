package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

const sendLimit = 30 * time.Second

// producers are the producers of this process, by name.
type producers struct {
	nameServer string
	started    map[string]rocketmq.Producer
}

func newProducers(nameServer string) producers {
	return producers{nameServer: nameServer, started: map[string]rocketmq.Producer{}}
}

func (p *producers) start(c *command) error {
	made, err := rocketmq.NewProducer(
		producer.WithNameServer(primitive.NamesrvAddr{p.nameServer}),
		producer.WithGroupName(c.Group),
		producer.WithInstanceName(c.Name),
		// Goes by the sharding key; a message without one gets any queue.
		producer.WithQueueSelector(producer.NewHashQueueSelector()),
	)
	if err != nil {
		return err
	}
	if err := made.Start(); err != nil {
		return err
	}
	p.started[c.Name] = made
	return nil
}

func (p *producers) stop(name string) (bool, error) {
	stopping, ok := p.started[name]
	if !ok {
		return false, nil
	}
	delete(p.started, name)
	return true, stopping.Shutdown()
}

func (p *producers) send(c *command) ([]outcome, error) {
	sender, ok := p.started[c.Producer]
	if !ok {
		return nil, fmt.Errorf("no producer %q", c.Producer)
	}
	messages := make([]*primitive.Message, len(c.Messages))
	for i := range c.Messages {
		messages[i] = c.Messages[i].message()
	}
	limited, cancel := context.WithTimeout(context.Background(), sendLimit)
	defer cancel()
	switch c.Mode {
	case "batch":
		return []outcome{outcomeOf(sender.SendSync(limited, messages...))}, nil
	case "async":
		return sendAsync(limited, sender, messages)
	case "sync", "keyed", "oneway":
		return sendEach(limited, sender, c.Mode == "oneway", messages), nil
	default:
		return nil, fmt.Errorf("unknown mode %q", c.Mode)
	}
}

func sendEach(limited context.Context, sender rocketmq.Producer, oneway bool, messages []*primitive.Message) []outcome {
	outcomes := make([]outcome, len(messages))
	for i, message := range messages {
		if !oneway {
			outcomes[i] = outcomeOf(sender.SendSync(limited, message))
		} else if err := sender.SendOneWay(limited, message); err != nil {
			outcomes[i] = outcome{Error: err.Error()}
		}
	}
	return outcomes
}

func sendAsync(limited context.Context, sender rocketmq.Producer, messages []*primitive.Message) ([]outcome, error) {
	outcomes := make([]outcome, len(messages))
	var open sync.WaitGroup
	for i, message := range messages {
		open.Add(1)
		slot := &outcomes[i]
		done := func(_ context.Context, result *primitive.SendResult, err error) {
			*slot = outcomeOf(result, err)
			open.Done()
		}
		if err := sender.SendAsync(limited, done, message); err != nil {
			return nil, err
		}
	}
	all := make(chan struct{})
	go func() {
		open.Wait()
		close(all)
	}()
	select {
	case <-all:
		return outcomes, nil
	case <-limited.Done():
		return nil, errors.New("some callbacks never came")
	}
}
