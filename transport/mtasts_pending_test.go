package transport_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
)

// undecided is a [transport.STSFinder] that has not found out yet.
type undecided struct{}

func (undecided) STS(context.Context, string) transport.STSFacts {
	return transport.STSFacts{Pending: true}
}

func TestMailIsHandedBackWhileItsPolicyIsLookedFor(t *testing.T) {
	l := newLab(t)
	x := l.at(t, "192.0.2.1", &exchanger{})
	l.STS = undecided{}
	d := mail("u@x.test", "v@x.test")
	d.Plan.TLSTerms.Published = true
	want := transport.Report{{RetryAfter: 5 * time.Second}, {RetryAfter: 5 * time.Second}}
	got := l.Deliver(t.Context(), d)
	if diff := cmp.Diff(want, got); diff != "" || !got[0].NotTried() {
		t.Error(diff)
	}
	if seen := x.seen(); len(seen) != 0 {
		t.Errorf("connected meanwhile: %+v", seen)
	}
	d.Plan.Nexthop = "gone.test, x.test"
	l.zone.err["MX gone.test"] = servfail("gone.test")
	if got := l.Deliver(t.Context(), d); !got[0].Deferred() {
		t.Errorf("what is known of another next hop is lost: %+v", got)
	}
}
