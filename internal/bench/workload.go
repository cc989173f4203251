package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// A workload is what the generator does to a server.
type workload struct {
	Name         string `json:"name"`
	Text         string `json:"text"`
	Messages     int    `json:"messages"`
	Sessions     int    `json:"sessions"`
	Size         int    `json:"octets"`       // of content
	Destinations int    `json:"destinations"` // next hops the messages are spread over
	Held         bool   `json:"held"`         // the destination never answers
	Signed       bool   `json:"signed"`       // what arrives without a signature does not count
	Extra        int    `json:"extra"`        // recipients of every other message beyond the first
	Rounds       int    `json:"rounds"`       // if 0, five
	goals        []goal

	// cases take turns instead of the targets, if there are any.
	cases []scenario

	timeout time.Duration        // for one run; if 0, two minutes
	arrived func(recipients int) // told of each arrival, if set
}

// A scenario is one of several things that a workload compares, which are not
// one thing done to several servers. It measures once, afresh.
type scenario struct {
	name string
	run  func(context.Context, *bench, workload) (figures, error)
}

// A goal is a figure to be reached, absolute or as a ratio to the best of
// others.
type goal struct {
	figure   string // name in [figures]
	relative bool
	atLeast  bool
	value    float64
	of       string   // whose figure; if "", ours
	to       []string // what it is compared with; if nil, our peers
}

func (g goal) String() string {
	relation, unit := "<=", ""
	if g.atLeast {
		relation = ">="
	}
	if g.relative {
		unit = strings.TrimRight(" x "+strings.Join(g.to, ", "), " ")
	}
	return fmt.Sprintf("%s%s %s %g%s", prefixed(g.of, ": "), g.figure, relation, g.value, unit)
}

// prefixed puts more behind a text that is not empty.
func prefixed(text, more string) string {
	if text == "" {
		return ""
	}
	return text + more
}

// subject is whose figures a goal is about, and others with whose it compares
// them.
func (g goal) subject() string {
	if g.of == "" {
		return ours
	}
	return g.of
}

func (g goal) others() []string {
	if g.to == nil {
		return peers()
	}
	return g.to
}

// met reports whether a value reaches the goal.
func (g goal) met(v float64) bool {
	if g.atLeast {
		return v >= g.value
	}
	return v <= g.value
}

const kib = 1 << 10

// workloads are all there are.
func workloads(b *bench) []workload {
	return append(loads(),
		backlogWorkload(),
		questionsWorkload(),
		signingWorkload(b),
		roundTripWorkload(b),
		fairnessWorkload(),
		growthWorkload(),
		syncWorkload(b),
		killWorkload(),
		outageWorkload(time.Minute),
		blackHoleWorkload(),
		refusalWorkload(),
	)
}

// loads are the workloads that are one load put on each target.
func loads() []workload {
	return []workload{
		{
			Name: "P1", Text: "durable accept, 4 KiB, 50 sessions, destination held",
			Messages: 10_000, Sessions: 50, Size: 4 * kib, Destinations: 1, Held: true,
			goals: []goal{
				{figure: acceptRate, relative: true, atLeast: true, value: 6},
				{figure: latency99, value: 40},
			},
		},
		{
			Name: "P2", Text: "end to end, 4 KiB, 50 sessions, one destination",
			Messages: 10_000, Sessions: 50, Size: 4 * kib, Destinations: 1,
			goals: []goal{
				{figure: endRate, relative: true, atLeast: true, value: 8},
				{figure: cpu, relative: true, value: 0.12},
			},
		},
		{
			Name: "P3", Text: "end to end, 4 KiB, 50 sessions, 1,000 destinations",
			Messages: 10_000, Sessions: 50, Size: 4 * kib, Destinations: 1_000,
			goals: []goal{{figure: endRate, relative: true, atLeast: true, value: 5}},
		},
		{
			Name: "P5", Text: "latency of MAIL to the reply after the final dot, 4 KiB, one session, destination held",
			Messages: 1_000, Sessions: 1, Size: 4 * kib, Destinations: 1, Held: true,
			goals: []goal{{figure: latency50, relative: true, value: 0.5}},
		},
		{
			Name: "P6", Text: "end to end, 100 KiB, 50 sessions, one destination",
			Messages: 2_000, Sessions: 50, Size: 100 * kib, Destinations: 1,
			goals: []goal{{figure: endRate, relative: true, atLeast: true, value: 2.5}},
		},
		{
			Name: "P9", Text: "20 submissions of 50 MiB at once, end to end",
			Messages: 20, Sessions: 20, Size: 50 * kib * kib, Destinations: 1,
			goals: []goal{
				{figure: rss, value: 256},
				{figure: lost, value: 0},
			},
		},
	}
}
