package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
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
}

type laneDepth struct {
	Lane    string `json:"lane"`
	Waiting int    `json:"waiting"`
	Active  int    `json:"active"`
	Hold    int    `json:"hold"`
}

type siteDepth struct {
	Site    string `json:"site"`
	Waiting int    `json:"waiting"`
	Active  int    `json:"active"`
	Hold    int    `json:"hold"`
}

func queueStats(ctx context.Context, c *call) error {
	alert := -1
	if _, err := c.parse(0, 0, func(fs *flag.FlagSet) { fs.IntVar(&alert, "alert-above", -1, "") }); err != nil {
		return err
	}
	s, err := c.server.Queue().Stats(ctx)
	if err != nil {
		return err
	}
	if err := printStats(c, s); err != nil {
		return err
	}
	if alert >= 0 && s.Waiting > alert {
		fmt.Fprintf(c.stderr, "panelmail: %d recipients are waiting, more than %d\n", s.Waiting, alert)
		return errNo
	}
	return nil
}

func printStats(c *call, s queue.Stats) error {
	out := statistics{
		Messages: s.Messages, Size: s.Size, Waiting: s.Waiting, Deferred: s.Deferred, Active: s.Active, Hold: s.Hold,
		Lanes: []laneDepth{}, Sites: []siteDepth{},
	}
	if !s.Oldest.IsZero() {
		out.Oldest = s.Oldest.Unix()
	}
	for _, l := range s.Lanes {
		out.Lanes = append(out.Lanes, laneDepth{l.Label, l.Waiting, l.Active, l.Hold})
	}
	for _, l := range s.Sites {
		out.Sites = append(out.Sites, siteDepth{l.Site, l.Waiting, l.Active, l.Hold})
	}
	if c.json {
		return c.object(out)
	}
	fmt.Fprintf(c.stdout, "%d %s, %d octets; recipients: %d waiting (%d tried before), %d active, %d on hold\n",
		s.Messages, plural(s.Messages, "message"), s.Size, s.Waiting, s.Deferred, s.Active, s.Hold)
	if !s.Oldest.IsZero() {
		fmt.Fprintf(c.stdout, "oldest: %v ago\n", time.Since(s.Oldest).Round(time.Second))
	}
	most := 1
	for _, l := range out.Lanes {
		most = max(most, l.Waiting+l.Active+l.Hold)
	}
	for _, l := range out.Lanes {
		n := l.Waiting + l.Active + l.Hold
		fmt.Fprintf(c.stdout, "%8d  %-40s %s\n", n, l.Lane, strings.Repeat("#", max(1, n*30/most)))
	}
	for _, l := range out.Sites {
		fmt.Fprintf(c.stdout, "%8d  site %s\n", l.Waiting+l.Active+l.Hold, cmp.Or(l.Site, "-"))
	}
	return nil
}
