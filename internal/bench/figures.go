package main

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// The names of figures.
const (
	acceptRate = "accept/s"    // messages acknowledged a second
	endRate    = "end/s"       // messages that reached the sink, a second
	latency50  = "p50 ms"      // MAIL to the reply after the final dot
	latency99  = "p99 ms"      //
	firstMail  = "first s"     // start of the server to the first arrival
	trips      = "trips"       // round trips of the network for one message
	tripsMore  = "trips/rcpt"  // for each recipient of it after the first
	gap        = "ms/msg"      // from one arrival to the next
	behind50   = "behind p50"  // deliveries of a lane until a new message has its own, that included
	behindMax  = "behind max"  //
	cpu        = "CPU s/1000"  // of the server's processes
	wall       = "wall s/1000" // time that passes for 1,000 messages
	readIn     = "KiB in/msg"  // read from files, cached or not
	writtenTo  = "KiB out/msg" // written to files
	pss        = "PSS MiB"     // highest seen
	rss        = "RSS MiB"     // highest seen
	syncCalls  = "syncs/msg"   // calls of fsync and fdatasync, as counted by the shim
	listHead   = "list s"      // queue list | head
	stats      = "stats s"     // queue stats
	holdSmall  = "hold s"      // queue hold --site, a site with a thousandth of the queue
	holdLarge  = "hold 1/10 s" // the same, with a tenth of the queue
	stopping   = "stop s"      // the server is told to end, and has
	starting   = "start s"     // start of the server to its greeting
	waited     = "wait s"      // the destination is back until its first mail
	peak       = "peak"        // transactions at the destination at once, at most
	dials      = "dials"       // connections tried
	dialsAgain = "after retry" // connections tried after queue retry
	burst      = "burst %"     // of all connections tried, in the busiest second
	tried      = "tried %"     // of the messages
	lost       = "lost"        // acknowledged and never arrived
	twice      = "twice"       // arrivals beyond the first
	twiceMax   = "twice/kill"  // the most that one kill caused
)

// names is the order in which figures are shown.
func names() []string {
	return []string{
		acceptRate, endRate, latency50, latency99, firstMail, trips, tripsMore, gap, behind50, behindMax,
		cpu, wall, readIn, writtenTo, pss, rss, syncCalls, listHead, stats, holdSmall, holdLarge, stopping, starting,
		waited, peak, dials, dialsAgain, burst, tried, lost, twice, twiceMax,
	}
}

// figures are the results of one run; a name that is missing was not measured.
type figures map[string]float64

// String is the figures on one line, in the order of names.
func (f figures) String() string {
	var parts []string
	for _, name := range names() {
		if v, ok := f[name]; ok {
			parts = append(parts, name+" "+number(v))
		}
	}
	return strings.Join(parts, ", ")
}

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
