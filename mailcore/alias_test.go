package mailcore_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/mailcore/sites"
)

// A village is a server with two sites, what they have, and the hosts that their
// mail goes to: the store of the mailboxes and the exchanger of out.example.
type village struct {
	t     *testing.T
	lab   *mailtest.Lab
	srv   *mailcore.Server
	store *mailtest.Exchanger
	out   *mailtest.Exchanger
}

// newVillage makes shop.example and bücher.example (hosted), list.example (alias),
// relay.example and listed.example (relay, the latter with a recipient list) of
// the site shop, whose contact is boss@out.example; and other.example of the site
// other, which has none.
func newVillage(t *testing.T, lab *mailtest.Lab, config mailcore.Config) *village {
	t.Helper()
	v := &village{t: t, lab: lab, store: lab.Exchanger("store.example"), out: lab.Domain("out.example")}
	v.srv = lab.Server(config)
	s := v.srv.Sites()
	v.must(s.AddSite(t.Context(), sites.Site{Name: "shop", Contact: "boss@out.example", UIDs: []int{4711}}), s.AddSite(t.Context(), sites.Site{Name: "other", Contact: "ring the bell"}))
	for name, class := range map[string]sites.Class{
		"shop.example": sites.Hosted, "bücher.example": sites.Hosted, "list.example": sites.Alias,
		"relay.example": sites.Relay, "listed.example": sites.Relay,
	} {
		v.must(s.AddDomain(t.Context(), sites.Domain{Name: name, Site: "shop", Class: class}))
	}
	v.must(
		s.AddDomain(t.Context(), sites.Domain{Name: "other.example", Site: "other", Class: sites.Hosted}),
		s.SetRoute(t.Context(), sites.Route{Pattern: "relay.example", Value: "smtp:[store.example]"}),
		s.SetRoute(t.Context(), sites.Route{Pattern: "listed.example", Value: "smtp:[store.example]"}),
		s.AddRecipients(t.Context(), sites.Recipient{Address: "known@listed.example"}),
	)
	return v
}

func (v *village) must(errs ...error) {
	v.t.Helper()
	for _, err := range errs {
		if err != nil {
			v.t.Fatal(err)
		}
	}
}

func (v *village) mailboxes(addrs ...string) {
	v.t.Helper()
	for _, a := range addrs {
		a, disabled := strings.CutPrefix(a, "off ")
		v.must(v.srv.Sites().SetMailbox(v.t.Context(), sites.Mailbox{Address: a, Deliver: "smtp:[store.example]:25", Disabled: disabled}))
	}
}

// aliases sets aliases written as in aliases(5); "off " before one disables it.
func (v *village) aliases(lines ...string) {
	v.t.Helper()
	for _, line := range lines {
		line, disabled := strings.CutPrefix(line, "off ")
		pattern, targets, _ := strings.Cut(line, ": ")
		v.must(v.srv.Sites().SetAlias(v.t.Context(), sites.AliasEntry{Pattern: pattern, Targets: strings.Split(targets, ", "), Disabled: disabled}))
	}
}

// send has a stranger send a message. It returns the replies to RCPT, and who got
// it where.
func (v *village) send(to ...string) (replies, delivered []string) {
	v.t.Helper()
	lines := []string{"EHLO stranger.test", "MAIL FROM:<x@stranger.test> SMTPUTF8"}
	for _, a := range to {
		lines = append(lines, "RCPT TO:<"+a+">")
	}
	delivered = v.delivered(func() {
		all := dialogue(v.t, v.lab, 25, append(lines, "DATA", "Subject: x\r\n\r\nx\r\n.")...)
		replies = all[3 : 3+len(to)]
		if n := queued(v.t, v.srv); !strings.HasPrefix(all[3+len(to)], "354") && n > 0 {
			v.t.Errorf("%v: refused, and %d messages are queued", to, n)
		}
	})
	return replies, delivered
}

// delivered is who got what f sends, and where, in order of name.
func (v *village) delivered(f func()) (all []string) {
	v.t.Helper()
	before := [2]int{len(v.store.Messages()), len(v.out.Messages())}
	f()
	v.lab.Drain(time.Hour)
	for i, x := range []*mailtest.Exchanger{v.store, v.out} {
		name := []string{"store", "out"}[i]
		for _, m := range x.Messages()[before[i]:] {
			for _, r := range m.Recipients {
				all = append(all, name+" "+r)
			}
		}
	}
	slices.Sort(all)
	return all
}

// outcome is who got a message for one recipient, or the reply to RCPT.
func (v *village) outcome(to string) string {
	v.t.Helper()
	replies, delivered := v.send(to)
	if len(delivered) == 0 {
		return replies[0]
	}
	return strings.Join(delivered, ", ")
}

func TestAliasesAndMailboxesAreLookedUpTogetherStepByStep(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		v := newVillage(t, lab, mailcore.Config{})
		v.mailboxes("bob@shop.example", "ann@shop.example", "paused@shop.example", "off closed@shop.example", "keep@shop.example", "joe@bücher.example", "@other.example")
		v.aliases(
			"info@shop.example: bob@shop.example, x@out.example",
			"fwd@shop.example: x@out.example",
			"fwd+vip@shop.example: vip@out.example",
			"exact@shop.example: x+own@out.example",
			"keep@shop.example: keep@shop.example, x@out.example",
			"both@shop.example: x@out.example, fwd@shop.example",
			"two@shop.example: both@shop.example, keep@shop.example",
			"back@shop.example: keep@shop.example",
			"some@shop.example: unknown@listed.example, bob@shop.example, gone@shop.example",
			"none@shop.example: unknown@listed.example, gone@shop.example",
			"itself@list.example: itself@list.example",
			"off paused@shop.example: x@out.example",
			"off gone@shop.example: x@out.example",
			"BIG@shop.example: MixedCase@out.example",
			"@shop.example: all@out.example",
			"@list.example: @out.example",
			"one@relay.example: x@out.example",
		)
		v.aliases("@bücher.example: @shop.example")
		for _, tt := range []struct{ what, to, want string }{
			// semantics of Postfix that we keep
			{"a mailbox", "bob@shop.example", "store bob@shop.example"},
			{"case does not count, and is kept", "Bob@Shop.Example", "store Bob@Shop.Example"},
			{"an alias to several", "info@shop.example", "out x@out.example, store bob@shop.example"},
			{"an alias with an extension before one without", "fwd+vip@shop.example", "out vip@out.example"},
			{"an extension that nothing matches is carried over, as it was written", "fwd+Ext@shop.example", "out x+Ext@out.example"},
			{"but not from a catch-all", "any+ext@shop.example", "out all@out.example"},
			{"an alias that names itself stops there", "keep@shop.example", "out x@out.example, store keep@shop.example"},
			{"with an extension too", "keep+ext@shop.example", "out x+ext@out.example, store keep+ext@shop.example"},
			{"and however it is come to", "back@shop.example", "out x@out.example, store keep@shop.example"},
			{"targets are expanded in turn", "both@shop.example", "out x@out.example"},
			{"two ways to one recipient", "two@shop.example", "out x@out.example, store keep@shop.example"},
			{"@domain keeps the local-part", "any@list.example", "out any@out.example"},
			{"@domain keeps the extension with it", "any+ext@list.example", "out any+ext@out.example"},
			{"an alias pattern in capitals", "big@shop.example", "out MixedCase@out.example"},
			{"an alias in a relay domain", "one@relay.example", "out x@out.example"},
			{"the rest of a relay domain", "two@relay.example", "store two@relay.example"},
			{"a relay domain with a list", "known+ext@listed.example", "store known+ext@listed.example"},
			{"an unknown user of it", "unknown@listed.example", "550 5.1.1 <unknown@listed.example>: Recipient address rejected: User unknown in relay recipient table"},
			{"a domain in U-labels", "joe@bücher.example", "store joe@bücher.example"},
			{"the same in A-labels", "joe@xn--bcher-kva.example", "store joe@xn--bcher-kva.example"},
			{"a catch-all of a domain in U-labels", "bob@bücher.example", "store bob@shop.example"},

			// difference from Postfix: an extension is not hung on another
			{"a target with an extension of its own", "exact+ext@shop.example", "out x+own@out.example"},

			// differences from Postfix: mailboxes are seen by aliases
			{"a mailbox goes before a catch-all alias", "ann@shop.example", "store ann@shop.example"},
			{"and with an extension too", "ann+ext@shop.example", "store ann+ext@shop.example"},
			{"a catch-all takes the rest", "any@shop.example", "out all@out.example"},
			{"a catch-all mailbox", "any@other.example", "store any@other.example"},

			// differences from Postfix: nothing is taken that would be bounced
			{"targets that nobody has are left out", "some@shop.example", "store bob@shop.example"},
			{"if nobody has any, the alias is refused", "none@shop.example", "550 5.1.1 <none@shop.example>: Recipient address rejected: User unknown in relay recipient table"},
			{"an alias domain has no mailbox for who names itself", "itself@list.example", "550 5.1.1 <itself@list.example>: Recipient address rejected: User unknown in virtual alias table"},

			// differences from ApisCP's queries
			{"a disabled alias does not fall to the catch-all", "gone@shop.example", "550 5.1.1 <gone@shop.example>: Recipient address rejected: User unknown in virtual mailbox table"},
			{"nor does it with an extension", "gone+ext@shop.example", "550 5.1.1 <gone+ext@shop.example>: Recipient address rejected: User unknown in virtual mailbox table"},
			{"a disabled mailbox does not fall to the catch-all", "closed@shop.example", "550 5.1.1 <closed@shop.example>: Recipient address rejected: User unknown in virtual mailbox table"},
			{"a disabled alias leaves the mailbox of the address", "paused@shop.example", "store paused@shop.example"},

			// what nobody may use for a route
			{"a percent route", "x%out.example@list.example", "554 5.7.1 <x%out.example@list.example>: Relay access denied"},
			{"a bang route", "out.example!x@shop.example", "554 5.7.1 <out.example!x@shop.example>: Relay access denied"},
			{"a quoted route", `"x@out.example"@list.example`, `554 5.7.1 <"x@out.example"@list.example>: Relay access denied`},
			{"a foreign domain", "x@out.example", "554 5.7.1 <x@out.example>: Relay access denied"},
		} {
			if got := v.outcome(tt.to); got != tt.want {
				t.Errorf("%s: %s: %s, want %s", tt.what, tt.to, got, tt.want)
			}
		}
	})
}

func TestAMailboxAtTheHostNameGetsItsMail(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		v := newVillage(t, lab, mailcore.Config{})
		v.must(v.srv.Sites().AddDomain(t.Context(), sites.Domain{Name: mailtest.Hostname, Site: "shop", Class: sites.Hosted}))
		v.mailboxes("bob@" + mailtest.Hostname)
		if got := v.outcome("bob@" + mailtest.Hostname); got != "store bob@"+mailtest.Hostname {
			t.Error(got)
		}
	})
}

func TestAPersonGetsOneCopyHoweverTheAddressIsWritten(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		v := newVillage(t, lab, mailcore.Config{})
		v.mailboxes("bob@shop.example")
		v.aliases("team@shop.example: bob@shop.example")
		_, got := v.send("bob@shop.example", "BOB@shop.example", "bob@SHOP.example.", `"bob"@shop.example`)
		if len(got) != 1 {
			t.Errorf("%q", got)
		}
		_, got = v.send("team@shop.example", "Team@shop.example")
		if len(got) != 1 {
			t.Errorf("%q", got)
		}
	})
}
