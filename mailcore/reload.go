package mailcore

import (
	"errors"
	"fmt"
)

// ErrRestart is in the error of [Server.Reload] for each field that a running
// server cannot change.
var ErrRestart = errors.New("a change needs a restart")

// Reload puts a configuration in the place of the current one, as a whole and at
// once. Connections that are open, messages that are being submitted and attempts
// under way keep the one they began with; all that begins after Reload has
// returned goes by the new one. No connection is closed.
//
// If anything is wrong with it, all of the current configuration stays, and the
// error names every problem. What a running server cannot change is a problem of
// that kind, and [ErrRestart] is in its error: Maildrop, Workers, Poll,
// CommitDelay, Grace and Log. TLS that is nil stands for the self-signed certificate
// the server has already, unless Hostname is another. Messages in the queue keep the
// lifetime that they were stored with, and for dead destinations the first BackoffMin
// stays in force.
//
// Reload may be called from many goroutines, before and while Run runs.
func (s *Server) Reload(config Config) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	config, err := config.withDefaults()
	was := s.current()
	if err := errors.Join(err, config.fixed(&was.config)); err != nil {
		return err
	}
	next, err := s.newDesk(config, was)
	if err != nil {
		return err
	}
	s.queue.Reload(s.queueOptions(config))
	s.desk.Store(next)
	return was.close()
}

// fixed names what differs from another configuration and must not.
func (c *Config) fixed(was *Config) error {
	var problems []error
	for _, field := range []struct {
		name     string
		now, was any
	}{
		{"Maildrop", c.Maildrop, was.Maildrop},
		{"Workers", c.Workers, was.Workers},
		{"Poll", c.Poll, was.Poll},
		{"CommitDelay", c.CommitDelay, was.CommitDelay},
		{"Grace", c.Grace, was.Grace},
		{"Log", c.Log, was.Log},
	} {
		if field.now != field.was {
			problems = append(problems, fmt.Errorf("mailcore: %s: %w", field.name, ErrRestart))
		}
	}
	return errors.Join(problems...)
}
