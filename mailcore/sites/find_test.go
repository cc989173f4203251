package sites_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore/sites"
)

func TestTheFirstStepThatHasAnEntryDecides(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	twoSites(t, s)
	must(t, s.AddDomain(ctx, sites.Domain{Name: "d.example", Site: "a", Class: sites.Hosted}),
		s.SetMailbox(ctx, sites.Mailbox{Address: "box@d.example", Deliver: store}))
	out := []string{"x@out.example"}
	must(t,
		s.SetAliases(ctx, []sites.AliasEntry{
			{Pattern: "fwd+tag@a.example", Targets: out}, {Pattern: "fwd@a.example", Targets: out},
			{Pattern: "both@a.example", Targets: out},
			{Pattern: "box+tag@a.example", Targets: out}, {Pattern: "closed+tag@a.example", Targets: out},
			{Pattern: "paused@a.example", Targets: out, Disabled: true},
			{Pattern: "gone@a.example", Targets: out, Disabled: true},
			{Pattern: "gone+tag@a.example", Targets: out, Disabled: true},
			{Pattern: "@a.example", Targets: out},
			{Pattern: "root", Targets: out}, {Pattern: "u", Targets: out}, {Pattern: "u+tag", Targets: out},
		}),
		s.SetMailbox(ctx, sites.Mailbox{Address: "box@a.example", Deliver: store, MaxSize: 7}),
		s.SetMailbox(ctx, sites.Mailbox{Address: "both@a.example", Deliver: store}),
		s.SetMailbox(ctx, sites.Mailbox{Address: "paused@a.example", Deliver: store}),
		s.SetMailbox(ctx, sites.Mailbox{Address: "closed@a.example", Deliver: store, Disabled: true}),
		s.SetMailbox(ctx, sites.Mailbox{Address: "@b.example", Deliver: store}),
	)
	box := func(addr string) *sites.Mailbox { return &sites.Mailbox{Address: addr, Deliver: store} }
	for _, tt := range []struct {
		recipient string
		atHost    bool
		want      sites.Match
	}{
		{"fwd+tag@a.example", false, sites.Match{Key: "fwd+tag@a.example", Targets: out}},
		{"FWD+Other@A.Example", false, sites.Match{Key: "fwd@a.example", Targets: out, Extension: "other"}},
		{"fwd@a.example", false, sites.Match{Key: "fwd@a.example", Targets: out}},
		{"box+x@a.example", false, sites.Match{Key: "box@a.example", Mailbox: &sites.Mailbox{Address: "box@a.example", Deliver: store, MaxSize: 7}, Extension: "x"}},
		{"box+tag@a.example", false, sites.Match{Key: "box+tag@a.example", Targets: out, Mailbox: &sites.Mailbox{Address: "box@a.example", Deliver: store, MaxSize: 7}}},
		{"closed+tag@a.example", false, sites.Match{Key: "closed+tag@a.example", Targets: out}},
		{"both@a.example", false, sites.Match{Key: "both@a.example", Targets: out, Mailbox: box("both@a.example")}},
		{"paused@a.example", false, sites.Match{Key: "paused@a.example", Mailbox: box("paused@a.example")}},
		{"gone@a.example", false, sites.Match{Key: "gone@a.example"}},
		{"gone+tag@a.example", false, sites.Match{Key: "gone+tag@a.example"}},
		{"gone+more@a.example", false, sites.Match{Key: "gone@a.example", Extension: "more"}},
		{"closed@a.example", false, sites.Match{Key: "closed@a.example"}},
		{"any@a.example", false, sites.Match{Key: "@a.example", Targets: out}},
		{"any+tag@a.example", false, sites.Match{Key: "@a.example", Targets: out}},
		{"any@b.example", false, sites.Match{Key: "@b.example", Mailbox: box("@b.example")}},
		{"any@c.example", false, sites.Match{}},
		{"any@d.example", false, sites.Match{Mailboxes: true}},
		{"root@host.example", false, sites.Match{}},
		{"root@host.example", true, sites.Match{Key: "root", Targets: out}},
		{"Root+x@host.example", true, sites.Match{Key: "root", Targets: out, Extension: "x"}},
		{"u+tag@host.example", true, sites.Match{Key: "u+tag", Targets: out}},
		{"u@a.example", true, sites.Match{Key: "u", Targets: out}}, // before the catch-all
		{"no address", true, sites.Match{}},
	} {
		for _, again := range []string{"", ", remembered"} {
			got, err := s.Find(ctx, tt.recipient, tt.atHost)
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%s, at the host %v%s: %v\n%s", tt.recipient, tt.atHost, again, err, diff)
			}
		}
	}
}

func TestAChangeIsSeenByTheNextLookUp(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	twoSites(t, s)
	find := func() sites.Match {
		t.Helper()
		m, err := s.Find(ctx, "u@a.example", false)
		must(t, err)
		return m
	}
	if find().Found() {
		t.Error("found before it was set")
	}
	must(t, s.SetMailbox(ctx, sites.Mailbox{Address: "u@a.example", Deliver: store}))
	if m := find(); m.Mailbox == nil {
		t.Errorf("set: %+v", m)
	}
	must(t, s.SetAlias(ctx, sites.AliasEntry{Pattern: "u@a.example", Targets: []string{"x@out.example"}}))
	if m := find(); len(m.Targets) != 1 {
		t.Errorf("with an alias: %+v", m)
	}
	must(t, s.RemoveAlias(ctx, "U@a.example"), s.RemoveMailbox(ctx, "U@a.example"))
	if m := find(); m.Found() {
		t.Errorf("removed: %+v", m)
	}
}
