package transport

import (
	"context"
	"io"
	"time"
)

// A Delivery is one attempt to deliver one message to recipients that share a
// next hop and a reverse-path.
type Delivery struct {
	ID       string    // queue ID of the message
	Envelope Envelope  // its Recipients are those of this attempt only
	Origin   Origin    // who handed the message in
	Attempt  int       // 1 is the first attempt for these recipients
	Arrived  time.Time // when the message was stored
	Size     int64     // octets of content, header included
	Label    string    // what the recipients are filed under in the queue
	Plan     Plan      // set by the [Dispatcher]

	// Open returns the content as stored: CRLF line ends, no bare CR, bare LF
	// or NUL, not dot-stuffed. It may be called more than once; the caller
	// closes what it returns. Reading holds no lock or transaction.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// QueryFor is what a planner is asked about a recipient of a message.
func QueryFor(id string, e *Envelope, r *Recipient, o Origin) Query {
	q := Query{
		ID: id, Sender: e.ReversePath, Recipient: r.Address, Origin: o,
		RequireTLS: e.RequireTLS, TLSOptional: e.TLSOptional,
	}
	if r.ReversePath != "" {
		q.Sender, q.Rewritten = r.ReversePath, true
	}
	return q
}

// All reports the same outcome for every recipient.
func (d *Delivery) All(o Outcome) Report {
	r := make(Report, len(d.Envelope.Recipients))
	for i := range r {
		r[i] = o
	}
	return r
}

// With returns a copy of d under plan p for the recipients with the given
// indexes; nil means all.
func (d *Delivery) With(p Plan, indexes []int) *Delivery {
	c := *d
	c.Plan = p
	if indexes != nil {
		c.Envelope.Recipients = make([]Recipient, len(indexes))
		for i, n := range indexes {
			c.Envelope.Recipients[i] = d.Envelope.Recipients[n]
		}
	}
	return &c
}

// ReversePath is the reverse-path for the wire: that of the first recipient
// if it has its own, else the envelope's.
func (d *Delivery) ReversePath() string {
	if len(d.Envelope.Recipients) > 0 && d.Envelope.Recipients[0].ReversePath != "" {
		return d.Envelope.Recipients[0].ReversePath
	}
	return d.Envelope.ReversePath
}
