package restrict_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	. "github.com/panelmail/panelmail/internal/restrict"
)

func TestBlockListsRefuseWhatTheyList(t *testing.T) {
	const blocked = "554 5.7.1 Service unavailable; Client host [203.0.113.7] blocked using rbl.test"
	for _, tt := range []struct {
		name, list string
		zone       []string
		want       string
		notes      []string
	}{
		{"not listed", "reject_rbl_client rbl.test", nil, "permit", nil},
		{"listed", "reject_rbl_client rbl.test", []string{"A 7.113.0.203.rbl.test = 127.0.0.2"}, blocked, nil},
		{"with a reason", "reject_rbl_client RBL.test.", []string{"A 7.113.0.203.rbl.test = 127.0.0.2", "TXT 7.113.0.203.rbl.test = see https://rbl.test/7"},
			blocked + "; see https://rbl.test/7", nil},
		{"the address that counts", "reject_rbl_client rbl.test=127.0.0.[2..4;9]", []string{"A 7.113.0.203.rbl.test = 127.0.0.9"}, blocked, nil},
		{"one that does not", "reject_rbl_client rbl.test=127.0.0.[2..4;9]", []string{"A 7.113.0.203.rbl.test = 127.0.0.5"}, "permit", nil},
		{"one of several", "reject_rbl_client rbl.test=127.0.0.4", []string{"A 7.113.0.203.rbl.test = 127.0.0.2|127.0.0.4"}, blocked, nil},
		{"no answer of a list at all", "reject_rbl_client rbl.test", []string{"A 7.113.0.203.rbl.test = 198.51.100.1"}, "permit", nil},
		{"a refused query", "reject_rbl_client rbl.test", []string{"A 7.113.0.203.rbl.test = 127.255.255.254"}, "permit",
			[]string{"client: block list rbl.test refuses our queries (127.255.255.254): it lists nothing for us"}},
		{"a list that lists everything", "reject_rbl_client rbl.test", []string{"A 7.113.0.203.rbl.test = 127.0.0.2", "A 1.0.0.127.rbl.test = 127.0.0.2"}, "permit",
			[]string{"client: block list rbl.test lists its test point 1.0.0.127, so it lists everything: its answers do not count"}},
		{"a list that is down", "reject_rbl_client rbl.test", []string{"A 7.113.0.203.rbl.test = SERVFAIL"}, "permit",
			[]string{"client: block list rbl.test: lookup 7.113.0.203.rbl.test: server misbehaving"}},
		{"a test point that is down", "reject_rbl_client rbl.test", []string{"A 7.113.0.203.rbl.test = 127.0.0.2", "A 1.0.0.127.rbl.test = SERVFAIL"}, blocked, nil},
		{"a sender's domain", "reject_rhsbl_sender dbl.test", []string{"A remote.test.dbl.test = 127.0.1.2"},
			"554 5.7.1 Service unavailable; Sender address [a@remote.test] blocked using dbl.test", nil},
		{"a list of domains that lists everything", "reject_rhsbl_sender dbl.test", []string{"A remote.test.dbl.test = 127.0.1.2", "A invalid.dbl.test = 127.0.1.2"}, "permit",
			[]string{"client: block list dbl.test lists its test point invalid, so it lists everything: its answers do not count"}},
	} {
		l := newLab(tt.zone...)
		if got := said(parse(t, Lists{Client: tt.list}).AtRcpt(t.Context(), &l.Session, stranger())); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
		if d := cmp.Diff(tt.notes, l.notes); d != "" {
			t.Errorf("%s: notes %s", tt.name, d)
		}
	}
}

func TestARefusedQueryIsNotedOnce(t *testing.T) {
	p := parse(t, Lists{Client: "reject_rbl_client rbl.test"})
	notes := 0
	for range 3 {
		l := newLab("A 7.113.0.203.rbl.test = 127.255.255.255")
		p.AtRcpt(t.Context(), &l.Session, stranger())
		notes += len(l.notes)
	}
	if notes != 1 {
		t.Errorf("noted %d times", notes)
	}
}

func TestAListIsTestedOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := parse(t, Lists{Client: "reject_rbl_client rbl.test"})
		tests := 0
		for _, pause := range []time.Duration{0, 0, 59 * time.Minute, time.Minute} {
			time.Sleep(pause)
			l := newLab("A 7.113.0.203.rbl.test = 127.0.0.2")
			p.AtRcpt(t.Context(), &l.Session, stranger())
			tests += l.zone.asked["A 1.0.0.127.rbl.test"]
		}
		if tests != 2 {
			t.Errorf("tested %d times, want 2", tests)
		}
	})
}

func TestAnIPv6ClientIsLookedUpByItsDigits(t *testing.T) {
	const name = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.rbl.test"
	l := newLab("A " + name + " = 127.0.0.2")
	q := stranger()
	q.Client = netip.MustParseAddr("2001:db8::1")
	got := said(parse(t, Lists{Client: "reject_rbl_client rbl.test"}).AtRcpt(t.Context(), &l.Session, q))
	if want := "554 5.7.1 Service unavailable; Client host [2001:db8::1] blocked using rbl.test"; got != want {
		t.Errorf("%s", got)
	}
	if point := "A 1.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.rbl.test"; l.zone.asked[point] != 1 {
		t.Errorf("asked %v, want %s", l.zone.asked, point)
	}
}
