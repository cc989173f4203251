package restrict_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	. "github.com/panelmail/panelmail/internal/restrict"
)

func TestAccessTablesFindTheFirstKeyInOrder(t *testing.T) {
	for _, tt := range []struct {
		word, subject, keys, want string // keys in a table, the one that is found
	}{
		{"sender", "U+ext@sub.Remote.test", "u@ u+ext@ test remote.test sub.remote.test u@sub.remote.test u+ext@sub.remote.test", "u+ext@sub.remote.test"},
		{"sender", "u+ext@sub.remote.test", "u@ u+ext@ test remote.test sub.remote.test u@sub.remote.test", "u@sub.remote.test"},
		{"sender", "u+ext@sub.remote.test", "u@ u+ext@ test remote.test sub.remote.test", "sub.remote.test"},
		{"sender", "u+ext@sub.remote.test", "u@ u+ext@ test remote.test", "remote.test"},
		{"sender", "u+ext@sub.remote.test", "u@ u+ext@ test", "test"},
		{"sender", "u+ext@sub.remote.test", "u@ u+ext@", "u+ext@"},
		{"sender", "u+ext@sub.remote.test", "u@ v@", "u@"},
		{"sender", "u@notremote.test", "remote.test", ""},
		{"sender", "", "<> u@", "<>"},
		{"sender", "", "u@", ""},
		{"sender", "u@bücher.test", "BÜCHER.test", "BÜCHER.test"},
		{"sender", `"a b"@remote.test`, "a@ remote.test", "remote.test"},
		{"recipient", "u@remote.test", "Remote.TEST u@", "Remote.TEST"},
		{"helo", "mx.C.example", "example c.example", "c.example"},
		{"helo", "[192.0.2.1]", "192.0.2.1", "192.0.2.1"},
		{"helo", "192.0.2.1", "192.0.2.1", "192.0.2.1"},
		{"client", "203.0.113.9", "203.0.113.9 203.0.113 example honest.example", "honest.example"},
		{"client", "203.0.113.9", "203.0.113.9 203.0.113 example", "example"},
		{"client", "203.0.113.9", "203.0.113.9 203.0.113 liar.example", "203.0.113.9"},
		{"client", "203.0.113.9", "203.0.113 203.0 203", "203.0.113"},
		{"client", "203.0.113.9", "203.0.113.8/30 203.0", "203.0"},
		{"client", "203.0.113.9", "203.0.113.8/29 203.0", "203.0.113.8/29"},
		{"client", "203.0.113.9", "203.0 203", "203.0"},
		{"client", "203.0.113.9", "20.0 2", ""},
		{"client", "2001:db8::1", "[2001:db8::]/32 2001:db8::2", "[2001:db8::]/32"},
		{"client", "2001:db8::1", "2001:db8:0:0::1", "2001:db8:0:0::1"},
		{"client", "203.0.113.9", "[::ffff:203.0.113.8]/125 203", "[::ffff:203.0.113.8]/125"},
	} {
		q := stranger()
		switch tt.word {
		case "sender":
			q.Sender = tt.subject
		case "recipient":
			q.Recipient = tt.subject
		case "helo":
			q.HELO = tt.subject
		case "client":
			q.Client = netip.MustParseAddr(tt.subject)
		}
		var table strings.Builder
		for _, key := range strings.Fields(tt.keys) {
			fmt.Fprintf(&table, "%s REJECT found %s\n", key, key)
		}
		if strings.Contains(tt.keys, "203.0.113.8/30") {
			q.Client = netip.MustParseAddr("203.0.113.99")
		}
		l := newLab("PTR 203.0.113.9 = honest.example.", "ADDR honest.example = 203.0.113.9")
		v := parse(t, Lists{Client: "check_" + tt.word + "_access t", Tables: map[string]string{"t": table.String()}}).AtRcpt(t.Context(), &l.Session, q)
		_, got, _ := strings.Cut(v.Reply.Text, "found ")
		if got != tt.want {
			t.Errorf("%s %s in %s: found %q, want %q", tt.word, tt.subject, tt.keys, got, tt.want)
		}
	}
}

func TestATableOfAddressesAsksNobodyForNames(t *testing.T) {
	l := newLab()
	parse(t, Lists{Client: "check_client_access t", Tables: map[string]string{"t": "192.0.2 REJECT"}}).AtRcpt(t.Context(), &l.Session, stranger())
	if len(l.zone.asked) > 0 {
		t.Errorf("asked %v", l.zone.asked)
	}
}

func TestActionsOfAccessTables(t *testing.T) {
	const who = "<a@remote.test>: Sender address rejected: "
	for _, tt := range []struct{ action, want, notes string }{
		{"OK", "permit", ""},
		{"ok", "permit", ""},
		{"20240101", "permit", ""},
		{"DUNNO", "554 5.7.1 behind", ""},
		{"REJECT", "554 5.7.1 " + who + "Access denied", ""},
		{"REJECT   no  thanks ", "554 5.7.1 " + who + "no  thanks", ""},
		{"reject 4.7.99 no", "554 5.7.99 " + who + "no", ""},
		{"DEFER", "450 4.7.1 " + who + "Access denied", ""},
		{"DEFER 5.2.2 full", "450 4.2.2 " + who + "full", ""},
		{"DEFER_IF_PERMIT", "554 5.7.1 behind", ""},
		{"DEFER_IF_REJECT 4.2.9 rather", "450 4.2.9 " + who + "rather", ""},
		{"REJECT 5.7 no", "554 5.7.1 " + who + "5.7 no", ""},
		{"REJECT 3.7.1 no", "554 5.7.1 " + who + "3.7.1 no", ""},
		{"REJECT 5.7.1000 no", "554 5.7.1 " + who + "5.7.1000 no", ""},
		{"REJECT 5..1 no", "554 5.7.1 " + who + "5..1 no", ""},
		{"451 later", "451 4.7.1 " + who + "later", ""},
		{"521 5.7.9 never", "521 5.7.9 " + who + "never", ""},
		{"INFO seen", "554 5.7.1 behind", "sender: info of an access table: <a@remote.test>: Sender address: seen"},
		{"WARN odd", "554 5.7.1 behind", "sender: warn of an access table: <a@remote.test>: Sender address: odd"},
		{"reject_unauth_destination, permit", "permit", ""},
		{"permit_mynetworks, defer", "450 4.3.2 " + who + "Try again later", ""},
		{"check_recipient_access other", "550 5.7.1 <u@local.test>: Recipient address rejected: not him", ""},
	} {
		l := newLab()
		p := parse(t, Lists{Sender: "check_sender_access t check_sender_access behind", Tables: map[string]string{
			"t":      "# comment\n\n  # another\na@remote.test " + tt.action,
			"other":  "u@local.test\n\t550\n\tnot him\n",
			"behind": "remote.test 554 behind",
		}})
		got := strings.Replace(said(p.AtRcpt(t.Context(), &l.Session, stranger())), who+"behind", "behind", 1)
		if got != tt.want || strings.Join(l.notes, "\n") != tt.notes {
			t.Errorf("%s:\n got %s %q\nwant %s", tt.action, got, l.notes, tt.want)
		}
	}
}

func TestDeferIfPermitOfATableCountsWhenNobodyRejects(t *testing.T) {
	l := newLab()
	p := parse(t, Lists{Sender: "check_sender_access t", Recipient: "permit", Tables: map[string]string{"t": "remote.test DEFER_IF_PERMIT"}})
	if got, want := said(p.AtRcpt(t.Context(), &l.Session, stranger())), "450 4.7.1 <a@remote.test>: Sender address rejected: Service unavailable"; got != want {
		t.Errorf("%s", got)
	}
}

func TestOnlyATableOfTheRelayListPermitsRelaying(t *testing.T) {
	tables := map[string]string{"clients": "203.0.113.7 OK", "domains": "remote.test permit", "senders": "remote.test OK"}
	q := stranger()
	q.Recipient = "u@remote.test"
	for _, tt := range []struct {
		lists Lists
		want  string
	}{
		{Lists{Relay: "check_client_access clients reject"}, "relay"},
		{Lists{Relay: "check_recipient_access domains reject"}, "relay"},
		{Lists{Relay: "permit"}, "permit"},
		{Lists{Client: "check_client_access clients", Relay: "reject_unauth_destination"}, "554 5.7.1 <u@remote.test>: Relay access denied"},
		{Lists{Sender: "check_sender_access senders", Recipient: "check_client_access clients reject"}, "permit"},
		{Lists{Relay: "check_client_access clients reject", Recipient: "reject_unauth_destination"}, "554 5.7.1 <u@remote.test>: Relay access denied"},
	} {
		l := newLab()
		tt.lists.Tables = tables
		if got := said(parse(t, tt.lists).AtRcpt(t.Context(), &l.Session, q)); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.lists, got, tt.want)
		}
	}
}
