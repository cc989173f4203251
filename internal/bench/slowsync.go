package main

import (
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

//go:embed shim/slowsync.c
var slowSyncSource []byte

// A slowDisk is a shim around fsync and fdatasync that all processes of one
// server load. Programs that go past the C library do not meet it: the count
// tells.
type slowDisk struct {
	library string
	counter string // file
	delay   time.Duration
}

// newSlowDisk compiles the shim into dir.
func newSlowDisk(ctx context.Context, dir string, delay time.Duration) (*slowDisk, error) {
	s := &slowDisk{library: filepath.Join(dir, "slowsync.so"), counter: filepath.Join(dir, "slowsync.count"), delay: delay}
	source := filepath.Join(dir, "slowsync.c")
	if err := os.WriteFile(source, slowSyncSource, 0o644); err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, "gcc", "-shared", "-fPIC", "-O2", "-Wall", "-o", s.library, source, "-ldl").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("compiling the slow disk: %w: %s", err, out)
	}
	return s, os.WriteFile(s.counter, make([]byte, 8), 0o600)
}

// environment is what a server is to find.
func (s *slowDisk) environment() []string {
	return []string{
		"LD_PRELOAD=" + s.library,
		"SLOWSYNC_COUNT=" + s.counter,
		fmt.Sprintf("SLOWSYNC_DELAY=%d", s.delay.Microseconds()),
	}
}

// count is how many calls there were so far.
func (s *slowDisk) count() (int, error) {
	text, err := os.ReadFile(s.counter)
	if err != nil {
		return 0, err
	}
	return int(binary.NativeEndian.Uint64(text)), nil
}

// slowly is the workload on a disk whose syncs take longer, put on a target.
func slowly(t target, delay time.Duration) scenario {
	return scenario{name: t.name + " +" + delay.String(), run: func(ctx context.Context, b *bench, w workload) (figures, error) {
		dir, err := os.MkdirTemp(b.dir, "slow")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		if err := os.Chmod(dir, 0o755); err != nil { // Postfix's daemons load the shim
			return nil, err
		}
		disk, err := newSlowDisk(ctx, dir, delay)
		if err != nil {
			return nil, err
		}
		fast := t.start
		t := target{name: t.name, start: func(ctx context.Context, s scene) (running, error) {
			s.environment = disk.environment()
			return fast(ctx, s)
		}}
		f, err := b.run(ctx, t, w)
		if err != nil {
			return nil, err
		}
		n, err := disk.count()
		if n == 0 && err == nil {
			err = errors.New("the server does not sync, or not by way of the C library")
		}
		f[syncCalls] = float64(n) / float64(w.Messages)
		return f, err
	}}
}

// syncWorkload is P13.
func syncWorkload(b *bench) workload {
	const delay = 2 * time.Millisecond
	w := workload{
		Name: "P13", Text: "4 KiB, 50 sessions: accepted for a held destination; end to end with 2 ms added to every sync",
		Messages: 10_000, Sessions: 50, Size: 4 * kib, Destinations: 1, timeout: 5 * time.Minute,
		goals: []goal{{figure: latency99, value: 40}},
	}
	product := panelmail(b)
	accept := product.scenario()
	run := accept.run
	accept.run = func(ctx context.Context, b *bench, w workload) (figures, error) {
		w.Held = true
		return run(ctx, b, w)
	}
	w.cases = []scenario{accept}
	end := goal{figure: endRate, relative: true, atLeast: true, value: 6}
	for _, t := range []target{postfix("postfix", nil), postfix("postfix-tuned", tuned()), product} {
		s := slowly(t, delay)
		w.cases = append(w.cases, s)
		if t.name == ours {
			end.of = s.name
		} else {
			end.to = append(end.to, s.name)
		}
	}
	w.goals = append(w.goals, end)
	return w
}
