package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/panelmail/panelmail/queue"
)

func trailCommands() []command {
	return []command{
		{name: "trail", args: "[--site S] [--id ID] [--recipient A] [--after SEQ] [--follow]", short: "every event, oldest first; --follow goes on until interrupted", run: trail},
	}
}

// listedEvent is an event as printed.
type listedEvent struct {
	Seq        int64       `json:"seq"`
	Time       json.Number `json:"time"` // seconds since 1970, with six decimals
	Event      queue.Kind  `json:"event"`
	ID         string      `json:"queue_id"`
	Previous   string      `json:"previous_id,omitempty"`
	Site       string      `json:"site,omitempty"`
	Sender     *string     `json:"sender,omitempty"`
	Recipient  string      `json:"recipient,omitempty"`
	Lane       string      `json:"lane,omitempty"`
	Code       int         `json:"code,omitempty"`
	Status     string      `json:"status,omitempty"`
	Reply      string      `json:"reply,omitempty"`
	Host       string      `json:"host,omitempty"`
	Address    string      `json:"address,omitempty"`
	TLS        *listedTLS  `json:"tls,omitempty"`
	Attempt    int         `json:"attempt,omitempty"`
	Delay      float64     `json:"delay,omitempty"` // seconds
	Due        int64       `json:"due,omitempty"`
	Size       int64       `json:"size,omitempty"`
	Recipients int         `json:"recipients,omitempty"`
	Report     string      `json:"report_id,omitempty"`
	Transcript string      `json:"transcript,omitempty"`
}

// listedTLS is how a connection was protected, as printed.
type listedTLS struct {
	Version string `json:"version"`
	Cipher  string `json:"cipher"`
	Trust   string `json:"trust"`
}

func listedEventOf(e queue.Event) listedEvent {
	o := e.Outcome
	l := listedEvent{
		Seq: e.Seq, Time: json.Number(fmt.Sprintf("%d.%06d", e.Time.Unix(), e.Time.Nanosecond()/1000)), Event: e.Kind, ID: e.ID, Previous: e.Previous,
		Site: e.Site, Sender: &e.ReversePath, Recipient: e.Recipient, Lane: e.Label, Code: o.Reply.Code, Reply: o.Reply.Text,
		Host: o.Host, Address: o.Addr, Attempt: e.Attempt, Delay: e.Delay.Round(time.Millisecond).Seconds(),
		Size: e.Size, Recipients: e.Recipients, Report: e.Report, Transcript: o.Transcript,
	}
	if t := o.TLS; t.Version != "" {
		l.TLS = &listedTLS{t.Version, t.Cipher, string(t.Trust)}
	}
	if o.Reply.Code != 0 {
		l.Status = o.Reply.Status()
	}
	if !e.Due.IsZero() {
		l.Due = e.Due.Unix()
	}
	return l
}

// trail prints events, and with --follow those to come, each at once.
func trail(ctx context.Context, c *call) error {
	var t queue.Trail
	if _, err := c.parse(0, 0, func(fs *flag.FlagSet) {
		fs.StringVar(&t.Site, "site", "", "")
		fs.StringVar(&t.Recipient, "recipient", "", "")
		fs.Int64Var(&t.After, "after", 0, "")
		fs.BoolVar(&t.Follow, "follow", false, "")
		fs.Func("id", "", func(id string) error { t.IDs = append(t.IDs, id); return nil })
	}); err != nil {
		return err
	}
	n := 0
	for e, err := range c.server.Queue().Events(ctx, t) {
		if err != nil {
			return trailEnd(ctx, t, err)
		}
		n++
		if err := c.event(e); err != nil {
			return err
		}
		if !t.Follow {
			continue
		}
		if err := c.flush(); err != nil {
			return err
		}
	}
	if n == 0 && !t.Follow && (len(t.IDs) > 0 || t.Site != "" || t.Recipient != "") {
		fmt.Fprintln(c.stderr, "no event matches")
		return errNo
	}
	return nil
}

// trailEnd is the error that a trail ends with.
func trailEnd(ctx context.Context, t queue.Trail, err error) error {
	switch {
	case t.Follow && ctx.Err() != nil:
		return nil
	case errors.Is(err, queue.ErrPruned):
		return fmt.Errorf("the events after %d are not all kept any more: --after 0 begins with the oldest that is", t.After)
	}
	return err
}

// event prints one event.
func (c *call) event(e queue.Event) error {
	if c.json {
		return c.object(listedEventOf(e))
	}
	_, err := fmt.Fprintf(c.stdout, "%s  %s  %-9s %s\n", e.Time.Local().Format("2006-01-02 15:04:05"), e.ID, e.Kind, printable(eventText(e)))
	return err
}

// eventText says what an event is about.
func eventText(e queue.Event) string {
	var parts []string
	add := func(before, text, after string) {
		if text != "" {
			parts = append(parts, before+text+after)
		}
	}
	switch {
	case e.Kind == queue.Queued:
		parts = append(parts, fmt.Sprintf("from %s, %d octets, %d %s", senderText(e.ReversePath), e.Size, e.Recipients, plural(e.Recipients, "recipient")))
	case e.Kind == queue.Requeued:
		parts = append(parts, "was "+e.Previous)
	}
	add("to ", e.Recipient, "")
	if e.Attempt > 0 && e.Recipient != "" {
		parts = append(parts, fmt.Sprintf("attempt %d", e.Attempt))
	}
	add("(", reason(queue.RecipientEntry{Reply: e.Outcome.Reply, Host: e.Outcome.Host}), ")")
	add("over ", e.Outcome.TLS.String(), "")
	if !e.Due.IsZero() {
		parts = append(parts, "next "+e.Due.Local().Format("15:04:05"))
	}
	add("reported in ", e.Report, "")
	return strings.Join(parts, "  ")
}
