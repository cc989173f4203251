package mailcore_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
	"github.com/panelmail/panelmail/transport"
)

// The first host that dials is 203.0.113.1.
const firstClient = "203.0.113.1"

func TestRestrictionsDecideAtTheSMTPDoor(t *testing.T) {
	const hello, from = "EHLO c.test", "MAIL FROM:<x@remote.test>"
	for _, tt := range []struct {
		name         string
		restrictions mailcore.Restrictions
		lines        []string
		want         string // the last reply
	}{
		{"a block list", mailcore.Restrictions{Client: "reject_rbl_client rbl.test"},
			[]string{hello, from, "RCPT TO:<u@local.test>"},
			"554 5.7.1 Service unavailable; Client host [203.0.113.1] blocked using rbl.test; see rbl.test"},
		{"which the postmaster does not mind", mailcore.Restrictions{Client: "reject_rbl_client rbl.test"},
			[]string{hello, from, "RCPT TO:<PostMaster>"}, "250 2.1.5 Ok"},
		{"a name of the client", mailcore.Restrictions{Client: "check_client_access t", Tables: map[string]string{"t": "one.test 550 5.7.25 not you"}},
			[]string{hello, from, "RCPT TO:<u@local.test>"}, "550 5.7.25 <mx.one.test[203.0.113.1]>: Client host rejected: not you"},
		{"HELO", mailcore.Restrictions{Helo: "reject_non_fqdn_helo_hostname"},
			[]string{"HELO pc", from, "RCPT TO:<u@local.test>"}, "504 5.5.2 <pc>: Helo command rejected: need fully-qualified hostname"},
		{"a sender's domain that is in doubt", mailcore.Restrictions{Sender: "reject_unknown_sender_domain"},
			[]string{hello, "MAIL FROM:<x@trouble.test>", "RCPT TO:<u@local.test>"}, "450 4.1.8 <x@trouble.test>: Sender address rejected: Domain not found"},
		{"a sender of ours", mailcore.Restrictions{Sender: "reject_sender_login_mismatch"},
			[]string{hello, "MAIL FROM:<x@local.test>", "RCPT TO:<u@local.test>"}, "553 5.7.1 <x@local.test>: Sender address rejected: not logged in"},
		{"relaying comes before existence", mailcore.Restrictions{},
			[]string{hello, from, "RCPT TO:<nobody@remote.test>"}, "554 5.7.1 <nobody@remote.test>: Relay access denied"},
		{"that of relaying may come later", mailcore.Restrictions{Relay: "defer_unauth_destination"},
			[]string{hello, from, "RCPT TO:<u@remote.test>"}, "454 4.7.1 <u@remote.test>: Relay access denied"},
		{"a client that may relay", mailcore.Restrictions{Relay: "check_client_access t reject_unauth_destination", Tables: map[string]string{"t": firstClient + " OK"}},
			[]string{hello, from, "RCPT TO:<u@remote.test>"}, "250 2.1.5 Ok"},
		{"but not by a route", mailcore.Restrictions{Relay: "check_client_access t reject_unauth_destination", Tables: map[string]string{"t": firstClient + " OK"}},
			[]string{hello, from, "RCPT TO:<u%remote.test@local.test>"}, "554 5.7.1 <u%remote.test@local.test>: Relay access denied"},
		{"a destination that is relayed to", mailcore.Restrictions{Relay: "check_recipient_access t reject_unauth_destination", Tables: map[string]string{"t": "remote.test OK"}},
			[]string{hello, from, "RCPT TO:<u@remote.test>"}, "250 2.1.5 Ok"},
		{"a permit of the other lists opens nothing", mailcore.Restrictions{Client: "check_client_access t", Relay: "permit", Recipient: "check_client_access t reject", Tables: map[string]string{"t": firstClient + " OK"}},
			[]string{hello, from, "RCPT TO:<u@remote.test>"}, "554 5.7.1 <u@remote.test>: Relay access denied"},
		{"DATA", mailcore.Restrictions{Data: "reject"},
			[]string{hello, from, "RCPT TO:<u@local.test>", "DATA"}, "554 5.7.1 <DATA>: Data command rejected: Access denied"},
		{"a client that cannot wait", mailcore.Restrictions{Client: "reject_unauth_pipelining"},
			[]string{"HELO c.test", from, "RCPT TO:<u@local.test>\r\nNOOP"},
			"503 5.5.0 <mx.one.test[203.0.113.1]>: Client host rejected: Improper use of SMTP command pipelining"},
		{"one that may", mailcore.Restrictions{Client: "reject_unauth_pipelining"},
			[]string{hello, from, "RCPT TO:<u@local.test>\r\nNOOP"}, "250 2.1.5 Ok"},
		{"content ahead of the answer", mailcore.Restrictions{Data: "reject_unauth_pipelining"},
			[]string{hello, from, "RCPT TO:<u@local.test>", "DATA\r\nx"}, "503 5.5.0 <DATA>: Data command rejected: Improper use of SMTP command pipelining"},
		{"a disconnect", mailcore.Restrictions{Client: "check_client_access t", Tables: map[string]string{"t": "203.0.113 521 5.7.1 go away"}},
			[]string{hello, from, "RCPT TO:<u@local.test>", "NOOP"}, "EOF"},
	} {
		mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
			lab.DNS.PTR[firstClient], lab.DNS.Addr["mx.one.test"] = []string{"mx.one.test."}, []string{firstClient}
			lab.DNS.Addr["1.113.0.203.rbl.test"], lab.DNS.TXT["1.113.0.203.rbl.test"] = []string{"127.0.0.2"}, []string{"see rbl.test"}
			lab.DNS.Fail["trouble.test"] = true
			srv := lab.Server(mailcore.Config{Restrictions: tt.restrictions})
			addSite(t, srv, "local", "local.test")
			route(t, srv, "local.test", "hold:for the test")
			replies := dialogue(t, lab, 25, tt.lines...)
			if got := replies[len(replies)-1]; got != tt.want {
				t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
			}
		})
	}
}

func TestRestrictionsAreNotForThoseWhoLogInAtTheSubmissionDoor(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		srv := lab.Server(mailcore.Config{Restrictions: mailcore.Restrictions{Client: "reject", Data: "reject"}})
		addSite(t, srv, "shop", "shop.example")
		addLogin(t, srv, "wordpress", "shop", "secret")
		c := login(t, lab, sasl.NewPlainClient("", "wordpress", "secret"))
		defer c.Close()
		if err := send(c, "a@shop.example", "Subject: x\r\n\r\nx\r\n", "u@customer.example"); err != nil {
			t.Error(err)
		}
	})
}

func TestRestrictionsHoldForTheClientsOfABackend(t *testing.T) {
	for _, tt := range []struct {
		restrictions mailcore.Restrictions
		want         int
	}{
		{mailcore.Restrictions{Client: "check_client_access t", Tables: map[string]string{"t": "203.0.113 557 no"}}, 557},
		{mailcore.Restrictions{Helo: "check_helo_access t", Tables: map[string]string{"t": "localhost 558 no"}}, 558},
		{mailcore.Restrictions{Data: "check_sender_access t", Tables: map[string]string{"t": "remote.test 559 no"}}, 559},
		{mailcore.Restrictions{}, 0},
	} {
		mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
			srv := lab.Server(mailcore.Config{Restrictions: tt.restrictions})
			addSite(t, srv, "local", "local.test")
			route(t, srv, "local.test", "hold:for the test")
			outer := smtp.NewServer(srv.Backend(t.Context()))
			outer.Domain, outer.MaxLineLength = "outer.example", 128<<10
			l := lab.Listen()
			go outer.Serve(l)
			defer outer.Close()
			conn, err := lab.DialAddr(l.Addr())
			if err != nil {
				t.Fatal(err)
			}
			c := smtp.NewClient(conn)
			defer c.Close()
			if got := code(send(c, "x@remote.test", "x", "u@local.test")); got != tt.want {
				t.Errorf("%+v: %d", tt.restrictions, got)
			}
		})
	}
}

func TestReloadedRestrictionsHoldForTheNextConnection(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		lab.Server(mailcore.Config{})
		rcpt := func() string {
			return dialogue(t, lab, 25, "EHLO c.test", "MAIL FROM:<x@remote.test>", "RCPT TO:<u@remote.test>")[3]
		}
		if got, want := rcpt(), "554 5.7.1 <u@remote.test>: Relay access denied"; got != want {
			t.Errorf("before: %s", got)
		}
		if err := lab.Reload(mailcore.Config{Restrictions: mailcore.Restrictions{Relay: "permit, reject"}}); err == nil || !strings.Contains(err.Error(), "relay list") {
			t.Errorf("an open relay: %v", err)
		}
		if err := lab.Reload(mailcore.Config{Restrictions: mailcore.Restrictions{Relay: "defer_unauth_destination"}}); err != nil {
			t.Fatal(err)
		}
		if got, want := rcpt(), "454 4.7.1 <u@remote.test>: Relay access denied"; got != want {
			t.Errorf("after: %s", got)
		}
	})
}

func TestACheckNamesTheListThatIsWrong(t *testing.T) {
	resolver := mailtest.NewDNS().Resolver()
	for _, tt := range []struct {
		name         string
		restrictions mailcore.Restrictions
		resolver     transport.Resolver
		want         string
	}{
		{"the default", mailcore.Restrictions{}, nil, ""},
		{"a word", mailcore.Restrictions{Helo: "reject_all"}, nil, `Restrictions: helo list: "reject_all" is no restriction that is known here`},
		{"a permit first", mailcore.Restrictions{Relay: "permit reject_unauth_destination"}, nil, "neither the relay list nor the recipient list refuses unknown destinations"},
		{"OK for everybody", mailcore.Restrictions{Relay: "check_client_access t reject", Tables: map[string]string{"t": "0.0.0.0/0 OK"}}, nil,
			"relay list: check_client_access t: line 1: OK for 0.0.0.0/0"},
		{"names from the DNS", mailcore.Restrictions{Client: "reject_unknown_client_hostname"}, resolver, ""},
		{"names from nowhere", mailcore.Restrictions{Client: "reject_unknown_client_hostname"}, struct{ transport.Resolver }{resolver},
			"the names of clients are asked for, which Resolver does not know"},
		{"names in a table", mailcore.Restrictions{Client: "check_client_access t", Tables: map[string]string{"t": "one.test DUNNO"}}, struct{ transport.Resolver }{resolver},
			"the names of clients are asked for"},
		{"addresses in a table", mailcore.Restrictions{Client: "check_client_access t", Tables: map[string]string{"t": "192.0.2.1 DUNNO"}}, struct{ transport.Resolver }{resolver}, ""},
	} {
		err := mailcore.Config{Hostname: "mx.panel.test", Restrictions: tt.restrictions, Resolver: tt.resolver}.Check()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s:\n got %v\nwant %s", tt.name, err, tt.want)
		}
		if _, openErr := mailcore.Open(t.Context(), t.TempDir()+"/mail.db", mailcore.Config{Restrictions: tt.restrictions}); tt.want != "" && openErr == nil {
			t.Errorf("%s: opens", tt.name)
		}
	}
}

func TestTheRelayTestFindsNothingWhereNothingIs(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config mailcore.Config
	}{
		{"the default", mailcore.Config{}},
		{"other lists", mailcore.Config{Restrictions: mailcore.Restrictions{Client: "sleep 30 reject_unknown_client_hostname", Relay: "permit", Recipient: "reject_unauth_destination"}}},
		{"a network of ours that the test would come from", mailcore.Config{RelayNetworks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}},
	} {
		mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
			srv := lab.Server(tt.config)
			addSite(t, srv, "shop", "shop.example")
			route(t, srv, "shop.example", "hold:for the test")
			found, err := srv.OpenRelays(t.Context())
			if err != nil || len(found) > 0 {
				t.Errorf("%s: %q, %v", tt.name, found, err)
			}
			if n := queued(t, srv); n > 0 {
				t.Errorf("%s: %d queued", tt.name, n)
			}
		})
	}
}

func TestTheRelayTestFindsAnOpenRelay(t *testing.T) {
	mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
		var most []netip.Prefix // of the addresses that it comes from
		for _, octet := range []byte{8, 192, 198, 203} {
			most = append(most, netip.PrefixFrom(netip.AddrFrom4([4]byte{octet}), 8))
		}
		srv := lab.Server(mailcore.Config{RelayNetworks: most})
		found, err := srv.OpenRelays(t.Context())
		if err != nil || len(found) == 0 {
			t.Fatalf("%q, %v", found, err)
		}
		want := "MAIL FROM:<x@relay-test.invalid> RCPT TO:<u@relay-test.invalid> from 8.8.8.8: accepted: 250 2.1.5 Ok"
		if d := cmp.Diff(want, found[0]); d != "" {
			t.Error(d)
		}
	})
}
