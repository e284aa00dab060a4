package main

import (
	"context"
	"fmt"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

const shortestDelayLevel = 1

// consumers are the push consumers of this process, by name. Each message they receive is written as
// one line.
type consumers struct {
	nameServer string
	lines      *lines
	started    map[string]rocketmq.PushConsumer
}

type delivery struct {
	Consumer string   `json:"consumer"`
	Refused  bool     `json:"refused"`
	Message  received `json:"message"`
}

func newConsumers(nameServer string, lines *lines) consumers {
	return consumers{nameServer: nameServer, lines: lines, started: map[string]rocketmq.PushConsumer{}}
}

func (s *consumers) start(c *command) error {
	made, err := rocketmq.NewPushConsumer(
		consumer.WithNameServer(primitive.NamesrvAddr{s.nameServer}),
		consumer.WithGroupName(c.Group),
		consumer.WithInstance(c.Name),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithConsumerOrder(c.Orderly),
	)
	if err != nil {
		return err
	}
	selector := consumer.MessageSelector{Type: consumer.TAG, Expression: c.Tags}
	if err := made.Subscribe(c.Topic, selector, s.listener(c)); err != nil {
		return err
	}
	if err := made.Start(); err != nil {
		return err
	}
	s.started[c.Name] = made
	return nil
}

func (s *consumers) stop(name string) error {
	stopping, ok := s.started[name]
	if !ok {
		return fmt.Errorf("nothing is called %q", name)
	}
	delete(s.started, name)
	return stopping.Shutdown()
}

func (s *consumers) listener(c *command) func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
	return func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		if concurrently, ok := primitive.GetConcurrentlyCtx(ctx); ok {
			concurrently.DelayLevelWhenNextConsume = shortestDelayLevel
		}
		refused := false
		for _, message := range messages {
			refused = s.report(c, message) || refused
		}
		switch {
		case !refused:
			return consumer.ConsumeSuccess, nil
		case c.Orderly:
			return consumer.SuspendCurrentQueueAMoment, nil
		default:
			return consumer.ConsumeRetryLater, nil
		}
	}
}

// report writes a message down and says whether it is refused: messages with the tag named by the
// command fail the first time they come.
func (s *consumers) report(c *command, message *primitive.MessageExt) bool {
	refused := c.Refuse != nil && message.GetTags() == *c.Refuse && message.ReconsumeTimes == 0
	s.lines.write(delivery{Consumer: c.Name, Refused: refused, Message: receivedFrom(message)})
	return refused
}
