package main

import (
	"maps"
	"slices"
	"time"
)

// The names of figures.
const (
	acceptRate = "accept/s"   // messages acknowledged a second
	endRate    = "end/s"      // messages that reached the sink, a second
	latency50  = "p50 ms"     // MAIL to the reply after the final dot
	latency99  = "p99 ms"     //
	cpu        = "CPU s/1000" // of the server's processes
	pss        = "PSS MiB"    // highest seen
	rss        = "RSS MiB"    // highest seen
	lost       = "lost"       // acknowledged and never arrived
	twice      = "twice"      // arrivals beyond the first
)

// names is the order in which figures are shown.
var names = []string{acceptRate, endRate, latency50, latency99, cpu, pss, rss, lost, twice}

// figures are the results of one run; a name that is missing was not measured.
type figures map[string]float64

// A spread is a figure over the rounds.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spreadOf summarizes values; there must be one at least.
func spreadOf(values []float64) spread {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return spread{Median: (s[(n-1)/2] + s[n/2]) / 2, Min: s[0], Max: s[n-1]}
}

// summary turns the runs of one target into spreads by figure.
func summary(runs []figures) map[string]spread {
	values := map[string][]float64{}
	for _, f := range runs {
		for name, v := range f {
			values[name] = append(values[name], v)
		}
	}
	result := map[string]spread{}
	for name := range maps.Keys(values) {
		result[name] = spreadOf(values[name])
	}
	return result
}

// quantile returns the value below which the share q of the durations lies, in
// milliseconds. It sorts them.
func quantile(d []time.Duration, q float64) float64 {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return float64(d[int(q*float64(len(d)-1))]) / float64(time.Millisecond)
}

// ratios compares our runs with the best peer's of the same round. For a figure
// that should be small the best is the smallest.
func ratios(g goal, ours []figures, peers [][]figures) []float64 {
	var r []float64
	for round, f := range ours {
		var best float64
		for _, runs := range peers {
			if round >= len(runs) {
				continue
			}
			v := runs[round][g.figure]
			if best == 0 || g.atLeast == (v > best) && v != 0 {
				best = v
			}
		}
		if best != 0 {
			r = append(r, f[g.figure]/best)
		}
	}
	return r
}
