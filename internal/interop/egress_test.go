package interop_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/smtp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// mails submits one message of the panel's site, as one of its programs would:
// over STARTTLS, with the site's login.
func (p *panel) mails(t *testing.T, to string) {
	t.Helper()
	c, err := smtp.Dial(p.submission)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, step := range []func() error{
		func() error { return c.StartTLS(&tls.Config{InsecureSkipVerify: true}) }, // the server's own, made at start
		func() error { return c.Auth(smtp.PlainAuth("", "me@shop.example", "secret", "127.0.0.1")) },
		func() error { return c.Mail("me@shop.example") },
		func() error { return c.Rcpt(to) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "Subject: x\r\n\r\nx\r\n")
	if err := errors.Join(w.Close(), c.Quit()); err != nil {
		t.Fatal(err)
	}
}

// An entry is what these tests read of a line of queue list --json.
type entry struct {
	Queue      string `json:"queue_name"`
	ID         string `json:"queue_id"`
	Recipients []struct {
		Address string `json:"address"`
		Reason  string `json:"delay_reason"`
	} `json:"recipients"`
}

// deferred waits until n recipients in the queue have a reason for it, and
// returns the queue.
func (p *panel) deferred(t *testing.T, n int) []entry {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		all := p.entries(t)
		tried := 0
		for _, e := range all {
			for _, r := range e.Recipients {
				if r.Reason != "" {
					tried++
				}
			}
		}
		if tried >= n {
			return all
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatalf("%d of %d were tried: %+v", tried, n, all)
		}
	}
}

func (p *panel) entries(t *testing.T) []entry {
	t.Helper()
	var all []entry
	d := json.NewDecoder(strings.NewReader(p.do(t, "", "queue", "list", "--json")))
	for d.More() {
		var e entry
		if err := d.Decode(&e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// ways are the transports by which the panel's mail can reach its sink; where no
// route is set the smart host is the way.
func (p *panel) ways(t *testing.T) map[string]string {
	t.Helper()
	next := bracketed(p.sink.Addr)
	for _, transport := range []string{"relaylim", "smtp", "oneshot"} {
		p.do(t, "", "route", "set", transport+".example", transport+":"+next)
	}
	p.do(t, "", "smarthost", "set", "@shop.example", next)
	return map[string]string{
		"you@relaylim.example": "relaylim",
		"you@smtp.example":     "smtp",
		"you@oneshot.example":  "oneshot",
		"you@other.example":    "a smart host",
	}
}

func TestASiteLeavesFromItsSourceByEveryWay(t *testing.T) {
	p := newPanel(t)
	ways := p.ways(t)

	type departure struct{ From, HELO string }
	depart := func() map[string]departure {
		before := p.sink.Count()
		for to := range ways {
			p.mails(t, to)
		}
		got := map[string]departure{}
		for _, m := range p.arrives(t, before+len(ways))[before:] {
			ip, _, _ := strings.Cut(m.Peer, ":")
			got[m.To()[0]] = departure{ip, m.HELO}
		}
		return got
	}
	everywhere := func(d departure) map[string]departure {
		want := map[string]departure{}
		for to := range ways {
			want[to] = d
		}
		return want
	}

	if diff := cmp.Diff(everywhere(departure{"127.0.0.1", "panelmail.test"}), depart()); diff != "" {
		t.Errorf("without a source (-want +got):\n%s", diff)
	}
	p.do(t, "", "source", "set", "shop", "127.0.0.7", "--helo", "out.shop.example")
	if diff := cmp.Diff(everywhere(departure{"127.0.0.7", "out.shop.example"}), depart()); diff != "" {
		t.Errorf("with a source (-want +got):\n%s", diff)
	}
}

func TestASourceThatIsNotOnTheMachineDefersAndNothingLeaves(t *testing.T) {
	p := newPanel(t, `queue.backoff_min = "1h"`, `queue.backoff_max = "2h"`)
	var connections atomic.Int64
	p.sink.Answer = func(verb, _ string) string {
		if verb == "" {
			connections.Add(1)
		}
		return ""
	}
	ways := p.ways(t)
	p.do(t, "", "source", "set", "shop", "192.0.2.77", "--helo", "out.shop.example")
	for to := range ways {
		p.mails(t, to)
	}
	for _, e := range p.deferred(t, len(ways)) {
		r := e.Recipients[0]
		if want := "451 4.4.0 source address 192.0.2.77 is not on this machine"; e.Queue != "deferred" || r.Reason != want {
			t.Errorf("by %s: %+v, want %s", ways[r.Address], e, want)
		}
	}
	if n := connections.Load(); n != 0 || p.sink.Count() != 0 {
		t.Errorf("%d connections, %d messages", n, p.sink.Count())
	}

	p.do(t, "", "source", "set", "shop", "127.0.0.7", "--helo", "out.shop.example")
	p.do(t, "", "queue", "retry", "--all")
	p.arrives(t, len(ways))
	if connections.Load() == 0 {
		t.Error("the connections were not counted")
	}
}
