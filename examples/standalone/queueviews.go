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

// mailq prints the queue as Postfix's mailq does where queue IDs are long, for
// the programs that read that (showq(8), postqueue(1)).
func mailq(ctx context.Context, c *call) error {
	if c.json {
		return queueList(ctx, c)
	}
	var size int64
	n := 0
	for e, err := range c.server.Queue().Entries(ctx, queue.Match{All: true}) {
		if err != nil {
			return err
		}
		if n == 0 {
			fmt.Fprintln(c.stdout, "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------")
		}
		n++
		size += e.Size
		l := listedOf(e)
		sender := l.Sender
		if sender == "" {
			sender = "MAILER-DAEMON"
		}
		mark := map[string]string{"active": "*", "hold": "!"}[l.Queue]
		fmt.Fprintf(c.stdout, "%-17s %8d %s %s\n", l.ID+mark, l.Size, e.Arrived.Local().Format("Mon Jan _2 15:04:05"), sender)
		last := ""
		for _, r := range l.Recipients {
			if r.Reason != last {
				text := cmp.Or(r.Reason, "reason unavailable")
				fmt.Fprintf(c.stdout, "%*s(%s)\n", max(0, 76-len(text)), "", text)
				last = r.Reason
			}
			fmt.Fprintf(c.stdout, "%47s%s\n", "", r.Address)
		}
		fmt.Fprintln(c.stdout)
	}
	if n == 0 {
		_, err := fmt.Fprintln(c.stdout, "Mail queue is empty")
		return err
	}
	requests := "Requests"
	if n == 1 {
		requests = "Request"
	}
	_, err := fmt.Fprintf(c.stdout, "-- %d Kbytes in %d %s.\n", size/1024, n, requests)
	return err
}

// jsonHelp documents the fields of --json.
const jsonHelp = `With --json a list prints one object a line, a single answer one object.

queue list, queue show   queue_name queue_id arrival_time message_size sender
                         recipients[].address .delay_reason .state .attempts .due .lane
                         state site login via uid client script expires
queue hold … delete      messages dry_run
queue stats              messages size waiting deferred active hold oldest
                         lanes[].lane .waiting .active .hold  sites[].site .waiting .active .hold
route list, set          pattern value
route lookup             transport nexthop rule
explain                  transport nexthop source{name ipv4 ipv6 helo} tls credential lane limit
                         because[].part .rule
source list, set         key ipv4 ipv6 helo
smarthost list, set      key nexthop credential
relay list, set          key credential
tls list, set            key level
site list, add           name uids contact suspended
domain list, add         domain site class
login list, add          name site

Times are seconds since 1970, sizes octets.
`
