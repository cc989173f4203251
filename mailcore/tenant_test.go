package mailcore_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

// twoSites are a site with a source, a credential and a smart host of its own,
// and one whose mail goes to a host of its own. It returns that host, and the
// smart host of the first.
func twoSites(t *testing.T, lab *mailtest.Lab, srv *mailcore.Server) (hostOfB, smartOfA *mailtest.Exchanger) {
	t.Helper()
	own := netip.MustParseAddr("198.51.100.7")
	lab.Local(own)
	hostOfB, smartOfA = lab.Exchanger("mail.b.example"), lab.Exchanger("smart.a.example")
	hostOfB.OfferTLS()
	smartOfA.OfferTLS()
	smartOfA.Require("alice", "canary-password")
	addSite(t, srv, "a", "a.example")
	addSite(t, srv, "b", "b.example")
	route(t, srv, "b.example", "smtp:[mail.b.example]")
	canary := transport.Credential{User: "alice", Password: "canary-password"}
	for _, err := range []error{
		srv.Sites().SetSource(t.Context(), sites.Source{Key: "a", IPv4: own, HELO: "out.a.example"}),
		srv.Sites().SetSmartHost(t.Context(), sites.SmartHost{Key: "a", Nexthop: "[smart.a.example]"}),
		srv.Sites().SetCredential(t.Context(), sites.Credential{Key: "@a.example", Credential: canary}),
		srv.Sites().AddDomain(t.Context(), sites.Domain{Name: "relayed.example", Site: "b", Class: sites.Relay}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return hostOfB, smartOfA
}

func TestAForgedSenderOpensNothingOfTheSiteItNames(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{})
		hostOfB, smartOfA := twoSites(t, lab, srv)
		relayed := lab.Domain("relayed.example")
		for _, to := range []string{"bob@b.example", "x@relayed.example"} {
			replies := dialogue(t, lab, 25, "EHLO stranger.test", "MAIL FROM:<forged@a.example>", "RCPT TO:<"+to+">", "DATA", "Subject: x\r\n\r\nx\r\n.")
			if got := replies[5]; !strings.HasPrefix(got, "250 ") {
				t.Fatalf("%s: %s", to, got)
			}
		}
		lab.Drain(time.Minute)
		if got := smartOfA.Messages(); len(got) > 0 {
			t.Errorf("left through the smart host of a: %+v", got)
		}
		for _, x := range []*mailtest.Exchanger{hostOfB, relayed} {
			got := x.Messages()
			if len(got) != 1 || got[0].Login != "" || got[0].HELO != mailtest.Hostname {
				t.Errorf("at %s: %+v", x.Host, got)
			}
		}
	})
}

func TestTheCredentialOfASenderGoesToItsSmartHostAndNowhereElse(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{})
		hostOfB, smartOfA := twoSites(t, lab, srv)
		hostOfB.Require("nobody", "unknown") // offers AUTH, to see what comes
		m := hello("ann@a.example", "bob@b.example", "u@elsewhere.example")
		m.Site = "a"
		submit(t, srv, m)
		lab.Wait(time.Minute)
		if got := smartOfA.Messages(); len(got) != 1 || got[0].Login != "alice" {
			t.Errorf("at the smart host: %+v", got)
		}
		if got := hostOfB.Logins(); len(got) > 0 {
			t.Errorf("the host of b was told %q", got)
		}
	})
}

func TestNoPasswordOfASenderIsPlannedForTheHostsOfARecipient(t *testing.T) {
	srv, _ := openAlone(t)
	addSite(t, srv, "a", "a.example")
	addSite(t, srv, "b", "b.example")
	canary := transport.Credential{User: "alice", Password: "canary-password"}
	for _, err := range []error{
		srv.Sites().SetCredential(t.Context(), sites.Credential{Key: "@a.example", Credential: canary}),
		srv.Sites().SetMailbox(t.Context(), sites.Mailbox{Address: "smtp@b.example", Deliver: "smtp:[store-b.example]:25"}),
		srv.Sites().SetMailbox(t.Context(), sites.Mailbox{Address: "lmtp@b.example", Deliver: "lmtp:inet:store-b.example:24"}),
		srv.Sites().SetSmartHost(t.Context(), sites.SmartHost{Key: "default", Nexthop: "[s1.example],[s2.example]"}),
		srv.Sites().SetSenderRoute(t.Context(), sites.SenderRoute{Key: "vip@a.example", Value: "smtp:[s3.example],[s4.example]"}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	route(t, srv, "list.example", "smtp:[h1.example],[h2.example]")
	route(t, srv, "one.example", "smtp:[h1.example]")
	route(t, srv, "nexthop.example", ":[h1.example], [h2.example]")
	for _, row := range []struct {
		from, to string
		want     transport.Credential
	}{
		{"u@a.example", "smtp@b.example", transport.Credential{}},
		{"u@a.example", "lmtp@b.example", transport.Credential{}},
		{"u@a.example", "x@list.example", transport.Credential{}},
		{"u@a.example", "x@one.example", transport.Credential{}},
		{"vip@a.example", "x@nexthop.example", transport.Credential{}},
		{"u@a.example", "x@remote.test", canary},
		{"vip@a.example", "x@remote.test", canary},
	} {
		plan, err := srv.Explain(t.Context(), "a", row.from, row.to)
		if err != nil {
			t.Fatal(err)
		}
		if plan.Credential != row.want || plan.TLS == transport.TLSEncrypt != (row.want == canary) {
			t.Errorf("%s to %s at %s: %v, TLS %s", row.from, row.to, plan.Nexthop, plan.Credential, plan.TLS)
		}
	}
}

func TestARemovedLoginSendsNoMoreOnAConnectionItHas(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{})
		addSite(t, srv, "shop", "shop.example")
		addLogin(t, srv, "me@shop.example", "shop", "secret")
		c := login(t, lab, sasl.NewPlainClient("", "me@shop.example", "secret"))
		defer c.Close()
		if err := c.Mail("me@shop.example", nil); err != nil {
			t.Fatal(err)
		}
		if err := c.Reset(); err != nil {
			t.Fatal(err)
		}
		if err := srv.Sites().RemoveLogin(t.Context(), "me@shop.example"); err != nil {
			t.Fatal(err)
		}
		if got := code(c.Mail("me@shop.example", nil)); got != 550 {
			t.Errorf("MAIL of a removed login: %d, want 550", got)
		}
	})
}

func TestEnvelopeParametersAreCheckedWhicheverWayTheyCome(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{})
		for _, change := range []func(*mailcore.Message){
			func(m *mailcore.Message) { m.EnvID = "a\r\nEvil: x" },
			func(m *mailcore.Message) { m.EnvID = strings.Repeat("x", 101) },
			func(m *mailcore.Message) { m.Ret = "BOGUS" },
			func(m *mailcore.Message) { m.Notify = transport.NotifyNever | transport.NotifySuccess },
		} {
			m := hello("a@shop.example", "u@customer.example")
			change(&m)
			_, err := srv.Submit(t.Context(), m)
			var reply transport.Reply
			if !errors.As(err, &reply) || reply.Code != 501 {
				t.Errorf("%+v: %v, want 501", m, err)
			}
		}
		m := hello("a@shop.example", "u@customer.example")
		m.EnvID = strings.Repeat("x", 100)
		submit(t, srv, m)
	})
}

func TestBlindCopiesLeaveNoTrace(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		mx := lab.Domain("customer.example")
		srv := lab.Server(mailcore.Config{})
		m := hello("a@shop.example", "u@customer.example")
		m.Content = strings.NewReader("Bcc: secret@x.example\nResent-Bcc: secret@y.example\nSubject: x\n\nx\n")
		submit(t, srv, m)
		lab.Drain(time.Minute)
		if got := mx.Messages(); len(got) != 1 || strings.Contains(got[0].Content, "secret@") {
			t.Errorf("%+v", got)
		}
	})
}

func TestAServerDoesNotPrintItsSecrets(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{
			SmartHost: "[smart.example]", SmartHostCredential: transport.Credential{User: "u", Password: "canary-password"},
		})
		if text := fmt.Sprintf("%v %+v %#v %s %d", srv, srv, srv, srv, srv); strings.Contains(text, "canary") {
			t.Error("the password is in what a server prints")
		}
	})
}
