package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/panelmail/panelmail/internal/interop"
)

// measured runs a workload once, small, and returns the figures by row.
func measured(t *testing.T, w workload, messages int) map[string]figures {
	t.Helper()
	b := &bench{dir: t.TempDir()}
	if err := os.Chmod(b.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.forget(); err != nil {
			t.Error(err)
		}
	}()
	w.Messages = messages
	if w.timeout == 0 {
		w.timeout = time.Minute
	}
	runs := map[string]figures{}
	for _, s := range w.cases {
		f, err := s.run(t.Context(), b, w)
		if err != nil {
			t.Fatalf("%s, %s: %v", w.Name, s.name, err)
		}
		for _, g := range w.goals {
			if _, ok := f[g.figure]; g.subject() == s.name && !ok {
				t.Errorf("%s, %s: %q has a goal and is not measured", w.Name, s.name, g.figure)
			}
		}
		for name := range f {
			if !slices.Contains(names(), name) {
				t.Errorf("%s, %s: %q would not be shown", w.Name, s.name, name)
			}
		}
		if f[lost] != 0 {
			t.Errorf("%s, %s: lost %v", w.Name, s.name, f[lost])
		}
		t.Logf("%s, %s: %v", w.Name, s.name, f)
		runs[s.name] = f
	}
	return runs
}

func TestALongQueueIsMeasured(t *testing.T) {
	interop.NeedTime(t)
	for _, f := range measured(t, backlogWorkload(), 2000) {
		if f[endRate] <= 0 || f[firstMail] <= 0 || f[rss] <= 0 || f[twice] != 0 {
			t.Errorf("%v", f)
		}
	}
}

func TestQuestionsToALongQueueAreTimed(t *testing.T) {
	interop.NeedTime(t)
	for name, f := range measured(t, questionsWorkload(), 2000) {
		for _, figure := range []string{listHead, stats, holdSmall, holdLarge} {
			if f[figure] <= 0 {
				t.Errorf("%s: no %s", name, figure)
			}
		}
	}
}

func TestFairnessIsMeasured(t *testing.T) {
	for name, f := range measured(t, fairnessWorkload(), 10_000) {
		if f[behind50] < 1 || f[behindMax] < f[behind50] {
			t.Errorf("%s: %v", name, f)
		}
	}
}

func TestRoundTripsAreCounted(t *testing.T) {
	interop.NeedTime(t)
	w := roundTripWorkload(&bench{})
	w.Destinations, w.cases = 1, []scenario{far(panelmail(&bench{dir: t.TempDir()}), 10*time.Millisecond)}
	f := measured(t, w, 20)[ours]
	if f[trips] < 1 || f[trips] > 6 || f[gap] < f[trips]*10-1 {
		t.Errorf("%v", f)
	}
}

// TestADistanceDelaysAndCountsTurns talks over a distance with replies of one
// octet.
func TestADistanceDelaysAndCountsTurns(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.Copy(c, c)
	}()
	const roundTrip = 20 * time.Millisecond
	d, err := newDistance("127.0.0.1", l.Addr().String(), roundTrip)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c, err := net.Dial("tcp", d.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const rounds = 3
	start := time.Now()
	for range rounds {
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took < rounds*roundTrip {
		t.Errorf("%d round trips took %v", rounds, took)
	}
	if n := d.turns.Load(); n != rounds-1 {
		t.Errorf("%d turns: the first word is none, the others are", n)
	}
}

// passable is a directory that Postfix's users may pass through.
func passable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestASlowDiskIsMetByBothServers(t *testing.T) {
	interop.NeedTime(t)
	interop.Need(t, "gcc")
	interop.Need(t, "postfix")
	interop.NeedRoot(t)
	b := &bench{dir: passable(t)}
	w := syncWorkload(b)
	w.Messages, w.Sessions = 20, 2
	for _, s := range w.cases[2:] {
		f, err := s.run(t.Context(), b, w)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if f[syncCalls] == 0 || f[lost] != 0 {
			t.Errorf("%s: %v", s.name, f)
		}
	}
}

func TestBothServersSign(t *testing.T) {
	interop.NeedTime(t)
	interop.Need(t, "postfix")
	interop.Need(t, "opendkim")
	interop.NeedRoot(t)
	b := &bench{dir: passable(t)}
	w := signingWorkload(b)
	w.Messages, w.Sessions, w.timeout = 20, 2, time.Minute
	for _, s := range w.cases[1:] {
		f, err := s.run(t.Context(), b, w)
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if f[lost] != 0 || f[cpu] == 0 {
			t.Errorf("%s: %v", s.name, f)
		}
	}
}

// TestAServerThatDoesNotSyncIsNotCompared is the control of the one above.
func TestAServerThatDoesNotSyncIsNotCompared(t *testing.T) {
	interop.Need(t, "gcc")
	s := slowly(ceiling(), time.Millisecond)
	w := workload{Messages: 5, Sessions: 1, Size: kib, Destinations: 1, timeout: time.Minute}
	if f, err := s.run(t.Context(), &bench{dir: t.TempDir()}, w); err == nil {
		t.Errorf("%v", f)
	}
}

func TestRepeatsAreCountedForTheKillThatMadeThem(t *testing.T) {
	d := &destinations{}
	d.expect(3)
	come := func(to string) { d.received(interop.Message{Rcpt: []string{"TO:<" + to + "@d.test>"}}) }
	come("u0")
	d.killed()
	come("u0")
	come("u1")
	d.killed()
	d.killed()
	come("u1")
	come("u0")
	f := figures{}
	if d.tally(f); f[twice] != 3 || f[twiceMax] != 2 || f[lost] != 1 {
		t.Errorf("%v", f)
	}
}

func TestKillsAreMeasured(t *testing.T) {
	interop.NeedTime(t)
	if f := measured(t, killWorkload(), 500)[ours]; f[twiceMax] > f[twice] {
		t.Errorf("%v", f)
	}
}

func TestAnOutageIsMeasured(t *testing.T) {
	interop.NeedTime(t)
	w := outageWorkload(time.Second)
	f := measured(t, w, 300)[w.cases[1].name]
	if f[dials] == 0 || f[burst] == 0 || f[peak] == 0 {
		t.Errorf("%v", f)
	}
}

func TestTheBusiestSecondOfAnOutage(t *testing.T) {
	o := &outage{}
	start := time.Now()
	for _, at := range []float64{0, 0.9, 1.5, 1.8, 3} {
		o.connect = append(o.connect, start.Add(time.Duration(at*float64(time.Second))))
	}
	if n, busiest := o.end(); n != 5 || busiest != 60 {
		t.Errorf("%d connections, %v %% of them in the busiest second", n, busiest)
	}
}

func TestBlackHolesSwallowConnections(t *testing.T) {
	h, err := openBlackHoles(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	d := net.Dialer{Timeout: 300 * time.Millisecond}
	for i, addr := range h.addrs() {
		c, err := d.Dial("tcp", addr)
		if silent := i == 0; silent != (err == nil) {
			t.Errorf("connecting to %d: %v", i, err)
		}
		if err == nil {
			c.Close()
		}
	}
}

func TestALoadBesideBlackHolesIsMeasured(t *testing.T) {
	interop.NeedTime(t)
	w := blackHoleWorkload()
	w.Sessions, w.goals, w.cases = 2, nil, []scenario{{"2 black holes", beside(2)}}
	if f := measured(t, w, 50)["2 black holes"]; f[endRate] <= 0 {
		t.Errorf("%v", f)
	}
}

func TestRefusalsAreCounted(t *testing.T) {
	interop.NeedTime(t)
	runs := measured(t, refusalWorkload(), 20)
	if runs["connections"][dials] == 0 || runs["recipients"][tried] != 100 {
		t.Errorf("%v", runs)
	}
}

// TestEachGoalIsAboutSomethingThatRuns keeps names of rows and figures from
// drifting apart.
func TestEachGoalIsAboutSomethingThatRuns(t *testing.T) {
	b := &bench{}
	targets := []target{ceiling(), postfix("postfix", nil), postfix("postfix-tuned", nil), panelmail(b)}
	for _, w := range workloads(b) {
		rows := map[string]bool{}
		for _, s := range w.turns(targets) {
			rows[s.name] = true
		}
		for _, g := range w.goals {
			if !slices.Contains(names(), g.figure) || !rows[g.subject()] {
				t.Errorf("%s: %v", w.Name, g)
			}
			for _, other := range g.others() {
				if g.relative && !rows[other] {
					t.Errorf("%s: %v: no row %s", w.Name, g, other)
				}
			}
		}
	}
}

func TestAGoalComparesTheRowsItNames(t *testing.T) {
	r := result{
		workload: workload{goals: []goal{{figure: endRate, of: "long", relative: true, atLeast: true, value: 0.8, to: []string{"short"}}}},
		Runs:     map[string][]figures{"long": {{endRate: 9}}, "short": {{endRate: 10}}},
	}
	r.judge()
	if len(r.Goals) != 1 || r.Goals[0] != (verdict{Goal: "long: end/s >= 0.8 x short", Reached: spread{0.9, 0.9, 0.9}, Met: true}) {
		t.Errorf("%v", r.Goals)
	}
}

// TestGrowthIsMeasured runs the command: cases are reported like targets.
func TestGrowthIsMeasured(t *testing.T) {
	var out bytes.Buffer
	args := []string{"-json", "-rounds", "2", "-messages", "1000", "-dir", t.TempDir(), "P12"}
	if err := benchmark(context.Background(), args, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	var r struct {
		Results []struct {
			Rounds int
			Runs   map[string][]figures
			Goals  []verdict
		}
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	got := r.Results[0]
	if got.Rounds != 2 || len(got.Runs["short"]) != 2 || len(got.Runs["long"]) != 2 || len(got.Goals) != 2 {
		t.Fatalf("%+v", got)
	}
	for name, runs := range got.Runs {
		if runs[1][cpu] <= 0 || runs[1][wall] <= 0 {
			t.Errorf("%s: %v", name, runs)
		}
	}
}
