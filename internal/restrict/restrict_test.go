package restrict_test

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	. "github.com/panelmail/panelmail/internal/restrict"
)

func TestEachRestrictionRefusesWithItsReply(t *testing.T) {
	type edit = func(*Request)
	helo := func(name string) edit { return func(q *Request) { q.HELO = name } }
	sender := func(path string) edit { return func(q *Request) { q.Sender = path } }
	recipient := func(path string) edit { return func(q *Request) { q.Recipient = path } }
	for _, tt := range []struct {
		list string
		edit edit
		want string
	}{
		{"reject", nil, "554 5.7.1 <u@local.test>: Recipient address rejected: Access denied"},
		{"defer", nil, "450 4.3.2 <u@local.test>: Recipient address rejected: Try again later"},
		{"permit", nil, "permit"},
		{"defer_if_permit", nil, "450 4.7.0 <u@local.test>: Recipient address rejected: defer_if_permit requested"},
		{"defer_if_reject", nil, "permit"},
		{"permit_mynetworks reject", func(q *Request) { q.Trusted = true }, "permit"},
		{"permit_sasl_authenticated reject", func(q *Request) { q.Login = "me" }, "permit"},
		{"reject_unauth_destination", recipient("u@remote.test"), "554 5.7.1 <u@remote.test>: Relay access denied"},
		{"reject_unauth_destination", recipient("u%remote.test@local.test"), "554 5.7.1 <u%remote.test@local.test>: Relay access denied"},
		{"reject_unauth_destination", recipient("U@LOCAL.test."), "permit"},
		{"reject_unauth_destination", recipient("u@broken.test"), "451 4.3.0 <u@broken.test>: Temporary lookup failure"},
		{"defer_unauth_destination", recipient("u@remote.test"), "454 4.7.1 <u@remote.test>: Relay access denied"},
		{"permit_auth_destination reject", nil, "permit"},
		{"permit_auth_destination reject", recipient("u@remote.test"), "554 5.7.1 <u@remote.test>: Recipient address rejected: Access denied"},
		{"reject_unauth_pipelining", func(q *Request) { q.Pipelined = true }, "503 5.5.0 <u@local.test>: Recipient address rejected: Improper use of SMTP command pipelining"},
		{"reject_sender_login_mismatch", sender("a@local.test"), "553 5.7.1 <a@local.test>: Sender address rejected: not logged in"},
		{"reject_sender_login_mismatch", sender("a@remote.test"), "permit"},
		{"reject_invalid_helo_hostname", helo("a_b..c"), "501 5.5.2 <a_b..c>: Helo command rejected: Invalid name"},
		{"reject_invalid_hostname", helo("[1.2.3]"), "501 5.5.2 <[1.2.3]>: Helo command rejected: invalid ip address"},
		{"reject_invalid_helo_hostname", helo("192.0.2.1"), "permit"},
		{"reject_non_fqdn_helo_hostname", helo("192.0.2.1"), "504 5.5.2 <192.0.2.1>: Helo command rejected: need fully-qualified hostname"},
		{"reject_non_fqdn_helo_hostname", helo("pc"), "504 5.5.2 <pc>: Helo command rejected: need fully-qualified hostname"},
		{"reject_non_fqdn_helo_hostname", helo("[IPv6:2001:db8::1]"), "permit"},
		{"reject_unknown_helo_hostname", helo("none.test"), "450 4.7.1 <none.test>: Helo command rejected: Host not found"},
		{"reject_unknown_helo_hostname", helo("mx.remote.test"), "permit"},
		{"reject_unknown_helo_hostname, reject", helo("trouble.test"), "554 5.7.1 <u@local.test>: Recipient address rejected: Access denied"},
		{"reject_unknown_helo_hostname", helo("trouble.test"), "450 4.7.1 <trouble.test>: Helo command rejected: Host not found"},
		{"reject_non_fqdn_sender", sender("a@localhost"), "504 5.5.2 <a@localhost>: Sender address rejected: need fully-qualified address"},
		{"reject_non_fqdn_sender reject_unknown_sender_domain", sender(""), "permit"},
		{"reject_non_fqdn_sender", sender("a@[192.0.2.1]"), "permit"},
		{"reject_non_fqdn_recipient", recipient("a@localhost"), "504 5.5.2 <a@localhost>: Recipient address rejected: need fully-qualified address"},
		{"reject_unknown_sender_domain", sender("a@none.test"), "450 4.1.8 <a@none.test>: Sender address rejected: Domain not found"},
		{"reject_unknown_sender_domain", sender("a@trouble.test"), "450 4.1.8 <a@trouble.test>: Sender address rejected: Domain not found"},
		{"reject_unknown_sender_domain", sender("a@null.test"), "550 5.7.27 <a@null.test>: Sender address rejected: Domain null.test does not accept mail (nullMX)"},
		{"reject_unknown_sender_domain", sender("a@mx.remote.test"), "permit"},
		{"reject_unknown_recipient_domain", recipient("a@none.test"), "450 4.1.2 <a@none.test>: Recipient address rejected: Domain not found"},
		{"reject_unknown_recipient_domain", recipient("a@null.test"), "556 5.1.10 <a@null.test>: Recipient address rejected: Domain null.test does not accept mail (nullMX)"},
		{"reject_unknown_recipient_domain", nil, "permit"},
		{"reject_unknown_client_hostname", nil, "450 4.7.25 Client host rejected: cannot find your hostname, [203.0.113.7]"},
		{"reject_unknown_reverse_client_hostname", nil, "permit"},
		{"reject_unknown_reverse_client_hostname", func(q *Request) { q.Client = netip.MustParseAddr("203.0.113.8") },
			"450 4.7.1 Client host rejected: cannot find your reverse hostname, [203.0.113.8]"},
		{"reject_unknown_client", func(q *Request) { q.Client = netip.MustParseAddr("203.0.113.9") }, "permit"},
	} {
		q := stranger()
		if tt.edit != nil {
			tt.edit(&q)
		}
		l := newLab("MX remote.test = mx.remote.test", "ADDR mx.remote.test = 192.0.2.9", "MX trouble.test = SERVFAIL", "MX null.test = .",
			"PTR 203.0.113.7 = liar.example.", "ADDR liar.example = 192.0.2.1", "PTR 203.0.113.9 = honest.example.", "ADDR honest.example = 203.0.113.9")
		if got := said(parse(t, Lists{Recipient: tt.list}).AtRcpt(t.Context(), &l.Session, q)); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.list, got, tt.want)
		}
	}
}

func TestListsAreReadInOrderAndEndAsTheirWordsSay(t *testing.T) {
	const denied = "554 5.7.1 <unknown[203.0.113.7]>: Client host rejected: Access denied"
	for _, tt := range []struct {
		name  string
		lists Lists
		want  string
		notes []string
	}{
		{"nothing permits", Lists{}, "permit", nil},
		{"a permit ends its own list only", Lists{Client: "permit, reject", Helo: "permit reject", Recipient: "defer"},
			"450 4.3.2 <u@local.test>: Recipient address rejected: Try again later", nil},
		{"the first refusal of all lists counts", Lists{Client: "reject", Helo: "defer"}, denied, nil},
		{"the list says what is refused", Lists{Helo: "reject"}, "554 5.7.1 <c.example>: Helo command rejected: Access denied", nil},
		{"the null sender has a name", Lists{Sender: "reject"}, "554 5.7.1 <a@remote.test>: Sender address rejected: Access denied", nil},
		{"relay comes before recipient", Lists{Relay: "defer", Recipient: "reject"}, "450 4.3.2 <u@local.test>: Recipient address rejected: Try again later", nil},
		{"data is not for now", Lists{Data: "reject"}, "permit", nil},
		{"a warning goes on", Lists{Client: "warn_if_reject reject permit"}, "permit", []string{"client: reject would have refused: " + denied}},
		{"a warning of a remembered one", Lists{Client: "warn_if_reject defer_if_permit"}, "permit",
			[]string{"client: defer_if_permit would have refused: 450 4.7.0 <unknown[203.0.113.7]>: Client host rejected: defer_if_permit requested"}},
		{"a warning is for one", Lists{Client: "warn_if_reject permit_mynetworks reject"}, denied, nil},
		{"what permits under a warning permits", Lists{Client: "warn_if_reject permit reject"}, "permit", nil},
		{"deferred if all permit", Lists{Client: "defer_if_permit permit", Recipient: "permit"},
			"450 4.7.0 <unknown[203.0.113.7]>: Client host rejected: defer_if_permit requested", nil},
		{"not if one rejects", Lists{Client: "defer_if_permit", Recipient: "reject"},
			"554 5.7.1 <u@local.test>: Recipient address rejected: Access denied", nil},
		{"deferred instead of rejected", Lists{Client: "defer_if_reject reject"},
			"450 4.7.0 <unknown[203.0.113.7]>: Client host rejected: defer_if_reject requested", nil},
		{"only in one list", Lists{Client: "defer_if_reject", Helo: "reject"}, "554 5.7.1 <c.example>: Helo command rejected: Access denied", nil},
		{"but relay and recipient are one", Lists{Relay: "defer_if_reject", Recipient: "reject"},
			"450 4.7.0 <u@local.test>: Recipient address rejected: defer_if_reject requested", nil},
		{"a deferral stays", Lists{Client: "defer_if_reject defer"}, "450 4.3.2 <unknown[203.0.113.7]>: Client host rejected: Try again later", nil},
	} {
		l := newLab()
		if got := said(parse(t, tt.lists).AtRcpt(t.Context(), &l.Session, stranger())); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
		if d := cmp.Diff(tt.notes, l.notes); d != "" {
			t.Errorf("%s: notes %s", tt.name, d)
		}
	}
}

func TestTheDataListIsAskedAtData(t *testing.T) {
	l, p := newLab(), parse(t, Lists{Data: "reject_unauth_pipelining", Client: "reject"})
	q := stranger()
	q.Recipient, q.Pipelined = "", true
	if got, want := said(p.AtData(t.Context(), &l.Session, q)), "503 5.5.0 <DATA>: Data command rejected: Improper use of SMTP command pipelining"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestASessionAsksTheDNSOnce(t *testing.T) {
	l := newLab("MX remote.test = mx.remote.test")
	p := parse(t, Lists{
		Client:    "warn_if_reject reject_unknown_client_hostname warn_if_reject reject_unknown_reverse_client_hostname reject_rbl_client rbl.test",
		Sender:    "reject_unknown_sender_domain",
		Recipient: "reject_unknown_sender_domain reject_rbl_client rbl.test",
	})
	for range 3 {
		if got := said(p.AtRcpt(t.Context(), &l.Session, stranger())); got != "permit" {
			t.Fatal(got)
		}
	}
	want := map[string]int{"PTR 203.0.113.7": 1, "A 7.113.0.203.rbl.test": 1, "MX remote.test": 1}
	if d := cmp.Diff(want, l.zone.asked); d != "" {
		t.Error(d)
	}
}

func TestTheDNSHasHalfAMinuteForAVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var list strings.Builder
		var records []string
		for _, name := range strings.Split("abcdefghij", "") {
			list.WriteString("reject_rbl_client " + name + ".test ")
			records = append(records, "A 7.113.0.203."+name+".test = …")
		}
		l := newLab(append(records, "MX remote.test = mx.remote.test")...)
		p := parse(t, Lists{Recipient: list.String() + "reject_unknown_sender_domain"})
		began := time.Now()
		got := said(p.AtRcpt(t.Context(), &l.Session, stranger()))
		if want := "450 4.1.8 <a@remote.test>: Sender address rejected: Domain not found"; got != want || time.Since(began) != 30*time.Second {
			t.Errorf("%s after %v, want %s after 30s", got, time.Since(began), want)
		}
		got = said(p.AtRcpt(t.Context(), &l.Session, stranger())) // the dead lists are known by now, or have another try
		if took := time.Since(began); got != "permit" || took > 55*time.Second {
			t.Errorf("again: %s after %v", got, took)
		}
	})
}

func TestSleepSleepsAndLeavesTheBudgetAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab("MX remote.test = mx.remote.test")
		p := parse(t, Lists{Client: "sleep 30", Sender: "sleep 1 reject_unknown_sender_domain"})
		began := time.Now()
		if got := said(p.AtRcpt(t.Context(), &l.Session, stranger())); got != "permit" || time.Since(began) != 31*time.Second {
			t.Errorf("%s after %v", got, time.Since(began))
		}
	})
}
