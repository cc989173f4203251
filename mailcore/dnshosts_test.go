package mailcore_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/mailcore/sites"
)

// greeting is a source that says a name in HELO.
func greeting(key, ip, helo string) sites.Source {
	return sites.Source{Key: key, IPv4: netip.MustParseAddr(ip), HELO: helo}
}

// recordsOf are the records of some types at a name, in the zone of a domain.
func recordsOf(t *testing.T, srv *mailcore.Server, domain, name, types string) (records []string) {
	t.Helper()
	zone, err := srv.DNSZone(t.Context(), domain)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range zone.Records {
		if r.Name == name && strings.Contains(types, r.Type()) {
			records = append(records, r.Type()+" "+r.Value.String())
		}
	}
	return records
}

func TestAHostHasTheAddressesOfAllSourcesThatGreetWithItsName(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{Hostname: "mail.panel.example", DNS: mailcore.DNS{Addrs: addresses("192.0.2.25")}})
		addSite(t, srv, "panel", "panel.example")
		addSite(t, srv, "shop", "shop.example", "blog.shop.example")
		addSite(t, srv, "two", "two.example")
		for _, src := range []sites.Source{
			source("two", "198.51.100.22"), // says the host name
			greeting("shop", "198.51.100.9", "mail.shop.example"), greeting("@two.example", "198.51.100.7", "mail.shop.example"),
			greeting("@shop.example", "198.51.100.9", "blog.shop.example"),
		} {
			if err := srv.Sites().SetSource(t.Context(), src); err != nil {
				t.Fatal(err)
			}
		}
		for _, row := range []struct {
			domain, name string
			want         []string
		}{
			{"panel.example", "mail.panel.example.", []string{"A 192.0.2.25", "A 198.51.100.22"}},
			{"mail.panel.example", "mail.panel.example.", nil}, // its own zone has those of whoever runs it
			{"shop.example", "mail.shop.example.", []string{"A 198.51.100.7", "A 198.51.100.9"}},
			{"shop.example", "blog.shop.example.", nil}, // a domain with a web site
			{"two.example", "mail.shop.example.", nil},
		} {
			if diff := cmp.Diff(row.want, recordsOf(t, srv, row.domain, row.name, "A AAAA")); diff != "" {
				t.Errorf("%s in %s:\n%s", row.name, row.domain, diff)
			}
		}
	})
}

// TestANameInHELOHasOneSPFRecordWhereverItIsRendered: two that differ are an error, and
// then neither counts (RFC 7208 section 4.5).
func TestANameInHELOHasOneSPFRecordWhereverItIsRendered(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{Hostname: "mail.panel.example", DNS: mailcore.DNS{Addrs: addresses("192.0.2.25")}})
		addSite(t, srv, "panel", "panel.example", "sub.panel.example")
		for _, src := range []sites.Source{
			source("panel", "198.51.100.9"), greeting("@sub.panel.example", "198.51.100.8", "sub.panel.example"),
			greeting("default", "198.51.100.7", "out.panel.example"),
		} {
			if err := srv.Sites().SetSource(t.Context(), src); err != nil {
				t.Fatal(err)
			}
		}
		for _, row := range []struct{ name, beside, own string }{
			{"mail.panel.example", "ip4:192.0.2.25 ip4:198.51.100.7 ip4:198.51.100.9", ""},
			{"out.panel.example", "ip4:198.51.100.7", ""},
			{"sub.panel.example", "", "ip4:198.51.100.8"},
		} {
			text := func(terms string) []string {
				if terms == "" {
					return nil
				}
				return []string{`TXT "v=spf1 ` + terms + ` ~all"`}
			}
			if row.own == "" {
				row.own = row.beside
			}
			if diff := cmp.Diff(text(row.beside), recordsOf(t, srv, "panel.example", row.name+".", "TXT")); diff != "" {
				t.Errorf("%s in panel.example:\n%s", row.name, diff)
			}
			if diff := cmp.Diff(text(row.own), recordsOf(t, srv, row.name, row.name+".", "TXT")); diff != "" {
				t.Errorf("%s:\n%s", row.name, diff)
			}
		}
	})
}

func TestTheAddressesOfTheHostNameAreNotLeftOutWhenTheDNSFails(t *testing.T) {
	for _, fails := range []bool{false, true} {
		mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
			lab.DNS.Fail["mail.panel.example"] = fails // before anybody asks
			srv := lab.Server(mailcore.Config{Hostname: "mail.panel.example"})
			addSite(t, srv, "panel", "panel.example")
			if err := srv.Sites().SetSource(t.Context(), source("default", "198.51.100.1")); err != nil {
				t.Fatal(err)
			}
			if !fails {
				if got := recordsOf(t, srv, "panel.example", "mail.panel.example.", "A"); !cmp.Equal(got, []string{"A 198.51.100.1"}) {
					t.Errorf("where it has none: %q", got)
				}
				return
			}
			if data, err := srv.DNSData(t.Context(), "panel.example"); err == nil || !strings.Contains(err.Error(), "the addresses of mail.panel.example are not known") {
				t.Errorf("where there is no answer: %+v, %v", data.Hosts, err)
			}
		})
	}
}
