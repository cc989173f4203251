package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/interop"
)

func TestASpreadIsMedianAndExtremes(t *testing.T) {
	for _, row := range []struct {
		values []float64
		want   spread
	}{
		{[]float64{3}, spread{3, 3, 3}},
		{[]float64{4, 1}, spread{2.5, 1, 4}},
		{[]float64{9, 1, 2}, spread{2, 1, 9}},
	} {
		if got := spreadOf(row.values); got != row.want {
			t.Errorf("%v: got %v, want %v", row.values, got, row.want)
		}
	}
}

func TestARatioIsToTheBestPeerOfTheSameRound(t *testing.T) {
	ours := []figures{{endRate: 80, cpu: 1}, {endRate: 90, cpu: 2}}
	peers := [][]figures{
		{{endRate: 10, cpu: 5}, {endRate: 20, cpu: 4}},
		{{endRate: 20, cpu: 4}, {endRate: 10, cpu: 5}},
	}
	if diff := cmp.Diff([]float64{4, 4.5}, ratios(goal{figure: endRate, atLeast: true}, ours, peers)); diff != "" {
		t.Errorf("more is better (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]float64{0.25, 0.5}, ratios(goal{figure: cpu}, ours, peers)); diff != "" {
		t.Errorf("less is better (-want +got):\n%s", diff)
	}
	if got := ratios(goal{figure: cpu}, ours, [][]figures{nil, nil}); got != nil {
		t.Errorf("without peers: %v", got)
	}
}

func TestAGoalIsJudgedByTheMedian(t *testing.T) {
	r := result{
		workload: workload{goals: []goal{
			{figure: endRate, relative: true, atLeast: true, value: 4},
			{figure: rss, value: 256},
		}},
		Runs: map[string][]figures{
			"panelmail": {{endRate: 50, rss: 300}, {endRate: 50, rss: 200}, {endRate: 10, rss: 300}},
			"postfix":   {{endRate: 10}, {endRate: 10}, {endRate: 10}},
		},
	}
	r.judge()
	want := []verdict{
		{Goal: "end/s >= 4 x", Reached: spread{5, 1, 5}, Met: true},
		{Goal: "RSS MiB <= 256", Reached: spread{300, 200, 300}, Met: false},
	}
	if diff := cmp.Diff(want, r.Goals); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestContentHasExactlyTheSizeAskedFor(t *testing.T) {
	for size := 1000; size < 1200; size++ {
		c := content(size)
		if len(c) != size || !bytes.HasSuffix(c, []byte("\r\n")) || bytes.Count(c, []byte("\n")) != bytes.Count(c, []byte("\r\n")) {
			t.Fatalf("%d octets instead of %d, ending %q", len(c), size, c[len(c)-4:])
		}
		for line := range strings.Lines(string(c)) {
			if len(line) > 160 {
				t.Fatalf("a line of %d octets", len(line))
			}
		}
	}
}

func TestLossesAndRepeatsAreCounted(t *testing.T) {
	d := destinations{size: 100}
	d.expect(3)
	for _, m := range []interop.Message{
		{Rcpt: []string{"TO:<u0@d.test>"}, Size: 100},
		{Rcpt: []string{"TO:<u0@d.test>"}, Size: 100},
		{Rcpt: []string{"TO:<u1@d.test>"}, Size: 99}, // cut short
		{Rcpt: []string{"TO:<u9@d.test>"}, Size: 100},
		{Rcpt: []string{"TO:<x@d.test>"}, Size: 100},
		{Rcpt: []string{"TO:<u2@d.test>"}, Size: 120},
	} {
		d.received(m)
	}
	f := figures{}
	if d.tally(f); f[lost] != 1 || f[twice] != 1 {
		t.Errorf("%v", f)
	}
	d.received(interop.Message{Rcpt: []string{"TO:<u1@d.test>"}, Size: 100})
	select {
	case <-d.all:
	default:
		t.Error("complete and not said so")
	}
}

func TestTheCeilingLosesNothing(t *testing.T) {
	for _, args := range [][]string{{"P2"}, {"-pipelining", "P2"}, {"P3"}} {
		var out bytes.Buffer
		args = append([]string{"-json", "-rounds", "1", "-messages", "100", "-targets", "ceiling", "-dir", t.TempDir()}, args...)
		if err := benchmark(t.Context(), args, &out, io.Discard); err != nil {
			t.Fatal(err)
		}
		var r struct {
			Results []struct{ Runs map[string][]figures }
		}
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		f := r.Results[0].Runs["ceiling"][0]
		if f[lost] != 0 || f[twice] != 0 || f[acceptRate] <= 0 || f[endRate] <= 0 || f[latency50] <= 0 {
			t.Errorf("%v: %v", args, f)
		}
	}
}

// TestALosingServerIsFoundOut is the benchmark's positive control: a server
// that acknowledges a message and throws it away.
func TestALosingServerIsFoundOut(t *testing.T) {
	hole := &interop.Sink{}
	if err := hole.Start(); err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	loser := target{name: "loser", start: func(context.Context, scene) (running, error) {
		return running{addr: hole.Addr, stop: func() error { return nil }, log: func() string { return "" }}, nil
	}}
	b := bench{dir: t.TempDir()}
	f, err := b.run(t.Context(), loser, workload{Messages: 7, Sessions: 2, Size: 1000, Destinations: 1, timeout: time.Second})
	if err != nil || f[lost] != 7 {
		t.Errorf("%v, %v", f, err)
	}
}

func TestWhatArrivesUnsignedIsLost(t *testing.T) {
	d := destinations{proof: "\r\nDKIM-Signature: "}
	d.expect(3)
	for i, raw := range []string{"DKIM-Signature: v=1\r\nA: 1\r\n\r\n", "A: 1\r\nDKIM-Signature: v=1\r\n\r\n", "A: 1\r\n\r\n"} {
		d.received(interop.Message{Rcpt: []string{fmt.Sprintf("TO:<u%d@d.test>", i)}, Raw: []byte(raw), Size: len(raw)})
	}
	f := figures{}
	if d.tally(f); f[lost] != 1 {
		t.Errorf("%v", f)
	}
}

func TestPostfixIsMeasured(t *testing.T) {
	interop.NeedTime(t)
	interop.Need(t, "postfix")
	interop.NeedRoot(t)
	var out bytes.Buffer
	args := []string{"-rounds", "1", "-messages", "100", "-targets", "postfix,postfix-tuned", "P2", "P3"}
	if err := benchmark(t.Context(), args, &out, io.Discard); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, text := range []string{"postfix-tuned", "CPU s/1000", "0 (0-0)"} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("%q is not in\n%s", text, out.String())
		}
	}
}

func TestTheCommandLineIsChecked(t *testing.T) {
	for _, args := range [][]string{{"P99"}, {"-rounds", "x"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
	if err := benchmark(t.Context(), []string{"-targets", "sendmail"}, io.Discard, io.Discard); err == nil {
		t.Error("an unknown target is taken")
	}
}
