package sites_test

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

// addresses compares addresses by what they are.
var addresses = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// services are of two customers with addresses of their own.
var services = []sites.Service{
	{Name: "mydom", IPv4: netip.MustParseAddr("192.0.2.7"), HELO: "mail.mydom.test"},
	{Name: "v6", IPv6: netip.MustParseAddr("2001:db8::7")},
}

func TestAMapReaderReadsTheTablesOfAPostfix(t *testing.T) {
	m := sites.MapReader{Local: "mx.panel.test", Services: services}
	credential := func(key, user, password string) sites.Credential {
		return sites.Credential{Key: key, Credential: transport.Credential{User: user, Password: password}}
	}
	for _, row := range []struct {
		name, text string
		read       func(string, io.Reader) (sites.Import, error)
		want       sites.Import
	}{
		{"smart hosts", "@A.test [gw.test]:587\nvip+x@a.test\n  DUNNO\n<> a.test, [b.test]\nroot dunno\n# @b.test x\n", m.SmartHosts,
			sites.Import{SmartHosts: []sites.SmartHost{
				{Key: "@a.test", Nexthop: "[gw.test]:587"}, {Key: "vip+x@a.test", Nexthop: "DUNNO"},
				{Key: "<>", Nexthop: "a.test, [b.test]"}, {Key: "root@mx.panel.test", Nexthop: "dunno"},
			}}},
		{"passwords", "[Gw.test]:587 user:pa:ss word\ngw.test u@gw:x\n@a.test u:#\nu@a.test u: \xff\n", m.Credentials,
			sites.Import{Credentials: []sites.Credential{
				credential("[gw.test]:587", "user", "pa:ss word"), credential("gw.test", "u@gw", "x"),
				credential("@a.test", "u", "#"), credential("u@a.test", "u", " \xff"),
			}}},
		{"transports by sender", "@a.test mydom:\nvip@a.test mydom:[hop]:26\n@b.test relaylim:\n<> DUNNO\n@c.test v6:\n", m.SenderTransports,
			sites.Import{
				SenderRoutes: []sites.SenderRoute{{Key: "vip@a.test", Value: "smtp:[hop]:26"}, {Key: "@b.test", Value: "relaylim:"}, {Key: "<>", Value: "DUNNO"}},
				Sources: []sites.Source{
					{Key: "@a.test", IPv4: services[0].IPv4, HELO: "mail.mydom.test"},
					{Key: "vip@a.test", IPv4: services[0].IPv4, HELO: "mail.mydom.test"},
					{Key: "@c.test", IPv6: services[1].IPv6},
				},
			}},
		{"routes", ".ru oneshot:\na.test :[gw]\n", m.Routes,
			sites.Import{Routes: []sites.Route{{Pattern: ".ru", Value: "oneshot:"}, {Pattern: "a.test", Value: ":[gw]"}}}},
		{"routes that stand for subdomains", "a.test oneshot:\n.b.test smtp:\n", sites.MapReader{Subdomains: true}.Routes,
			sites.Import{
				Routes:   []sites.Route{{Pattern: ".a.test", Value: "oneshot:"}, {Pattern: "a.test", Value: "oneshot:"}},
				Warnings: []string{"map:2: .b.test stands for nothing where domains stand for their subdomains"},
			}},
		{"the same key twice", "@a.test [x]\n@A.TEST [y]\n", m.SmartHosts,
			sites.Import{
				SmartHosts: []sites.SmartHost{{Key: "@a.test", Nexthop: "[x]"}},
				Warnings:   []string{"map:2: @A.TEST stands on line 1 already, which counts"},
			}},
		{"nothing", "\n# x\n", m.Credentials, sites.Import{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := row.read("map", strings.NewReader(row.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, got, addresses, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAMapReaderTellsEveryBadLineAndNoPassword(t *testing.T) {
	m := sites.MapReader{Services: services}
	const secret = "s3cr3t"
	for _, row := range []struct {
		name, text string
		read       func(string, io.Reader) (sites.Import, error)
		want       []string
	}{
		{"smart hosts", " x\n@a.test\n@b.test user:" + secret + "\n\nroot [x]\n@c.test [x]\n@c..test [x]\n.d.test [x]\nu@e.test: [x]\n\"u x\n", m.SmartHosts, []string{
			"m:1: begins with a blank, but there is no line for it to go on with",
			`m:2: "@a.test": the value is missing`,
			`m:3: "@b.test": the value is no next hop: want domain, [host], either with :port, a list of them, or DUNNO`,
			`m:5: "root": the key has no @: it is for a local-part of the host itself, or matches nothing`,
			`m:7: "@c..test": malformed domain`,
			`m:8: ".d.test": the key has no @: it is for a local-part of the host itself, or matches nothing`,
			`m:9: "u@e.test:": the key ends in a colon: this is the form of an alias file`,
			`m:10: a quote is not closed`,
		}},
		{"passwords", "[a.test]:587 " + secret + "\na.test user:\n.b.test u:" + secret + "\n[c.test u:" + secret + "\nd.test :" + secret + "\ne\x00.test u:" + secret + "\n\xff u:" + secret + "\nf.test u:a\x00" + secret + "\n", m.Credentials, []string{
			`m:1: "[a.test]:587": a credential needs a user and a password`,
			`m:2: "a.test": a credential needs a user and a password`,
			`m:3: ".b.test": the key is neither a sender nor a next hop: malformed domain`,
			`m:4: "[c.test": the key is neither a sender nor a next hop: a bracket is not closed`,
			`m:5: "d.test": a credential needs a user and a password`,
			`m:6: "e\x00.test": control character or malformed UTF-8 in the key`,
			`m:7: "\xff": control character or malformed UTF-8 in the key`,
			`m:8: "f.test": user and password have up to 1,024 octets, no NUL and no line ends`,
		}},
		{"transports by sender", "@a.test :[hop]\n@b.test mydomm:\n@c.test error:4.1.1 x\nlocal.test smtp:\n@d.test relay it\n@e.test mydom:[hop\n@f.test smtp:hop:x\n", sites.MapReader{Local: "x.test", Services: services}.SenderTransports, []string{
			`m:1: "@a.test": it names no transport; a next hop alone is a smart host`,
			`m:2: "@b.test": unknown transport "mydomm"`,
			`m:3: "@c.test": error: takes a status of class 5, not 4.1.1`,
			`m:4: "local.test": matches nothing; for the domain write @local.test`,
			`m:5: "@d.test": "relay it" is no name of a transport; is a colon missing?`,
			`m:6: "@e.test": next hop "[hop": misplaced bracket`,
			`m:7: "@f.test": next hop "hop:x": no such port: "x"`,
		}},
		{"routes", "a.test smtp:\n\nb.test mydom:\n", m.Routes, []string{`m:3: "b.test": unknown transport "mydom"`}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := row.read("m", strings.NewReader(row.text))
			if diff := cmp.Diff(row.want, strings.Split(fmt.Sprint(err), "\n")); diff != "" {
				t.Error(diff)
			}
			if got.Len() != 0 {
				t.Errorf("%d rows in spite of an error", got.Len())
			}
			if _, ok := errors.AsType[*transport.MapError](err); !ok || strings.Contains(fmt.Sprintf("%+v", err), secret) {
				t.Errorf("%T: %v", err, err)
			}
		})
	}
}

func TestServicesOfAMasterFileAreTheAddressesOfCustomers(t *testing.T) {
	const text = `# services
smtp inet n - n - - smtpd
  -o smtpd_banner=x
relay unix - - n - - smtp
mydom     unix  -       -       n       -       -       smtp
  -o smtp_helo_name=mail.mydom.test
  # its address
  -o smtp_bind_address=192.0.2.7 -o { smtp_bind_address6 = 2001:db8::7 }
limited unix - - n - 1 smtp -v
  -osmtp_bind_address=192.0.2.8
`
	got, warnings, err := sites.ParseServices("master.cf", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []sites.Service{
		{Name: "mydom", IPv4: netip.MustParseAddr("192.0.2.7"), IPv6: netip.MustParseAddr("2001:db8::7"), HELO: "mail.mydom.test"},
		{Name: "limited", IPv4: netip.MustParseAddr("192.0.2.8")},
	}
	if diff := cmp.Diff(want, got, addresses); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"master.cf:9: of service limited this is not taken over: -v"}, warnings); diff != "" {
		t.Error(diff)
	}
	const bad = "a unix - -\nb unix - - n - - smtp -o smtp_bind_address=host\nc unix - - n - - smtp -o x\nd unix - - n - - smtp -o { a = b\ne unix - - n - - smtp -o smtp_helo_name=$myhostname\nf unix - - n - - smtp -o\n"
	_, _, err = sites.ParseServices("m", strings.NewReader(bad))
	wanted := []string{
		`m:1: "a": 4 columns, want 8 at least`,
		`m:2: "b": ParseAddr("host"): unable to parse IP`,
		`m:3: "c": -o x has no =`,
		`m:4: "d": a brace is not closed`,
		`m:5: "e": smtp_helo_name is $myhostname: write the name`,
		`m:6: "f": -o without a setting`,
	}
	if diff := cmp.Diff(wanted, strings.Split(fmt.Sprint(err), "\n")); diff != "" {
		t.Error(diff)
	}
}

// Whatever the text, there are rows that can be stored, or an error for a line.
func FuzzMapReader(f *testing.F) {
	for _, text := range []string{
		"", " x", "@a.test [gw.test]:587", "<> DUNNO", "[gw]:25 user:pass", "u@a.test mydom:[hop]", "root error:5.1.1 x",
		"\"a b\"@c.test x\n y", "a\\", "\x00 \xff", "@a.test a, [b]:25,c", "mydom unix - - n - - smtp -o { a=b } -osmtp_helo_name=x",
	} {
		f.Add(text)
	}
	s, err := sites.New(f.Context(), openFile(f, f.TempDir()+"/panelmail.db"))
	if err != nil {
		f.Fatal(err)
	}
	m := sites.MapReader{Local: "mx.test", Services: services}
	f.Fuzz(func(t *testing.T, text string) {
		for i, read := range []func(string, io.Reader) (sites.Import, error){m.Routes, m.SenderTransports, m.SmartHosts, m.Credentials} {
			rows, err := read("map", strings.NewReader(text))
			if err != nil {
				if _, ok := errors.AsType[*transport.MapError](err); !ok || rows.Len() > 0 {
					t.Fatalf("%T %v with %d rows", err, err, rows.Len())
				}
				continue
			}
			rows.DryRun = true
			if err := s.Import(t.Context(), rows); err != nil {
				t.Fatalf("reader %d: what it read cannot be stored: %v", i, err)
			}
		}
		if _, _, err := sites.ParseServices("master.cf", strings.NewReader(text)); err != nil && strings.TrimSpace(err.Error()) == "" {
			t.Fatal("an error says nothing")
		}
	})
}
