package transport_test

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/panelmail/panelmail/transport"
)

func TestOneshotFailsForTheHostAndNeverForTroubleOfOurs(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(l *lab, d *transport.Delivery, p *transport.Planner)
		want  string
	}{
		"greylisted": {func(*lab, *transport.Delivery, *transport.Planner) {},
			"failed 451 4.7.1 later by mx.x.test"},
		"nobody listens": {func(l *lab, d *transport.Delivery, p *transport.Planner) {
			l.zone.addrs["mx.x.test"] = []string{"192.0.2.9"}
		},
			"failed 451 4.4.1 connect to mx.x.test[192.0.2.9]:25: connection refused, destination"},
		"our disk": {func(l *lab, d *transport.Delivery, p *transport.Planner) {
			d.Open = func(context.Context) (io.ReadCloser, error) { return nil, errors.New("input/output error") }
		}, "deferred 451 4.3.0 the stored message cannot be read, local"},
		"our DNS": {func(l *lab, d *transport.Delivery, p *transport.Planner) {
			l.zone.err["MX x.test"] = servfail("x.test")
		},
			"deferred 451 4.4.3 Host or domain name not found. Name service error for name=x.test type=MX: Host not found, try again, local"},
		"our source": {func(l *lab, d *transport.Delivery, p *transport.Planner) {
			p.Sources = sourceIs(transport.Source{IPv6: netip.MustParseAddr("2001:db8::1")})
		}, "local"},
		"our tables": {func(l *lab, d *transport.Delivery, p *transport.Planner) { p.DefaultTLS = "unknown" },
			"local"},
	} {
		l := newLab(t)
		l.at(t, "192.0.2.1", &exchanger{answer: func(line string) string {
			if strings.HasPrefix(line, "RCPT") {
				return "451 4.7.1 later"
			}
			return ""
		}})
		d := mail("u@x.test")
		planner := &transport.Planner{Routes: routeIs("oneshot:")}
		tt.spoil(l, d, planner)
		x := &transport.Dispatcher{Planner: planner, Transports: map[string]transport.Transport{"smtp": l.SMTP}}
		d.Attempt = 1
		o := x.Deliver(t.Context(), d)[0]
		if got := short(o); got != tt.want && (tt.want != "local" || !o.Local || !o.Deferred()) {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestATransportWithALimitLeavesNoConnectionBesideItsOwn(t *testing.T) {
	for limit, want := range map[int]string{1: "QUIT", 0: "."} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t)
			x := l.at(t, "192.0.2.1", &exchanger{})
			for _, helo := range []string{"one.test", "two.test"} {
				d := mail("u@x.test")
				d.Plan.Source = transport.Source{HELO: helo}
				d.Plan.Definition.Limit = limit
				l.deliver(d)
			}
			synctest.Wait()
			first := x.seen()[0].Commands
			if last := first[len(first)-1]; (last == "QUIT") != (want == "QUIT") {
				t.Errorf("limit %d: the first connection ended with %q", limit, first)
			}
		})
	}
}
