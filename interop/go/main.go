// The Go client under remote control: one JSON command per line on standard input, one JSON object per
// line on standard output. An answer carries the id of its command; a received message carries the name
// of its consumer.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

type command struct {
	ID       int        `json:"id"`
	Verb     string     `json:"do"`
	Name     string     `json:"name"`
	Group    string     `json:"group"`
	Producer string     `json:"producer"`
	Mode     string     `json:"mode"`
	Messages []envelope `json:"messages"`
	Topic    string     `json:"topic"`
	Tags     string     `json:"tags"`
	Orderly  bool       `json:"orderly"`
	Refuse   *string    `json:"refuse"`
}

type answer struct {
	ID    int    `json:"id"`
	OK    any    `json:"ok,omitempty"`
	Error string `json:"error,omitempty"`
}

type agent struct {
	lines     *lines
	producers producers
	consumers consumers
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: agent HOST:PORT")
		os.Exit(2)
	}
	out := takeStandardOutput()
	nameServer := os.Args[1]
	agent := agent{
		lines:     out,
		producers: newProducers(nameServer),
		consumers: newConsumers(nameServer, out),
	}
	agent.serve()
}

func (a *agent) serve() {
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		a.lines.write(a.answer(line))
	}
}

func (a *agent) answer(line []byte) answer {
	var c command
	if err := json.Unmarshal(line, &c); err != nil {
		return answer{Error: err.Error()}
	}
	result, err := a.perform(&c)
	if err != nil {
		return answer{ID: c.ID, Error: err.Error()}
	}
	return answer{ID: c.ID, OK: result}
}

func (a *agent) perform(c *command) (any, error) {
	switch c.Verb {
	case "producer":
		return true, a.producers.start(c)
	case "send":
		return a.producers.send(c)
	case "consumer":
		return true, a.consumers.start(c)
	case "stop":
		return true, a.stop(c.Name)
	default:
		return nil, fmt.Errorf("unknown command %q", c.Verb)
	}
}

func (a *agent) stop(name string) error {
	if stopped, err := a.producers.stop(name); stopped {
		return err
	}
	return a.consumers.stop(name)
}
