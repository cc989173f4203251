package transporttest

import (
	"context"
	"io"
	"slices"
	"sync"

	"github.com/panelmail/panelmail/transport"
)

// A Recorder is a Transport that reads each message to its end and remembers
// it. It may be used by many goroutines at once; its zero value delivers.
type Recorder struct {
	// Answer is asked for the outcome of each recipient, after the content was
	// read; if nil, the outcome is a reply 250.
	Answer func(d *transport.Delivery, r transport.Recipient) transport.Outcome

	mu   sync.Mutex
	seen []Attempt
}

// An Attempt is what a [Recorder] was given.
type Attempt struct {
	Delivery transport.Delivery // a copy
	Content  string
}

// Deliver implements [transport.Transport]. If the content cannot be read all
// recipients are deferred.
func (x *Recorder) Deliver(ctx context.Context, d *transport.Delivery) transport.Report {
	content, err := readAll(ctx, d)
	if err != nil {
		return d.All(transport.Outcome{Reply: transport.Replyf(451, "4.3.0", "content: %v", err), Local: true})
	}
	kept := *d
	kept.Envelope.Recipients = slices.Clone(d.Envelope.Recipients)
	x.mu.Lock()
	x.seen = append(x.seen, Attempt{Delivery: kept, Content: content})
	x.mu.Unlock()

	report := make(transport.Report, len(d.Envelope.Recipients))
	for i, r := range d.Envelope.Recipients {
		report[i] = transport.Outcome{Reply: transport.Replyf(250, "2.0.0", "Ok"), Host: "recorder.test"}
		if x.Answer != nil {
			report[i] = x.Answer(d, r)
		}
	}
	return report
}

// Attempts is what was seen so far, in order.
func (x *Recorder) Attempts() []Attempt {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.seen)
}

func readAll(ctx context.Context, d *transport.Delivery) (string, error) {
	if d.Open == nil {
		return "", nil
	}
	r, err := d.Open(ctx)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return string(b), err
}
