package restrict_test

import (
	"strings"
	"testing"

	. "github.com/panelmail/panelmail/internal/restrict"
)

func TestParseNamesWhatIsWrong(t *testing.T) {
	for _, tt := range []struct {
		lists Lists
		want  string
	}{
		{Lists{Client: "permit, permit_everything"}, `client list: "permit_everything" is no restriction that is known here`},
		{Lists{Helo: "check_helo_access"}, "helo list: check_helo_access has no argument"},
		{Lists{Sender: "check_sender_access hash:/etc/x"}, "sender list: check_sender_access hash:/etc/x: no such table is given"},
		{Lists{Relay: "warn_if_reject"}, "relay list: warn_if_reject without a restriction behind it"},
		{Lists{Relay: "warn_if_reject warn_if_reject reject"}, "relay list: warn_if_reject without a restriction behind it"},
		{Lists{Recipient: "sleep long"}, "recipient list: sleep long: want a number of seconds, 30 at most"},
		{Lists{Recipient: "sleep 31"}, "recipient list: sleep 31: want a number of seconds, 30 at most"},
		{Lists{Data: "reject_unauth_destination"}, "data list: there may be many recipients"},
		{Lists{Client: "reject_rbl_client reject"}, ""},
		{Lists{Client: "reject_rbl_client -"}, "not the domain of a block list"},
		{Lists{Client: "reject_rbl_client a.test=127.0.0"}, `"127.0.0" is no filter`},
		{Lists{Client: "reject_rbl_client a.test=127.0.0.[4..2]"}, "is no filter"},
		{Lists{Client: "reject_rbl_client a.test=127.0.0.2.9"}, "is no filter"},
		{Lists{Client: strings.Repeat("permit ", 1001)}, "more than 1000 words"},
		{Lists{Tables: map[string]string{"t": "a@b.test DISCARD"}}, "table t, line 1: a@b.test: the action DISCARD is not supported"},
		{Lists{Tables: map[string]string{"t": "\na@b.test\n"}}, "table t, line 2: a@b.test: no action"},
		{Lists{Tables: map[string]string{"t": "a@b.test 550"}}, "550 has no text"},
		{Lists{Tables: map[string]string{"t": "a@b.test YES"}}, `neither an action nor restrictions: "YES" is no restriction`},
		{Lists{Tables: map[string]string{"t": ".b.test REJECT"}}, ".b.test would never match: b.test matches its subdomains too"},
		{Lists{Tables: map[string]string{"t": "b.test OK\nB.TEST OK"}}, "line 2: the key B.TEST is in line 1 already"},
		{Lists{Tables: map[string]string{"t": "192.0.2 OK\n192.0.2.0/24 OK"}}, "line 2: the key 192.0.2.0/24 is in line 1 already"},
		{Lists{Tables: map[string]string{"t": "192.0.2.1/24 OK"}}, "192.0.2.1/24 is no network"},
		{Lists{Tables: map[string]string{"t": "300.1 OK"}}, "300.1 is no part of an IPv4 address"},
		{Lists{Tables: map[string]string{"t": "a b@c REJECT"}}, `"b@c" is no restriction`},
		{Lists{Tables: map[string]string{"t": "a.test check_sender_access t"}}, "check_sender_access t: the table refers to itself"},
		{Lists{Tables: map[string]string{"s": "a.test check_sender_access t", "t": "a.test check_sender_access s"}}, "the table refers to itself"},
		{Lists{Tables: map[string]string{"t": "a.test REJECT " + strings.Repeat("x", MaxLine)}}, "table t, line 1: longer than 4096 octets"},
		{Lists{Tables: map[string]string{"t": strings.Repeat("\n", MaxLines+1)}}, "table t: more than 100000 lines"},
		{Lists{Tables: map[string]string{"t": strings.Repeat("\n", MaxTable+1)}}, "table t: more than 8388608 octets"},
		{Lists{Tables: map[string]string{"a b": ""}}, `table "a b": a name is one word`},
	} {
		_, err := Parse(tt.lists)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%.200v:\n got %v\nwant %s", tt.lists, err, tt.want)
		}
	}
}

func TestAPolicyThatCouldBeAnOpenRelayIsNamed(t *testing.T) {
	const neither = "neither the relay list nor the recipient list refuses unknown destinations"
	tables := map[string]string{
		"net": "192.0.2.0/24 OK", "half": "0.0.0.0/1 OK", "world": "::/0 OK", "com": "com OK", "senders": "boss@local.test OK",
		"rcpt": "partner.test OK", "local": "postmaster@ OK", "no": "com REJECT", "nested": "com check_sender_access senders",
	}
	for _, tt := range []struct{ relay, recipient, want string }{
		{"reject_unauth_destination", "", ""},
		{"", "reject_unauth_destination", ""},
		{"permit_mynetworks permit_sasl_authenticated defer_unauth_destination", "", ""},
		{"permit", "reject", ""},
		{"defer_if_permit", "", ""},
		{"permit_auth_destination defer", "", ""},
		{"", "", neither},
		{"permit", "", neither},
		{"permit, reject_unauth_destination", "permit", neither},
		{"permit_mynetworks", "permit_sasl_authenticated", neither},
		{"warn_if_reject reject_unauth_destination", "", neither},
		{"warn_if_reject permit reject", "", neither},
		{"defer_if_reject", "", neither},
		{"reject_unknown_client_hostname", "", neither},
		{"check_client_access net reject", "", ""},
		{"check_client_access half reject", "", "relay list: check_client_access half: line 1: OK for 0.0.0.0/1: that is a good part of the internet"},
		{"warn_if_reject check_client_access world reject", "", "OK for ::/0: that is a good part of the internet"},
		{"check_client_access com reject", "", "OK for com: that is a good part of the internet"},
		{"check_client_access no reject", "", ""},
		{"check_client_access nested reject", "", "OK for com: that is a good part of the internet"},
		{"check_sender_access senders reject", "", "OK for boss@local.test: anybody may claim to be that"},
		{"reject_unauth_destination check_sender_access senders", "", ""},
		{"check_helo_access com", "reject", "OK for com: anybody may claim to be that"},
		{"check_recipient_access rcpt reject", "", ""},
		{"check_recipient_access local reject", "", "OK for postmaster@: that is an address in every domain"},
		{"check_recipient_access com reject", "", "OK for com: that is a good part of the internet"},
	} {
		err := parse(t, Lists{Relay: tt.relay, Recipient: tt.recipient, Tables: tables}).CheckRelay()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("relay %q, recipient %q:\n got %v\nwant %s", tt.relay, tt.recipient, err, tt.want)
		}
	}
}
