package transport

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheHopsOfAPlanAreTheElementsOfItsNexthop(t *testing.T) {
	same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	for _, row := range []struct {
		transport, nexthop string
		want               []Hop
	}{
		{"smtp", "Provider.example", []Hop{{Name: "provider.example", MX: true}}},
		{"relay", "[smtp.provider.example]:587", []Hop{{Name: "smtp.provider.example"}}},
		{"smtp", "[192.0.2.1]:2525, a.example:26", []Hop{
			{Name: "192.0.2.1", Addr: netip.MustParseAddr("192.0.2.1")}, {Name: "a.example", MX: true}}},
		{"smtp", "[IPv6:2001:db8::1]", []Hop{{Name: "2001:db8::1", Addr: netip.MustParseAddr("2001:db8::1")}}},
		{"lmtp", "unix:private/dovecot", nil},
		{"error", "5.1.1 no such user", nil},
	} {
		plan := Plan{Definition: Builtin()[row.transport], Nexthop: row.nexthop}
		got, err := plan.Hops()
		if err != nil {
			t.Errorf("%s:%s: %v", row.transport, row.nexthop, err)
		}
		if diff := cmp.Diff(row.want, got, same); diff != "" {
			t.Errorf("%s:%s:\n%s", row.transport, row.nexthop, diff)
		}
	}
	if got, err := (&Plan{Definition: Builtin()["smtp"], Nexthop: "[broken"}).Hops(); err == nil {
		t.Errorf("the hops of a next hop that cannot be read: %v", got)
	}
}

func TestAPlanSaysWhetherItsNexthopIsTheSenders(t *testing.T) {
	routes, err := NewTable("map", func(yield func(string, string) bool) { yield("routed.example", "smtp:[gw.example]") })
	if err != nil {
		t.Fatal(err)
	}
	p := &Planner{Routes: routes}
	for recipient, want := range map[string]bool{"u@routed.example": false, "u@other.example": true} {
		p.SmartHost = "[smart.example]"
		if plan, err := p.Plan(t.Context(), Query{Recipient: recipient}); err != nil || plan.BySender != want {
			t.Errorf("%s: %t, %v; want %t", recipient, plan.BySender, err, want)
		}
	}
	p.SmartHost = ""
	if plan, err := p.Plan(t.Context(), Query{Recipient: "u@other.example"}); err != nil || plan.BySender {
		t.Errorf("to its exchangers by the sender: %t, %v", plan.BySender, err)
	}
}

func TestAPlanErrorTellsATableThatFailedFromOneThatSaysNo(t *testing.T) {
	p := &Planner{
		Routes: RouterFunc(func(_ context.Context, q Query) (Route, string, bool, error) {
			if q.Recipient == "u@broken.example" {
				return Route{}, "", false, errors.New("disk")
			}
			return Route{Transport: "nosuch"}, "", true, nil
		}),
	}
	for recipient, want := range map[string]bool{"u@broken.example": true, "u@other.example": false} {
		_, err := p.Plan(t.Context(), Query{Recipient: recipient})
		var problem *PlanError
		if !errors.As(err, &problem) || problem.LookupFailed() != want {
			t.Errorf("%s: %v; want a look-up that failed: %t", recipient, err, want)
		}
	}
}
