package mailcore_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/dkim"
	"github.com/panelmail/panelmail/dnstmpl"
	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

// spfOf is the SPF record that a domain is to have now.
func spfOf(t *testing.T, srv *mailcore.Server, domain string) string {
	t.Helper()
	data, err := srv.DNSData(t.Context(), domain)
	if err != nil {
		t.Fatal(err)
	}
	return data.SPFRecords()[0].Text
}

func TestTheSPFRecordOfADomainFollowsTheEgressInForce(t *testing.T) {
	for _, row := range []struct {
		name   string
		config mailcore.Config
		set    sites.Import
		want   string
	}{
		{"nothing is set", mailcore.Config{}, sites.Import{}, "a:mail.panel.example ~all"},
		{"the host has addresses", mailcore.Config{DNS: mailcore.DNS{Addrs: addresses("192.0.2.1", "2001:db8::1"), SPF: "-all"}}, sites.Import{},
			"ip4:192.0.2.1 ip6:2001:db8::1 -all"},
		{"the default source", mailcore.Config{}, sites.Import{Sources: []sites.Source{source("default", "192.0.2.9")}}, "ip4:192.0.2.9 ~all"},
		{"the site has its own", mailcore.Config{}, sites.Import{Sources: []sites.Source{source("default", "192.0.2.9"), source("shop", "192.0.2.2")}},
			"ip4:192.0.2.2 ~all"},
		{"another site has its own", mailcore.Config{}, sites.Import{Sources: []sites.Source{source("default", "192.0.2.9"), source("other", "192.0.2.2")}},
			"ip4:192.0.2.9 ~all"},
		{"the domain, an address and a login", mailcore.Config{}, sites.Import{Sources: []sites.Source{
			source("shop", "192.0.2.2"), source("vip@shop.example", "192.0.2.4"), source("login:shop", "192.0.2.6")}},
			"ip4:192.0.2.2 ip4:192.0.2.4 ip4:192.0.2.6 ~all"},
		{"a source of the domain is before those of logins", mailcore.Config{}, sites.Import{Sources: []sites.Source{
			source("@shop.example", "192.0.2.2"), source("login:shop", "192.0.2.6")}},
			"ip4:192.0.2.2 ~all"},
		{"one of another domain of the site", mailcore.Config{}, sites.Import{Sources: []sites.Source{source("@shop2.example", "192.0.2.2")}},
			"a:mail.panel.example ~all"},
		{"seen under another address", mailcore.Config{DNS: mailcore.DNS{Translated: map[netip.Addr]netip.Addr{
			netip.MustParseAddr("10.0.0.2"): netip.MustParseAddr("192.0.2.2")}}},
			sites.Import{Sources: []sites.Source{source("shop", "10.0.0.2")}}, "ip4:192.0.2.2 ~all"},
		{"a smart host for all", mailcore.Config{SmartHost: "[smtp.sendgrid.net]:587"}, sites.Import{Sources: []sites.Source{source("default", "192.0.2.9")}},
			"include:sendgrid.net ~all"},
		{"a smart host for all but some domains", mailcore.Config{SmartHost: "[smtp.sendgrid.net]:587"},
			sites.Import{Sources: []sites.Source{source("default", "192.0.2.9")}, Routes: []sites.Route{{Pattern: "direct.example", Value: "relaylim:"}}},
			"ip4:192.0.2.9 include:sendgrid.net ~all"},
		{"the site has its smart host, one address none", mailcore.Config{},
			sites.Import{Sources: []sites.Source{source("default", "192.0.2.9")}, SmartHosts: []sites.SmartHost{
				{Key: "shop", Nexthop: "provider.example, [192.0.2.200]:2525"}, {Key: "vip@shop.example", Nexthop: "DUNNO"}}},
			"ip4:192.0.2.9 ip4:192.0.2.200 mx:provider.example ~all"},
		{"a smart host that the configuration knows", mailcore.Config{
			DNS: mailcore.DNS{MailServices: []dnstmpl.MailService{{Hosts: []string{"*.corp.example"}, Include: []string{"_spf.corp.example"}}}}},
			sites.Import{SmartHosts: []sites.SmartHost{{Key: "@shop.example", Nexthop: "[out.corp.example]"}}}, "include:_spf.corp.example ~all"},
		{"a filter on this machine", mailcore.Config{SmartHost: "[127.0.0.1]:10024"}, sites.Import{}, "a:mail.panel.example ~all"},
		{"a sender route", mailcore.Config{}, sites.Import{SenderRoutes: []sites.SenderRoute{{Key: "shop", Value: "smtp:[gw.example]"}}},
			"a:gw.example ~all"},
		{"hosts of recipients, and gateways", mailcore.Config{}, sites.Import{
			Sources: []sites.Source{source("default", "192.0.2.9")},
			Routes: []sites.Route{
				{Pattern: "customer.example", Value: "smtp:[mx.customer.example]"}, {Pattern: ".ru", Value: "smtp:[ru.example]"},
				{Pattern: "known.example", Value: "relay:[email-smtp.eu-west-1.amazonaws.com]:587"},
				{Pattern: "paid.example", Value: "relay:[smtp.paid.example]:587"},
				{Pattern: "refused.example", Value: "error:5.7.1 no"}, {Pattern: "stored.example", Value: "lmtp:unix:x"},
			},
			Credentials: []sites.Credential{{Key: "[smtp.paid.example]:587", Credential: transport.Credential{User: "u", Password: "canary"}}},
		}, "ip4:192.0.2.9 a:ru.example include:amazonses.com a:smtp.paid.example ~all"},
	} {
		t.Run(row.name, func(t *testing.T) {
			mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
				row.config.Hostname = "mail.panel.example"
				srv := lab.Server(row.config)
				addSite(t, srv, "shop", "shop.example")
				addSite(t, srv, "other", "other.example")
				for _, err := range []error{
					srv.Sites().AddDomain(t.Context(), sites.Domain{Name: "shop2.example", Site: "shop", Class: sites.Hosted}),
					srv.Sites().AddLogin(t.Context(), sites.Login{Name: "shop", Site: "shop"}, "canary"),
					srv.Sites().Import(t.Context(), row.set),
				} {
					if err != nil {
						t.Fatal(err)
					}
				}
				if diff := cmp.Diff("v=spf1 "+row.want, spfOf(t, srv, "shop.example")); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func addresses(list ...string) (all []netip.Addr) {
	for _, s := range list {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}

func source(key, ip string) sites.Source {
	return sites.Source{Key: key, IPv4: netip.MustParseAddr(ip)}
}

func TestTheDNSOfADomainKnowsItsZoneAndWhoTakesItsMail(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{Hostname: "mail.panel.example", Forwarding: mailcore.Forwarding{Domain: "srs.panel.example"},
			DNS: mailcore.DNS{PolicyHost: "policy.panel.example"}})
		addSite(t, srv, "shop", "shop.example")
		addSite(t, srv, "other", "other.example")
		s := srv.Sites()
		for _, d := range []sites.Domain{
			{Name: "de.eu.shop.example", Site: "shop", Class: sites.Alias},
			{Name: "eu.shop.example", Site: "other", Class: sites.Relay},
			{Name: "boxes.example", Site: "shop", Class: sites.Hosted},
		} {
			if err := s.AddDomain(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.SetSource(t.Context(), sites.Source{Key: "other", HELO: "Out.panel.example", IPv4: netip.MustParseAddr("192.0.2.7")}); err != nil {
			t.Fatal(err)
		}
		if err := s.SetMailbox(t.Context(), sites.Mailbox{Address: "u@boxes.example", Deliver: "maildir:u"}); err != nil {
			t.Fatal(err)
		}
		type result struct {
			Zone, Subdomain string
			SendOnly        bool
			HELO            string
		}
		for domain, want := range map[string]result{
			"shop.example":          {"shop.example", "", true, ""},
			"boxes.example":         {"boxes.example", "", false, ""},
			"De.EU.shop.example.":   {"shop.example", "de.eu", false, ""},
			"eu.shop.example":       {"eu.shop.example", "", false, "out.panel.example"},
			"mail.panel.example":    {"mail.panel.example", "", false, ""},
			"srs.panel.example":     {"srs.panel.example", "", false, ""},
			"out.panel.example":     {"out.panel.example", "", true, "out.panel.example"},
			"stranger.example":      {},
			"not a domain":          {},
			"sub.srs.panel.example": {},
		} {
			data, err := srv.DNSData(t.Context(), domain)
			if want == (result{}) {
				if !errors.Is(err, sites.ErrNotFound) && !errors.Is(err, sites.ErrInvalid) {
					t.Errorf("%s: %v", domain, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			var helo []string
			for _, id := range data.HELO {
				helo = append(helo, id.Name)
			}
			got := result{data.Zone, data.Subdomain, data.SendOnly, strings.Join(helo, " ")}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s:\n%s", domain, diff)
			}
			if announced := data.MTASTS != "" && len(data.TLSRPT) > 0; announced == data.SendOnly {
				t.Errorf("%s: MTA-STS and TLS-RPT are announced: %t", domain, announced)
			}
			if _, err := dnstmpl.Default().Render(data); err != nil {
				t.Errorf("%s: %v", domain, err)
			}
		}
	})
}

func TestTheDNSOfADomainHasTheRecordsOfAllItsKeysUntilTheyRetire(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{})
		addSite(t, srv, "shop", "shop.example", "delegated.example")
		s := srv.Sites()
		made, err := s.GenerateDKIM(t.Context(), sites.DKIMPolicy{Domain: "shop.example", Algorithms: []dkim.Algorithm{dkim.Ed25519}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.GenerateDKIM(t.Context(), sites.DKIMPolicy{
			Domain: "delegated.example", Algorithms: []dkim.Algorithm{dkim.Ed25519}, Zone: "keys.panel.example",
		}); err != nil {
			t.Fatal(err)
		}
		keys := func(domain string) []dnstmpl.DKIM {
			data, err := srv.DNSData(t.Context(), domain)
			if err != nil {
				t.Fatal(err)
			}
			return data.DKIM
		}
		want := []dnstmpl.DKIM{{Name: made[0].Name, Text: made[0].Record, Pending: true}}
		if diff := cmp.Diff(want, keys("shop.example")); diff != "" {
			t.Errorf("pending:\n%s", diff)
		}
		if got := keys("delegated.example"); len(got) != 1 || !strings.HasSuffix(got[0].Target, "._domainkey.delegated.example.keys.panel.example") {
			t.Errorf("delegated: %+v", got)
		}
		for range 2 { // seen, and a few hours later again
			due, err := s.DueDKIM(t.Context(), 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range due {
				if _, err := s.AdvanceDKIM(t.Context(), k, sites.DKIMSighting{Good: 2, Wait: time.Hour}); err != nil {
					t.Fatal(err)
				}
			}
			lab.Wait(12 * time.Hour)
		}
		want[0].Pending = false
		if diff := cmp.Diff(want, keys("shop.example")); diff != "" {
			t.Errorf("signing:\n%s", diff)
		}
		if err := s.RemoveDKIM(t.Context(), "shop.example", made[0].Selector); err != nil {
			t.Fatal(err)
		}
		if got := keys("shop.example"); len(got) > 0 {
			t.Errorf("removed: %+v", got)
		}
	})
}

// TestAPolicyOfMTASTSIsAnnouncedWhereItIsServed: senders that find the record and no
// policy behind it take it for trouble.
func TestAPolicyOfMTASTSIsAnnouncedWhereItIsServed(t *testing.T) {
	for _, row := range []struct {
		dns  mailcore.DNS
		want string // its mode
	}{
		{mailcore.DNS{}, ""},
		{mailcore.DNS{MTASTS: transport.STSNone, PolicyHost: "policy.panel.example"}, ""},
		{mailcore.DNS{PolicyHost: "policy.panel.example"}, "mode: testing"},
		{mailcore.DNS{MTASTS: transport.STSEnforce}, "mode: enforce"},
	} {
		mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
			srv := lab.Server(mailcore.Config{Hostname: "mail.panel.example", DNS: row.dns})
			addSite(t, srv, "shop")
			if err := srv.Sites().AddDomain(t.Context(), sites.Domain{Name: "shop.example", Site: "shop", Class: sites.Alias}); err != nil {
				t.Fatal(err)
			}
			data, err := srv.DNSData(t.Context(), "shop.example")
			if err != nil {
				t.Fatal(err)
			}
			if policy := srv.MTASTSPolicy(); (row.want == "") != (policy == "") || !strings.Contains(policy, row.want) || (data.MTASTS != "") != (policy != "") {
				t.Errorf("%+v: record %q, policy %q", row.dns, data.MTASTS, policy)
			}
		})
	}
}
