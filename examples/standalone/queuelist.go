package main

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// listed is a message as printed: the fields of postqueue -j, and ours.
type listed struct {
	Queue      string            `json:"queue_name"`
	ID         string            `json:"queue_id"`
	Arrival    int64             `json:"arrival_time"`
	Size       int64             `json:"message_size"`
	Forced     bool              `json:"forced_expire"` // it is given up and not bounced yet
	Sender     string            `json:"sender"`
	Recipients []listedRecipient `json:"recipients"`
	State      string            `json:"state"`
	Site       string            `json:"site,omitempty"`
	Login      string            `json:"login,omitempty"`
	Via        transport.Via     `json:"via,omitempty"`
	UID        *int              `json:"uid,omitempty"`
	Client     string            `json:"client,omitempty"`
	Script     string            `json:"script,omitempty"`
	NotBefore  int64             `json:"not_before,omitempty"`
	Expires    int64             `json:"expires,omitempty"`
	History    []listedEvent     `json:"history,omitempty"` // queue show
}

type listedRecipient struct {
	Address  string `json:"address"`
	Reason   string `json:"delay_reason,omitempty"`
	State    string `json:"state"`
	Attempts int    `json:"attempts"`
	Due      int64  `json:"due,omitempty"`
	Lane     string `json:"lane,omitempty"`
	Parked   int64  `json:"parked,omitempty"`     // until when nothing is tried in the lane
	Why      string `json:"parked_why,omitempty"` // what made its destination dead
}

func listedOf(e queue.Entry) listed {
	l := listed{
		Queue: queueName(e), ID: e.ID, Arrival: e.Arrived.Unix(), Size: e.Size, Forced: givenUp(e), Sender: e.Envelope.ReversePath,
		State: e.State.String(), Site: e.Origin.Site, Login: e.Origin.Login, Via: e.Origin.Via,
		Client: e.Origin.Client, Script: e.Origin.Script, Expires: e.Expires.Unix(), Recipients: []listedRecipient{},
	}
	if e.Origin.UID >= 0 {
		l.UID = &e.Origin.UID
	}
	if !e.NotBefore.IsZero() {
		l.NotBefore = e.NotBefore.Unix()
	}
	for _, r := range left(e) {
		row := listedRecipient{Address: r.Address, Reason: reason(r), State: r.State.String(), Attempts: r.Attempts, Lane: r.Lane}
		if !r.Due.IsZero() {
			row.Due = r.Due.Unix()
		}
		if !r.Parked.IsZero() {
			row.Parked, row.Why = r.Parked.Unix(), r.Reason
		}
		l.Recipients = append(l.Recipients, row)
	}
	return l
}

// givenUp reports whether there is somebody for whom there will be no other attempt.
func givenUp(e queue.Entry) bool {
	return slices.ContainsFunc(e.Recipients, func(r queue.RecipientEntry) bool { return !r.State.Final() && r.GivenUp != "" })
}

// reason is why a recipient is still here.
func reason(r queue.RecipientEntry) string {
	if r.Held != "" {
		return r.Held
	}
	if r.Reply.Code == 0 {
		return r.Reply.Text
	}
	if r.Host == "" {
		return r.Reply.Error()
	}
	return "host " + r.Host + " said: " + r.Reply.Error()
}

// senderText is a reverse-path for people.
func senderText(path string) string {
	if path == "" {
		return "<>"
	}
	return printable(path)
}

// entries lists the messages that a match selects.
func (c *call) entries(ctx context.Context) func(queue.Match) iter.Seq2[queue.Entry, error] {
	return func(m queue.Match) iter.Seq2[queue.Entry, error] { return c.server.Queue().Entries(ctx, m) }
}

func queueList(ctx context.Context, c *call) error {
	f, err := c.filter(true, nil)
	if err != nil {
		return err
	}
	n := 0
	for e, err := range c.server.Queue().Entries(ctx, f.match) {
		if err != nil {
			return err
		}
		n++
		if err := c.listMessage(e); err != nil {
			return err
		}
	}
	switch {
	case n == 0 && !f.match.All:
		fmt.Fprintln(c.stderr, "no message matches")
		return errNo
	case n == 0 && !c.json:
		fmt.Fprintln(c.stdout, "the queue is empty")
	}
	return nil
}

// listMessage prints a message of a list.
func (c *call) listMessage(e queue.Entry) error {
	l := listedOf(e)
	if c.json {
		return c.object(l)
	}
	var to []string
	for i, r := range l.Recipients {
		text := printable(r.Address)
		if i+1 == len(l.Recipients) || l.Recipients[i+1].Reason != r.Reason { // those that share a reason stand before it
			text += prefixed(" (", printable(r.Reason), ")")
		}
		to = append(to, text)
	}
	_, err := fmt.Fprintf(c.stdout, "%s  %-8s %8d  %s  %s  %s\n", l.ID, l.Queue, l.Size,
		e.Arrived.Format("2006-01-02 15:04:05"), senderText(l.Sender), strings.Join(to, ", "))
	return err
}

func prefixed(before, text, after string) string {
	if text == "" {
		return ""
	}
	return before + text + after
}

// entry finds the message with an ID.
func (c *call) entry(ctx context.Context, id string) (queue.Entry, error) {
	for e, err := range c.server.Queue().Entries(ctx, queue.Match{IDs: []string{id}}) {
		return e, err
	}
	return queue.Entry{}, fmt.Errorf("%s: %w", id, queue.ErrNotFound)
}
