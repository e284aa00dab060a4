package main

import (
	"encoding/json"
	"os"
	"sync"
)

// lines writes JSON lines to what was standard output when the program began.
type lines struct {
	mutex sync.Mutex
	out   *json.Encoder
}

// takeStandardOutput keeps the client's own prints away from the lines: they go to standard error.
func takeStandardOutput() *lines {
	out := json.NewEncoder(os.Stdout)
	os.Stdout = os.Stderr
	return &lines{out: out}
}

func (l *lines) write(line any) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if err := l.out.Encode(line); err != nil {
		// The reader is gone.
		os.Exit(1)
	}
}
