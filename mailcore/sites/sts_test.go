package sites_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

func stsEntry(domain, id string) transport.STSEntry {
	now := time.UnixMicro(1_800_000_000_123_456)
	return transport.STSEntry{
		Domain: domain, ID: id, Fetched: now, Used: now.Add(time.Hour),
		Policy: transport.STSPolicy{Mode: transport.STSEnforce, MX: []string{"mx." + domain, "*." + domain}, MaxAge: 24 * time.Hour},
	}
}

func TestAnSTSPolicyIsKeptAndForgotten(t *testing.T) {
	ctx := t.Context()
	f := newFile(t)
	s, err := sites.New(ctx, f)
	must(t, err)
	snap, err := s.Current(ctx)
	must(t, err)
	before := snap.Revision()

	must(t, s.SaveSTS(ctx, stsEntry("x.test", "1")), s.SaveSTS(ctx, stsEntry("y.test", "1")), s.SaveSTS(ctx, stsEntry("x.test", "2")))
	again, err := sites.New(ctx, f)
	must(t, err)
	got, ok, err := again.LoadSTS(ctx, "x.test")
	if diff := cmp.Diff(stsEntry("x.test", "2"), got); diff != "" || !ok || err != nil {
		t.Error(ok, err, diff)
	}
	must(t, s.DeleteSTS(ctx, "x.test"), s.DeleteSTS(ctx, "none.test"))
	if got, ok, err := s.LoadSTS(ctx, "x.test"); ok || err != nil {
		t.Errorf("deleted: %+v, %v", got, err)
	}
	snap, err = s.Reload(ctx)
	must(t, err)
	if snap.Revision() != before {
		t.Error("a policy counts as a change of the settings")
	}
}

func TestSTSPoliciesAreListedByPages(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	for i := range 5 {
		must(t, s.SaveSTS(ctx, stsEntry(fmt.Sprintf("d%d.test", i), "1")))
	}
	var got []string
	for after := ""; ; {
		page, err := s.ListSTS(ctx, after, 2)
		must(t, err)
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			got = append(got, e.Domain)
			after = e.Domain
		}
		got = append(got, "|")
	}
	want := []string{"d0.test", "d1.test", "|", "d2.test", "d3.test", "|", "d4.test", "|"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
