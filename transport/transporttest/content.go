package transporttest

import (
	"context"
	"io"
	"strings"
	"sync/atomic"

	"github.com/panelmail/panelmail/transport"
)

// Content is the content of a message. Its Open is fit for
// [transport.Delivery]. It may be used by many goroutines at once.
type Content struct {
	Text string // header and body, with CRLF line ends
	Err  error  // what Open fails with; if nil, it does not fail

	opened, open atomic.Int64
}

// Open returns a reader of the text.
func (c *Content) Open(context.Context) (io.ReadCloser, error) {
	c.opened.Add(1)
	if c.Err != nil {
		return nil, c.Err
	}
	c.open.Add(1)
	return &reader{Reader: strings.NewReader(c.Text), of: c}, nil
}

// Opened is how often Open was called.
func (c *Content) Opened() int { return int(c.opened.Load()) }

// Unclosed is how many readers are open.
func (c *Content) Unclosed() int { return int(c.open.Load()) }

type reader struct {
	io.Reader
	of     *Content
	closed atomic.Bool
}

func (r *reader) Close() error {
	if !r.closed.Swap(true) {
		r.of.open.Add(-1)
	}
	return nil
}

// Delivery is the first attempt to deliver content to recipients, by smtp to
// the next hop dest.test, from the reverse-path sender@site.test.
func Delivery(c *Content, recipients ...string) *transport.Delivery {
	d := &transport.Delivery{
		ID:       "TEST1",
		Envelope: transport.Envelope{ReversePath: "sender@site.test"},
		Origin:   transport.Origin{Site: "site", Via: transport.ViaAPI, UID: -1},
		Attempt:  1,
		Size:     int64(len(c.Text)),
		Label:    "/dest.test",
		Plan: transport.Plan{
			Transport:   "smtp",
			Definition:  transport.Builtin()["smtp"],
			Nexthop:     "dest.test",
			TLS:         transport.TLSMay,
			Limit:       20,
			Destination: "dest.test",
			Lane:        "/dest.test",
		},
		Open: c.Open,
	}
	for _, r := range recipients {
		d.Envelope.Recipients = append(d.Envelope.Recipients, transport.Recipient{Address: r})
	}
	return d
}
