package sites_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore/sites"
)

// twoSites are the sites a and b with a domain of each class: a.example,
// alias.a.example and relay.a.example, and so for b.
func twoSites(t *testing.T, s *sites.Sites) {
	t.Helper()
	for _, name := range []string{"a", "b"} {
		must(t, s.AddSite(t.Context(), sites.Site{Name: name}))
		for prefix, class := range map[string]sites.Class{"": sites.Hosted, "alias.": sites.Alias, "relay.": sites.Relay} {
			must(t, s.AddDomain(t.Context(), sites.Domain{Name: prefix + name + ".example", Site: name, Class: class}))
		}
	}
}

const store = "smtp:[store.example]:24"

func listed[E any](t *testing.T, list func(yield func(E, error) bool)) []E {
	t.Helper()
	all := []E{}
	for e, err := range list {
		must(t, err)
		all = append(all, e)
	}
	return all
}

func TestEntriesAreFoldedAndListedBySite(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	twoSites(t, s)
	must(t,
		s.AddDomain(ctx, sites.Domain{Name: "bücher.example", Site: "a", Class: sites.Hosted}),
		s.SetMailbox(ctx, sites.Mailbox{Address: "Bob@A.Example.", Site: "a", Deliver: store, MaxSize: 1000}),
		s.SetMailbox(ctx, sites.Mailbox{Address: "Jörg@Bücher.example", Deliver: store}),
		s.SetMailbox(ctx, sites.Mailbox{Address: "@b.example", Deliver: store, Disabled: true}),
		s.SetAliases(ctx, []sites.AliasEntry{
			{Pattern: "Info@A.example", Site: "a", Targets: []string{"Bob@A.example", "x@Bücher.example", `"two words"@out.example`}},
			{Pattern: "@alias.b.EXAMPLE", Targets: []string{"@B.example"}, Disabled: true},
			{Pattern: "Root", Targets: []string{"bob", "Admin@out.example"}},
		}),
		s.AddRecipients(ctx, sites.Recipient{Address: "U@relay.a.example", Site: "a"}, sites.Recipient{Address: "u@relay.a.example"}),
	)
	if diff := cmp.Diff([]sites.Mailbox{
		{Address: "@b.example", Site: "b", Deliver: store, Disabled: true},
		{Address: "bob@a.example", Site: "a", Deliver: store, MaxSize: 1000},
		{Address: "jörg@xn--bcher-kva.example", Site: "a", Deliver: store},
	}, listed(t, s.ListMailboxes(ctx, ""))); diff != "" {
		t.Errorf("mailboxes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]sites.AliasEntry{
		{Pattern: "@alias.b.example", Site: "b", Targets: []string{"@b.example"}, Disabled: true},
		{Pattern: "info@a.example", Site: "a", Targets: []string{"Bob@a.example", "x@xn--bcher-kva.example", `"two words"@out.example`}},
		{Pattern: "root", Targets: []string{"bob", "Admin@out.example"}},
	}, listed(t, s.ListAliases(ctx, ""))); diff != "" {
		t.Errorf("aliases (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]sites.Recipient{{Address: "u@relay.a.example", Site: "a"}}, listed(t, s.ListRecipients(ctx, ""))); diff != "" {
		t.Errorf("recipients (-want +got):\n%s", diff)
	}
	of := func(site string) (n []int) {
		return []int{len(listed(t, s.ListMailboxes(ctx, site))), len(listed(t, s.ListAliases(ctx, site))), len(listed(t, s.ListRecipients(ctx, site)))}
	}
	if diff := cmp.Diff([][]int{{2, 1, 1}, {1, 1, 0}}, [][]int{of("a"), of("b")}); diff != "" {
		t.Errorf("numbers by site (-want +got):\n%s", diff)
	}
}

func TestALongListIsReadPageByPageAndWhole(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	twoSites(t, s)
	const n = 1001 // two pages and one
	aliases := make([]sites.AliasEntry, n)
	for i := range aliases {
		aliases[i] = sites.AliasEntry{Pattern: fmt.Sprintf("u%04d@a.example", i), Targets: []string{"x@out.example"}}
	}
	must(t, s.SetAliases(ctx, aliases), s.SetAlias(ctx, sites.AliasEntry{Pattern: "u@b.example", Targets: []string{"x@out.example"}}))
	for _, tt := range []struct {
		site string
		want int
	}{{"", n + 1}, {"a", n}, {"b", 1}, {"c", 0}} {
		got := listed(t, s.ListAliases(ctx, tt.site))
		if len(got) != tt.want {
			t.Errorf("site %q: %d aliases, want %d", tt.site, len(got), tt.want)
		}
		if !slices.IsSortedFunc(got, func(a, b sites.AliasEntry) int { return strings.Compare(a.Pattern, b.Pattern) }) {
			t.Errorf("site %q: not in order", tt.site)
		}
	}
}

func TestEntriesThatCannotBeAreRefusedWithAReason(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	twoSites(t, s)
	box := func(addr, site, deliver string) error {
		return s.SetMailbox(ctx, sites.Mailbox{Address: addr, Site: site, Deliver: deliver})
	}
	alias := func(pattern, site string, targets ...string) error {
		return s.SetAlias(ctx, sites.AliasEntry{Pattern: pattern, Site: site, Targets: targets})
	}
	recipient := func(addr, site string) error {
		return s.AddRecipients(ctx, sites.Recipient{Address: addr, Site: site})
	}
	many := make([]sites.AliasEntry, 100_001)
	for _, tt := range []struct {
		what string
		err  error
		is   error
		text string
	}{
		{"mailbox in a domain of another site", box("u@b.example", "a", store), sites.ErrNotOwner, `"b"`},
		{"mailbox in no domain of ours", box("u@c.example", "a", store), sites.ErrNotFound, `"c.example"`},
		{"mailbox in an alias domain", box("u@alias.a.example", "a", store), sites.ErrInvalid, "class alias"},
		{"mailbox in a relay domain", box("u@relay.a.example", "", store), sites.ErrInvalid, "class relay"},
		{"mailbox without a domain", box("u", "", store), sites.ErrInvalid, "no domain"},
		{"mailbox at no socket", box("u@a.example", "a", "lmtp:unix:../lmtp"), sites.ErrInvalid, "neither an absolute path"},
		{"mailbox at LMTP on port 25", box("u@a.example", "a", "lmtp:[h.example]:25"), sites.ErrInvalid, "RFC 2033"},
		{"mailbox at no store", box("u@a.example", "a", "lmtp:"), sites.ErrInvalid, "needs a next hop"},
		{"mailbox in a Maildir elsewhere", box("u@a.example", "a", "maildir:../u"), sites.ErrInvalid, "below the directory"},
		{"mailbox by no transport", box("u@a.example", "a", "pipe:x"), sites.ErrInvalid, "want maildir:"},
		{"mailbox that is an error", box("u@a.example", "a", "error:x"), sites.ErrInvalid, "want maildir:"},
		{"mailbox at an exchanger of ours", box("u@a.example", "a", "smtp:a.example"), sites.ErrInvalid, "names no host"},
		{"mailbox at no port", box("u@a.example", "a", "smtp:[h]:x"), sites.ErrInvalid, ":x"},
		{"mailbox of negative size", s.SetMailbox(ctx, sites.Mailbox{Address: "u@a.example", Deliver: store, MaxSize: -1}), sites.ErrInvalid, "negative"},
		{"removing no mailbox", s.RemoveMailbox(ctx, "u@a.example"), sites.ErrNotFound, `"u@a.example"`},
		{"alias in a domain of another site", alias("u@b.example", "a", "x@y.example"), sites.ErrNotOwner, `"b"`},
		{"catch-all in a domain of another site", alias("@b.example", "a", "x@y.example"), sites.ErrNotOwner, `"b"`},
		{"a site's alias of a name at the host", alias("root", "a", "x@y.example"), sites.ErrNotOwner, `"root"`},
		{"alias in no domain of ours", alias("u@c.example", "", "x@y.example"), sites.ErrNotFound, `"c.example"`},
		{"alias without targets", alias("u@a.example", "a"), sites.ErrInvalid, "no target"},
		{"alias to a command", alias("u@a.example", "a", "|/bin/cat"), sites.ErrInvalid, "command"},
		{"alias to a quoted command", alias("u@a.example", "a", `"|/bin/cat x"`), sites.ErrInvalid, "command"},
		{"alias to a file", alias("u@a.example", "a", "/var/mail/u"), sites.ErrInvalid, "file"},
		{"alias to a quoted file", alias("root", "", `"/var/mail/two words"`), sites.ErrInvalid, "file"},
		{"alias to an include", alias("u@a.example", "a", ":Include:/etc/list"), sites.ErrInvalid, ":include:"},
		{"alias to a name alone", alias("u@a.example", "a", "root"), sites.ErrInvalid, "no domain"},
		{"alias to a percent route", alias("u@a.example", "a", "x%y.example@z.example"), sites.ErrInvalid, "route"},
		{"alias to a quoted route", alias("u@a.example", "a", `"x@y.example"@z.example`), sites.ErrInvalid, "route"},
		{"alias of a bang route", alias("y.example!u@a.example", "a", "x@z.example"), sites.ErrInvalid, "route"},
		{"alias to @domain and another", alias("@a.example", "a", "@z.example", "x@z.example"), sites.ErrInvalid, "one target"},
		{"alias to a line end", alias("u@a.example", "a", "x@z.example\nroot"), sites.ErrInvalid, "target"},
		{"alias to an escaped name", alias("root", "", `\root`), sites.ErrInvalid, "target"},
		{"alias of an address literal", alias("u@[192.0.2.1]", "", "x@z.example"), sites.ErrInvalid, "literal"},
		{"alias with an overlong target", alias("u@a.example", "a", strings.Repeat("x", 2000)), sites.ErrInvalid, "…"},
		{"alias list that is too long", s.SetAliases(ctx, many), sites.ErrInvalid, "100000"},
		{"alias list as long as can be", s.SetAliases(ctx, many[1:]), sites.ErrInvalid, `alias ""`},
		{"removing no alias", s.RemoveAlias(ctx, "u@a.example"), sites.ErrNotFound, `"u@a.example"`},
		{"recipient in a domain of another site", recipient("u@relay.b.example", "a"), sites.ErrNotOwner, `"b"`},
		{"recipient in a hosted domain", recipient("u@a.example", "a"), sites.ErrInvalid, "class is hosted"},
		{"recipient that is a catch-all", recipient("@relay.a.example", "a"), sites.ErrInvalid, "no address"},
		{"recipient list that is too long", s.AddRecipients(ctx, make([]sites.Recipient, 100_001)...), sites.ErrInvalid, "100000"},
		{"recipient list as long as can be", s.AddRecipients(ctx, make([]sites.Recipient, 100_000)...), sites.ErrInvalid, `recipient ""`},
		{"removing no recipient", s.RemoveRecipient(ctx, "u@relay.a.example"), sites.ErrNotFound, `"u@relay.a.example"`},
		{"dropping no list", s.DropRecipients(ctx, "relay.a.example"), sites.ErrNotFound, `"relay.a.example"`},
	} {
		if !errors.Is(tt.err, tt.is) || !strings.Contains(fmt.Sprint(tt.err), tt.text) {
			t.Errorf("%s: %v, want %v with %s", tt.what, tt.err, tt.is, tt.text)
		}
	}
	if n := len(listed(t, s.ListAliases(ctx, ""))) + len(listed(t, s.ListMailboxes(ctx, ""))) + len(listed(t, s.ListRecipients(ctx, ""))); n != 0 {
		t.Errorf("%d entries were stored", n)
	}
}

func TestTargetsAreTakenUpToOneMebibyte(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	twoSites(t, s)
	// 4,096 lines of 256 octets, the last without a line end.
	targets := make([]string, 4096)
	for i := range targets {
		targets[i] = fmt.Sprintf("%0*d@out.example", 255-len("@out.example"), i)
	}
	targets[0] = "x" + targets[0]
	must(t, s.SetAlias(ctx, sites.AliasEntry{Pattern: "u@a.example", Targets: targets}))
	targets[1] = "x" + targets[1]
	if err := s.SetAlias(ctx, sites.AliasEntry{Pattern: "u@a.example", Targets: targets}); !errors.Is(err, sites.ErrInvalid) {
		t.Errorf("one octet more: %v", err)
	}
}

func TestARecipientListIsInForceUntilItIsDropped(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	twoSites(t, s)
	inForce := func() bool {
		t.Helper()
		d, ok := s.Snapshot().Domain("relay.a.example")
		if !ok {
			t.Fatal("no domain")
		}
		return d.Listed
	}
	before := inForce()
	must(t, s.AddRecipients(ctx, sites.Recipient{Address: "u@relay.a.example"}))
	for addr, want := range map[string]bool{
		"U@Relay.A.example": true, "u+x@relay.a.example": true, "v@relay.a.example": false, "u@relay.b.example": false, "": false,
	} {
		if got, err := s.HasRecipient(ctx, addr); got != want || err != nil {
			t.Errorf("%q: %v, %v", addr, got, err)
		}
	}
	must(t, s.RemoveRecipient(ctx, "u@relay.a.example"))
	emptied := inForce()
	must(t, s.AddRecipients(ctx, sites.Recipient{Address: "v@relay.a.example"}), s.DropRecipients(ctx, "Relay.A.example"))
	if got := []bool{before, emptied, inForce()}; !slices.Equal(got, []bool{false, true, false}) {
		t.Errorf("in force before, when emptied, when dropped: %v", got)
	}
	if n := len(listed(t, s.ListRecipients(ctx, ""))); n != 0 {
		t.Errorf("%d recipients are left", n)
	}
}
