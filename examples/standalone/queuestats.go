package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/panelmail/panelmail/queue"
)

// statistics is queue stats as printed.
type statistics struct {
	Messages int         `json:"messages"`
	Size     int64       `json:"size"`
	Waiting  int         `json:"waiting"`
	Deferred int         `json:"deferred"`
	Active   int         `json:"active"`
	Hold     int         `json:"hold"`
	Oldest   int64       `json:"oldest,omitempty"`
	Lanes    []laneDepth `json:"lanes"`
	Sites    []siteDepth `json:"sites"`
	Flow     []flow      `json:"flow"`
	Ages     []laneAges  `json:"ages,omitempty"`
}

type laneDepth struct {
	Lane    string `json:"lane"`
	Waiting int    `json:"waiting"`
	Active  int    `json:"active"`
	Hold    int    `json:"hold"`
	Due     int64  `json:"due,omitempty"`
	Parked  int64  `json:"parked,omitempty"`
	Why     string `json:"parked_why,omitempty"`
}

func (l laneDepth) total() int { return l.Waiting + l.Active + l.Hold }

type siteDepth struct {
	Site    string `json:"site"`
	Waiting int    `json:"waiting"`
	Active  int    `json:"active"`
	Hold    int    `json:"hold"`
}

// flow is what became of recipients in the last minute, hour and day.
type flow struct {
	Site   string `json:"site"`
	Lane   string `json:"lane"`
	Minute counts `json:"minute"`
	Hour   counts `json:"hour"`
	Day    counts `json:"day"`
}

type counts struct {
	Delivered int `json:"delivered"`
	Deferred  int `json:"deferred"`
	Bounced   int `json:"bounced"`
}

func (n *counts) add(more queue.Counts) {
	n.Delivered, n.Deferred, n.Bounced = n.Delivered+more.Delivered, n.Deferred+more.Deferred, n.Bounced+more.Bounced
}

// laneAges counts recipients by age, as the bounds of ageBounds say.
type laneAges struct {
	Lane  string `json:"lane"`
	Count []int  `json:"count"`
}

// ageBounds are those of the columns of an age table, in minutes.
func ageBounds() []time.Duration {
	var all []time.Duration
	for minutes := 5; minutes <= 1280; minutes *= 2 {
		all = append(all, time.Duration(minutes)*time.Minute)
	}
	return all
}

func queueStats(ctx context.Context, c *call) error {
	alert, ages := -1, false
	if _, err := c.parse(0, 0, func(fs *flag.FlagSet) {
		fs.IntVar(&alert, "alert-above", -1, "")
		fs.BoolVar(&ages, "ages", false, "")
	}); err != nil {
		return err
	}
	s, err := c.server.Queue().Stats(ctx)
	if err != nil {
		return err
	}
	out := statisticsOf(s)
	if ages {
		all, err := c.server.Queue().Ages(ctx, ageBounds()...)
		if err != nil {
			return err
		}
		for _, l := range all {
			out.Ages = append(out.Ages, laneAges{l.Label, l.Count})
		}
	}
	if c.json {
		err = c.object(out)
	} else {
		err = c.printStatistics(out, s)
	}
	if err != nil {
		return err
	}
	if alert >= 0 && s.Waiting > alert {
		fmt.Fprintf(c.stderr, "panelmail: %d recipients are waiting, more than %d\n", s.Waiting, alert)
		return errNo
	}
	return nil
}

func statisticsOf(s queue.Stats) statistics {
	out := statistics{
		Messages: s.Messages, Size: s.Size, Waiting: s.Waiting, Deferred: s.Deferred, Active: s.Active, Hold: s.Hold,
		Lanes: []laneDepth{}, Sites: []siteDepth{}, Flow: []flow{},
	}
	if !s.Oldest.IsZero() {
		out.Oldest = s.Oldest.Unix()
	}
	for _, l := range s.Lanes {
		d := laneDepth{Lane: l.Label, Waiting: l.Waiting, Active: l.Active, Hold: l.Hold, Why: l.Reason}
		if !l.Due.IsZero() {
			d.Due = l.Due.Unix()
		}
		if !l.Parked.IsZero() {
			d.Parked = l.Parked.Unix()
		}
		out.Lanes = append(out.Lanes, d)
	}
	for _, l := range s.Sites {
		out.Sites = append(out.Sites, siteDepth{l.Site, l.Waiting, l.Active, l.Hold})
	}
	for _, f := range s.Flow {
		out.Flow = append(out.Flow, flow{f.Site, f.Label, counts(f.Minute), counts(f.Hour), counts(f.Day)})
	}
	return out
}

// printStatistics prints numbers for people: the queue, its fullest
// destinations and sites, and what happened lately.
func (c *call) printStatistics(out statistics, s queue.Stats) error {
	fmt.Fprintf(c.stdout, "%d %s, %d octets; recipients: %d waiting (%d tried before), %d active, %d on hold\n",
		out.Messages, plural(out.Messages, "message"), out.Size, out.Waiting, out.Deferred, out.Active, out.Hold)
	if !s.Oldest.IsZero() {
		fmt.Fprintf(c.stdout, "oldest: %v ago\n", time.Since(s.Oldest).Round(time.Second))
	}
	most := 1
	for _, l := range out.Lanes {
		most = max(most, l.total())
	}
	some(c, out.Lanes, "destinations", func(l laneDepth) {
		parked := ""
		if l.Parked != 0 {
			parked = "  rests until " + time.Unix(l.Parked, 0).Format("15:04:05") + prefixed(": ", printable(l.Why), "")
		}
		fmt.Fprintf(c.stdout, "%8d  %-40s %s%s\n", l.total(), printable(l.Lane), strings.Repeat("#", max(1, l.total()*30/most)), parked)
	})
	some(c, out.Sites, "sites", func(l siteDepth) {
		fmt.Fprintf(c.stdout, "%8d  site %s\n", l.Waiting+l.Active+l.Hold, cmp.Or(printable(l.Site), "-"))
	})
	c.printFlow(s.Flow)
	return c.printAges(out.Ages)
}

// atMost is how many lines of each kind statistics have.
const atMost = 20

// some prints the first of a list, and how many others there are.
func some[T any](c *call, all []T, what string, line func(T)) {
	for i, x := range all {
		if i == atMost {
			fmt.Fprintf(c.stdout, "          and %d more %s: --json has all\n", len(all)-atMost, what)
			return
		}
		line(x)
	}
}

// printFlow prints what became of recipients lately, over all sites and
// destinations, if anything did.
func (c *call) printFlow(all []queue.FlowStats) {
	if len(all) == 0 {
		return
	}
	var minute, hour, day counts
	for _, f := range all {
		minute.add(f.Minute)
		hour.add(f.Hour)
		day.add(f.Day)
	}
	fmt.Fprintf(c.stdout, "%-12s %9s %9s %9s\n", "in the last", "delivered", "deferred", "bounced")
	for _, w := range []struct {
		name string
		n    counts
	}{{"minute", minute}, {"hour", hour}, {"day", day}} {
		fmt.Fprintf(c.stdout, "  %-10s %9d %9d %9d\n", w.name, w.n.Delivered, w.n.Deferred, w.n.Bounced)
	}
}

// printAges prints recipients by destination and age in minutes, as qshape(1)
// does by domain.
func (c *call) printAges(all []laneAges) error {
	if len(all) == 0 {
		return nil
	}
	bounds := ageBounds()
	total := laneAges{Lane: "TOTAL", Count: make([]int, len(bounds)+1)}
	for _, l := range all {
		for i, n := range l.Count {
			total.Count[i] += n
		}
	}
	header := fmt.Sprintf("%40s %7s", "", "T")
	for _, b := range bounds {
		header += fmt.Sprintf(" %6d", int(b.Minutes()))
	}
	fmt.Fprintf(c.stdout, "%s %6d+\n", header, int(bounds[len(bounds)-1].Minutes()))
	some(c, slices.Concat([]laneAges{total}, all), "destinations", func(l laneAges) {
		sum := 0
		for _, n := range l.Count {
			sum += n
		}
		fmt.Fprintf(c.stdout, "%40s %7d", printable(l.Lane), sum)
		for _, n := range l.Count {
			fmt.Fprintf(c.stdout, " %6d", n)
		}
		fmt.Fprintln(c.stdout)
	})
	return nil
}
