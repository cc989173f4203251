package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// queueShow tells all that is known about a message, also after it has left the
// queue or was given another queue ID.
func queueShow(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	history, err := c.server.Queue().History(ctx, words[0])
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		return err
	}
	id := words[0]
	if len(history) > 0 {
		id = history[len(history)-1].ID
	}
	e, err := c.entry(ctx, id)
	if errors.Is(err, queue.ErrNotFound) && len(history) > 0 {
		return c.showGone(id, history)
	}
	if err != nil {
		return err
	}
	l := listedOf(e)
	for _, h := range history {
		l.History = append(l.History, listedEventOf(h))
	}
	if c.json {
		return c.object(l)
	}
	c.showEntry(e)
	return c.showHistory(history)
}

// showEntry shows a message in the queue.
func (c *call) showEntry(e queue.Entry) {
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(c.stdout, "%-10s %s\n", name, printable(value))
		}
	}
	row("queue ID", e.ID)
	row("state", queueName(e))
	row("size", fmt.Sprintf("%d octets", e.Size))
	row("arrived", instant(e.Arrived))
	row("not before", instant(e.NotBefore))
	row("expires", instant(e.Expires))
	row("sender", senderText(e.Envelope.ReversePath))
	row("origin", originText(e.Origin))
	for i, r := range e.Recipients {
		row("recipient", r.Address)
		row("  sender", e.Envelope.Recipients[i].ReversePath) // of a copy that is sent on
		row("  state", fmt.Sprintf("%v after %d %s", r.State, r.Attempts, plural(r.Attempts, "attempt")))
		if !r.State.Final() {
			row("  due", instant(r.Due))
			row("  lane", r.Lane)
			row("  parked", prefixed("until ", instant(r.Parked), prefixed(": ", r.Reason, "")))
		}
		row("  reason", reason(r))
		row("  given up", r.GivenUp)
	}
}

// instant is a time for people; zero is nothing.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// showHistory shows what happened to a message.
func (c *call) showHistory(history []queue.Event) error {
	if len(history) == 0 {
		return nil
	}
	fmt.Fprintln(c.stdout, "history")
	for _, e := range history {
		fmt.Fprintf(c.stdout, "  %s  %-9s  %s\n", instant(e.Time), e.Kind, printable(eventText(e)))
		for line := range strings.Lines(e.Outcome.Transcript) {
			fmt.Fprintf(c.stdout, "      %s\n", printable(strings.TrimRight(line, "\r\n")))
		}
	}
	return nil
}

// showGone shows a message that is not in the queue any more by its history.
func (c *call) showGone(id string, history []queue.Event) error {
	l := listed{ID: id, State: "gone", Sender: history[0].ReversePath, Site: history[0].Site, Recipients: []listedRecipient{}}
	at := map[string]int{}
	for _, e := range history {
		l.History = append(l.History, listedEventOf(e))
		if e.Kind == queue.Queued {
			l.Size, l.Arrival = e.Size, e.Time.Unix()
		}
		if e.Recipient == "" {
			continue
		}
		i, known := at[e.Recipient]
		if !known {
			i = len(l.Recipients)
			at[e.Recipient] = i
			l.Recipients = append(l.Recipients, listedRecipient{Address: e.Recipient})
		}
		r := &l.Recipients[i]
		r.State, r.Attempts, r.Lane = string(e.Kind), max(r.Attempts, e.Attempt), e.Label
		r.Reason = reason(queue.RecipientEntry{Reply: e.Outcome.Reply, Host: e.Outcome.Host})
	}
	if c.json {
		return c.object(l)
	}
	fmt.Fprintf(c.stdout, "queue ID   %s\nstate      not in the queue any more\nsize       %d octets\nsender     %s\n", l.ID, l.Size, senderText(l.Sender))
	for _, r := range l.Recipients {
		fmt.Fprintf(c.stdout, "recipient  %s\n  state    %s after %d %s\n", printable(r.Address), r.State, r.Attempts, plural(r.Attempts, "attempt"))
		if r.Reason != "" {
			fmt.Fprintf(c.stdout, "  reason   %s\n", printable(r.Reason))
		}
	}
	return c.showHistory(history)
}

func originText(o transport.Origin) string {
	parts := []string{string(o.Via)}
	for _, p := range []string{prefixed("site ", o.Site, ""), prefixed("login ", o.Login, ""), prefixed("client ", o.Client, ""), prefixed("script ", o.Script, "")} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if o.UID >= 0 {
		parts = append(parts, fmt.Sprintf("uid %d", o.UID))
	}
	return strings.Join(parts, ", ")
}

func queueCat(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	content, err := c.server.Queue().Content(ctx, words[0])
	if err != nil {
		return fmt.Errorf("%s: %w", words[0], err)
	}
	defer content.Close()
	_, err = io.Copy(c.stdout, content)
	return err
}
