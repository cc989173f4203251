package restrict_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	. "github.com/panelmail/panelmail/internal/restrict"
)

// A zone answers questions from literals, "TYPE name" to words, and counts them. The
// word SERVFAIL is trouble; a word "…" waits for the end of the context.
type zone struct {
	records map[string]string
	asked   map[string]int
}

func newZone(lines ...string) *zone {
	z := &zone{records: map[string]string{}, asked: map[string]int{}}
	for _, line := range lines {
		key, value, _ := strings.Cut(line, " = ")
		z.records[key] = value
	}
	return z
}

func (z *zone) ask(ctx context.Context, kind, name string) ([]string, error) {
	key := kind + " " + name
	z.asked[key]++
	switch text := z.records[key]; text {
	case "SERVFAIL":
		return nil, &net.DNSError{Err: "server misbehaving", Name: name, IsTemporary: true}
	case "…":
		<-ctx.Done()
		return nil, ctx.Err()
	case "":
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	default:
		return strings.Split(text, "|"), nil
	}
}

func (z *zone) addrs(ctx context.Context, kind, name string) (all []netip.Addr, err error) {
	found, err := z.ask(ctx, kind, name)
	for _, text := range found {
		all = append(all, netip.MustParseAddr(text))
	}
	return all, err
}

// MX implements Resolver, and so do the others.
func (z *zone) MX(ctx context.Context, name string) ([]string, error) { return z.ask(ctx, "MX", name) }

func (z *zone) Addrs(ctx context.Context, name string) ([]netip.Addr, error) {
	return z.addrs(ctx, "ADDR", name)
}

func (z *zone) IPv4(ctx context.Context, name string) ([]netip.Addr, error) {
	return z.addrs(ctx, "A", name)
}

func (z *zone) Names(ctx context.Context, addr netip.Addr) ([]string, error) {
	return z.ask(ctx, "PTR", addr.String())
}

func (z *zone) Text(ctx context.Context, name string) ([]string, error) {
	return z.ask(ctx, "TXT", name)
}

// desk is responsible for local.test; it cannot tell for broken.test.
type desk struct{}

func (desk) Ours(_ context.Context, domain string) (bool, error) {
	if domain == "broken.test" {
		return false, fmt.Errorf("disk on fire")
	}
	return domain == "local.test", nil
}

// A lab is one session with what it noted.
type lab struct {
	Session
	zone  *zone
	notes []string
}

func newLab(lines ...string) *lab {
	l := &lab{zone: newZone(lines...)}
	l.Session = Session{Resolver: l.zone, Desk: desk{}, Note: func(list Stage, text string) {
		l.notes = append(l.notes, list.String()+": "+text)
	}}
	return l
}

// stranger is a client that nobody knows, with mail for us.
func stranger() Request {
	return Request{
		Client: netip.MustParseAddr("203.0.113.7"), HELO: "c.example",
		Sender: "a@remote.test", Recipient: "u@local.test",
	}
}

func parse(t *testing.T, l Lists) *Policy {
	t.Helper()
	p, err := Parse(l)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// said is the reply of a verdict as the client sees it, or "permit", or "relay".
func said(v Verdict) string {
	switch {
	case v.Reply != (Reply{}):
		return v.Reply.Error()
	case v.Relay:
		return "relay"
	}
	return "permit"
}
