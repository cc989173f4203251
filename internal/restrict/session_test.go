package restrict_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	. "github.com/panelmail/panelmail/internal/restrict"
)

// lavish has thousands of mail exchangers for every domain.
type lavish struct{ Resolver }

// MX implements Resolver.
func (lavish) MX(context.Context, string) ([]string, error) {
	return slices.Repeat([]string{strings.Repeat("x.", 120) + "test."}, 4000), nil
}

func TestWhatASessionRemembersOfTheDNSIsBounded(t *testing.T) {
	p := parse(t, Lists{Sender: "reject_unknown_sender_domain"})
	l := newLab()
	l.Resolver = lavish{l.zone}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	q := stranger()
	for i := range 1000 {
		q.Sender = fmt.Sprintf("a@d%d.test", i)
		if got := said(p.AtRcpt(t.Context(), &l.Session, q)); got != "permit" {
			t.Fatal(got)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := int64(after.HeapAlloc) - int64(before.HeapAlloc); n > 2<<20 {
		t.Errorf("%d KiB for 1,000 senders", n>>10)
	}
	runtime.KeepAlive(l)
}
