package transport_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/panelmail/panelmail/transport"
)

// egress is what the world sees of a sender.
type egress struct {
	Source transport.Source
	Rules  []string
}

func egressOf(p transport.Plan) egress {
	e := egress{Source: p.Source}
	for _, b := range p.Because {
		if b.Part == "source" || b.Part == "helo" {
			e.Rules = append(e.Rules, b.Rule)
		}
	}
	return e
}

// bySite gives every site a source of its own, and looks at all a Sourcer is
// told.
func bySite(_ context.Context, q transport.Query) (transport.Source, string, bool, error) {
	if q.Recipient != "" {
		return transport.Source{}, "", false, fmt.Errorf("a sourcer was told of %s", q.Recipient)
	}
	key := q.Sender + "/" + q.Origin.Site
	return transport.Source{Name: key, HELO: key}, "source: " + key, q.Origin.Site != "", nil
}

// Invariant 12, routing and egress compose: whatever the transport map says, or
// the smart host, the source is the same.
func TestRoutesNeverChangeTheSource(t *testing.T) {
	values := []string{
		"smtp:", "relaylim:", "oneshot:[h]:26", ":[h]", ":", "relay", "error:no", "retry:", "discard:", "hold:", "smtp:a, [b]",
	}
	patterns := []string{"u+x@a.test", "u@a.test", "a.test", ".a.test", ".test", "*"}
	rapid.Check(t, func(t *rapid.T) {
		q := transport.Query{
			Sender:    rapid.SampledFrom([]string{"", "s@site.test", "v@other.test"}).Draw(t, "sender"),
			Recipient: rapid.SampledFrom([]string{"u@a.test", "u+x@a.test", "v@b.a.test", "w@c.test"}).Draw(t, "recipient"),
			Origin:    transport.Origin{Site: rapid.SampledFrom([]string{"", "one", "two"}).Draw(t, "site")},
		}
		var text strings.Builder
		for _, pattern := range patterns {
			if rapid.Bool().Draw(t, pattern) {
				fmt.Fprintln(&text, pattern, rapid.SampledFrom(values).Draw(t, "value"))
			}
		}
		table, err := transport.ParseMap("map", strings.NewReader(text.String()))
		if err != nil {
			t.Fatal(err)
		}
		plain := &transport.Planner{Sources: transport.SourcerFunc(bySite)}
		routed := &transport.Planner{Sources: transport.SourcerFunc(bySite), Routes: table}
		if rapid.Bool().Draw(t, "smart host") {
			routed.SmartHost = "[smart]:587"
		}
		want, err := plain.Plan(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		got, err := routed.Plan(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(egressOf(want), egressOf(got), cmpopts.EquateComparable(transport.Source{})); diff != "" {
			t.Fatalf("with the map\n%s%s", text.String(), diff)
		}
		everyPartHasARule(t, got)
		if again, _ := routed.Plan(t.Context(), q); !cmp.Equal(got, again, cmpopts.EquateComparable(transport.Source{})) {
			t.Fatal("a second plan is another one")
		}
	})
}

func everyPartHasARule(t *rapid.T, p transport.Plan) {
	var parts []string
	for _, b := range p.Because {
		if b.Rule == "" {
			t.Fatalf("%s has no rule", b.Part)
		}
		parts = append(parts, b.Part)
	}
	slices.Sort(parts)
	want := []string{"attempts", "credential", "helo", "lane", "limit", "nexthop", "schedule", "source", "tls", "transport"}
	if diff := cmp.Diff(want, parts); diff != "" {
		t.Fatal(diff)
	}
}
