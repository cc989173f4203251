package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/queue"
)

// A lab is a data directory and the program run on it.
type lab struct {
	t    *testing.T
	data string
}

// newLab makes a data directory with a configuration. Socket names are short, so
// the directory is not the test's own.
func newLab(t *testing.T, settings ...string) *lab {
	t.Helper()
	dir, err := os.MkdirTemp("", "pm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l := &lab{t: t, data: dir}
	l.configure(append([]string{
		`hostname = "mail.panel.example"`, `listen.smtp = "127.0.0.1:0"`, `listen.submission = "127.0.0.1:0"`,
		`delivery.resolver = "127.0.0.1:9"`, `queue.backoff_min = "1h"`,
	}, settings...)...)
	return l
}

func (l *lab) configure(lines ...string) {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.data, "panelmail.toml"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// An answer is what a run of the program left.
type answer struct {
	Status         int
	Stdout, Stderr string
}

// run runs a command on the lab's data.
func (l *lab) run(stdin string, args ...string) answer {
	l.t.Helper()
	var out, problems bytes.Buffer
	argv := append([]string{"panelmail", "--data", l.data}, args...)
	status := run(l.t.Context(), argv, strings.NewReader(stdin), &out, &problems)
	return answer{status, out.String(), problems.String()}
}

// do is run of a command that must succeed.
func (l *lab) do(stdin string, args ...string) string {
	l.t.Helper()
	got := l.run(stdin, args...)
	if got.Status != 0 {
		l.t.Fatalf("%s: %+v", strings.Join(args, " "), got)
	}
	return got.Stdout
}

// A served is a server between serve and stop.
type served struct {
	t      *testing.T
	stop   context.CancelFunc
	status chan int

	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed and replaced when it prints
}

// serve runs the server until stop, or the end of the test.
func (l *lab) serve() *served {
	l.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s := &served{t: l.t, stop: stop, status: make(chan int, 1), more: make(chan struct{})}
	go func() {
		s.status <- run(ctx, []string{"panelmail", "--data", l.data, "serve"}, strings.NewReader(""), s, s)
	}()
	l.t.Cleanup(s.end)
	s.says("Send a first message")
	return s
}

// Write implements io.Writer: what the server prints.
func (s *served) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.more)
	s.more = make(chan struct{})
	return s.text.Write(p)
}

func (s *served) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// says waits until the server has printed something.
func (s *served) says(text string) {
	s.t.Helper()
	s.saysTimes(1, text)
}

// saysTimes waits until the server has printed something n times.
func (s *served) saysTimes(n int, text string) {
	s.t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		s.mu.Lock()
		said, more := strings.Count(s.text.String(), text) >= n, s.more
		s.mu.Unlock()
		if said {
			return
		}
		select {
		case <-more:
		case status := <-s.status:
			s.status <- status
			s.t.Fatalf("exit status %d without %q:\n%s", status, text, s.said())
		case <-deadline:
			s.t.Fatalf("it does not say %q:\n%s", text, s.said())
		}
	}
}

// listens is where a door is.
func (s *served) listens(door string) string {
	s.t.Helper()
	m := regexp.MustCompile(`(?m)^  ` + door + ` +(\S+)$`).FindStringSubmatch(s.said())
	if m == nil {
		s.t.Fatalf("no %s listener in\n%s", door, s.said())
	}
	return m[1]
}

// end stops the server, which must say nothing against it.
func (s *served) end() {
	s.stop()
	if status := <-s.status; status != 0 {
		s.t.Errorf("exit status %d:\n%s", status, s.said())
	}
	s.status <- 0
}

// seed is the sites and the queue that the tests of commands begin with: one
// message deferred for two recipients, a bounce deferred, one on hold.
func (l *lab) seed() (ids []string) {
	l.t.Helper()
	l.do("", "site", "add", "shop", "--uid", "4711")
	l.do("", "domain", "add", "shop.example", "--site", "shop")
	l.do("secret\n", "login", "add", "me@shop.example", "--site", "shop")
	l.do("", "route", "set", "late.example", "retry:4.7.1 come back later")
	l.do("", "route", "set", "held.example", "hold:waits for a person")

	settled := make(chan struct{}, 4)
	srv, err := mailcore.Open(l.t.Context(), filepath.Join(l.data, "panelmail.db"), mailcore.Config{
		Hostname: "mail.panel.example",
		Retry:    mailcore.Retry{BackoffMin: time.Hour},
		Observe: func(events []queue.Event) {
			for _, e := range events {
				if e.Kind == queue.Deferred || e.Kind == queue.Held {
					settled <- struct{}{}
				}
			}
		},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	for _, m := range []mailcore.Message{
		{ReversePath: "me@shop.example", Site: "shop", Recipients: []string{"u@late.example", "v@late.example"}},
		{ReversePath: "", Recipients: []string{"w@late.example"}},
		{ReversePath: "me@shop.example", Site: "shop", Recipients: []string{"x@held.example"}},
	} {
		m.Content = strings.NewReader("Subject: seed\n\nseed\n")
		id, err := srv.Submit(l.t.Context(), m)
		if err != nil {
			l.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	ctx, stop := context.WithCancel(l.t.Context())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	for range 4 {
		<-settled
	}
	stop()
	if err := <-done; err != nil {
		l.t.Fatal(err)
	}
	return ids
}

// eachWay runs f on a seeded lab while the server runs, and while it does not.
func eachWay(t *testing.T, f func(t *testing.T, l *lab, ids []string)) {
	for _, running := range []bool{true, false} {
		t.Run(fmt.Sprintf("running %v", running), func(t *testing.T) {
			l := newLab(t)
			ids := l.seed()
			if running {
				l.serve()
			}
			f(t, l, ids)
		})
	}
}

// A step is a command and what it must answer. In the texts ID1 and so on stand
// for queue IDs, and DATE for when the messages arrived.
type step struct {
	args   string // separated by blanks, or by | where an argument has blanks
	stdin  string
	status int
	stdout string
	stderr string // a part of it
}

// steps runs commands one after the other.
func (l *lab) steps(ids []string, all ...step) {
	l.t.Helper()
	masks := []string{}
	for i, id := range ids {
		masks = append(masks, id, fmt.Sprintf("ID%d", i+1))
	}
	mask := strings.NewReplacer(masks...)
	for _, s := range all {
		words := strings.Fields(s.args)
		if strings.Contains(s.args, "|") {
			words = strings.Split(s.args, "|")
		}
		for i, w := range words {
			for j, id := range ids {
				words[i] = strings.ReplaceAll(w, fmt.Sprintf("ID%d", j+1), id)
				w = words[i]
			}
		}
		got := l.run(s.stdin, words...)
		stdout := date.ReplaceAllString(mask.Replace(got.Stdout), "DATE")
		stdout = delay.ReplaceAllString(seq.ReplaceAllString(stdout, `"seq":N`), `"delay":D`)
		if got.Status != s.status || stdout != s.stdout || !strings.Contains(got.Stderr, s.stderr) || s.stderr == "" && got.Stderr != "" {
			l.t.Errorf("%s: exit status %d, want %d\nstderr: %s(want %q)\nstdout (-want +got):\n%s",
				s.args, got.Status, s.status, got.Stderr, s.stderr, cmp.Diff(s.stdout, stdout))
		}
	}
}

var date = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|\b1[78]\d{8}(\.\d{6})?\b`)

var (
	seq   = regexp.MustCompile(`"seq":\d+`)
	delay = regexp.MustCompile(`"delay":[\d.]+`)

	asctime = regexp.MustCompile(`[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}`)
)
