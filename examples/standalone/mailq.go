package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/panelmail/panelmail/queue"
)

// mailq prints the queue for people and for the programs that read this format.
// Who has options for sendmail -bp gives them in vain.
func mailq(ctx context.Context, c *call) error {
	if c.json {
		return queueList(ctx, &call{server: c.server, command: c.command, stdout: c.stdout, stderr: c.stderr, json: true})
	}
	return c.showQueue(ctx)
}

// showQueue prints the queue as Postfix does where queue IDs are long (showq(8),
// postqueue(1)).
func (c *call) showQueue(ctx context.Context) error {
	var size int64
	n := 0
	for e, err := range c.byQueue(c.entries(ctx)) {
		if err != nil {
			return err
		}
		if n == 0 {
			fmt.Fprintln(c.stdout, "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------")
		}
		n++
		size += e.Size
		if err := showMessage(c.stdout, e); err != nil {
			return err
		}
	}
	if n == 0 {
		_, err := fmt.Fprintln(c.stdout, "Mail queue is empty")
		return err
	}
	_, err := fmt.Fprintf(c.stdout, "-- %d Kbytes in %d %s.\n", size/1024, n, plural(n, "Request"))
	return err
}

// showMessage prints one message. A reason stands above the recipients that
// share it, so that its end is near column 76.
func showMessage(w io.Writer, e queue.Entry) error {
	mark := map[string]string{"active": "*", "hold": "!"}[queueName(e)]
	if givenUp(e) {
		mark += "#"
	}
	fmt.Fprintf(w, "%-17s %8d %s %s\n", e.ID+mark, e.Size,
		e.Arrived.Local().Format("Mon Jan _2 15:04:05"), cmp.Or(printable(e.Envelope.ReversePath), "MAILER-DAEMON"))
	last := ""
	for _, r := range left(e) {
		if why := printable(reason(r)); why != last {
			last = why
			text := cmp.Or(why, "reason unavailable")
			fmt.Fprintf(w, "%*s(%s)\n", max(0, 76-len(text)), "", text)
		}
		fmt.Fprintf(w, "%47s%s\n", "", printable(r.Address))
	}
	_, err := fmt.Fprintln(w)
	return err
}

// showJSON prints the queue as postqueue -j: the keys, their order and the
// blanks are Postfix's, because scripts cut the lines up.
func (c *call) showJSON(ctx context.Context) error {
	for e, err := range c.byQueue(c.entries(ctx)) {
		if err != nil {
			return err
		}
		var recipients []string
		for _, r := range left(e) {
			text := `{"address": ` + jsonText(r.Address)
			if why := reason(r); why != "" {
				text += `, "delay_reason": ` + jsonText(why)
			}
			recipients = append(recipients, text+"}")
		}
		_, err := fmt.Fprintf(c.stdout, `{"queue_name": %s, "queue_id": %s, "arrival_time": %d, "message_size": %d, "forced_expire": %t, "sender": %s, "recipients": [%s]}`+"\n",
			jsonText(queueName(e)), jsonText(e.ID), e.Arrived.Unix(), e.Size, givenUp(e), jsonText(e.Envelope.ReversePath), strings.Join(recipients, ", "))
		if err != nil {
			return err
		}
	}
	return nil
}

// jsonText is a string in JSON, without what is no text.
func jsonText(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(printable(s)) // a string can be encoded, and a Builder takes it
	return strings.TrimSuffix(b.String(), "\n")
}
