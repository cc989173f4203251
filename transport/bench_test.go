package transport_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/transport"
)

func BenchmarkLookup(b *testing.B) {
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, "d%d.test smtp:[h%d]\n", i, i)
	}
	table, err := transport.ParseMap("map", strings.NewReader(text.String()))
	if err != nil {
		b.Fatal(err)
	}
	for _, address := range []string{"user@d5.test", "user+ext@a.b.other.test"} {
		b.Run(address, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table.Lookup(address)
			}
		})
	}
}

func BenchmarkPlan(b *testing.B) {
	table, err := transport.ParseMap("map", strings.NewReader(".ru oneshot:\n"))
	if err != nil {
		b.Fatal(err)
	}
	p := &transport.Planner{Routes: table, Sources: sourceIs(loopback7)}
	q := transport.Query{Sender: "s@site.test", Recipient: "user@other.test"}
	b.Run("Plan", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.Plan(b.Context(), q); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Label", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.Label(b.Context(), q)
		}
	})
}
