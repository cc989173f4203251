package main

import "fmt"

// A workload is what the generator does to a server.
type workload struct {
	Name         string `json:"name"`
	Text         string `json:"text"`
	Messages     int    `json:"messages"`
	Sessions     int    `json:"sessions"`
	Size         int    `json:"octets"`       // of content
	Destinations int    `json:"destinations"` // next hops the messages are spread over
	Held         bool   `json:"held"`         // the destination never answers
	goals        []goal
}

// A goal is a figure to be reached, absolute or as a ratio to the best peer.
type goal struct {
	figure   string // name in [figures]
	relative bool
	atLeast  bool
	value    float64
}

func (g goal) String() string {
	relation, unit := "<=", ""
	if g.atLeast {
		relation = ">="
	}
	if g.relative {
		unit = " x"
	}
	return fmt.Sprintf("%s %s %g%s", g.figure, relation, g.value, unit)
}

// met reports whether a value reaches the goal.
func (g goal) met(v float64) bool {
	if g.atLeast {
		return v >= g.value
	}
	return v <= g.value
}

const kib = 1 << 10

// workloads are all there are, in the order of their names.
func workloads() []workload {
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
