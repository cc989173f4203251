package mailcore_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
)

func TestTheRelayTestTriesAllForms(t *testing.T) {
	if d := cmp.Diff(relayForms(t), mailcore.RelayForms("local.test", "remote.test")); d != "" {
		t.Error(d)
	}
}

// TestTheRelayTestFindsWhatALoaderMissed plants loaders that take what ours refuses.
func TestTheRelayTestFindsWhatALoaderMissed(t *testing.T) {
	for _, tt := range []struct {
		name         string
		restrictions mailcore.Restrictions
		found        string
		relays       bool // or is the last guard enough
	}{
		{"a permit first", mailcore.Restrictions{Relay: "permit, reject_unauth_destination"}, "the restriction lists permit it", false},
		{"no refusal", mailcore.Restrictions{Relay: "permit_mynetworks"}, "the restriction lists permit it", false},
		{"a permit behind what only the DNS refuses", mailcore.Restrictions{Client: "sleep 30 reject_unknown_client_hostname", Relay: "permit"},
			"the restriction lists permit it", false},
		{"a warning only", mailcore.Restrictions{Relay: "warn_if_reject reject_unauth_destination"}, "the restriction lists permit it", false},
		{"OK for everybody", mailcore.Restrictions{
			Relay: "check_client_access t, reject_unauth_destination", Tables: map[string]string{"t": "0.0.0.0/0 OK\n::/0 OK"},
		}, "accepted: 250 2.1.5 Ok", true},
		{"OK for a local-part", mailcore.Restrictions{
			Relay: "check_recipient_access t, reject_unauth_destination", Tables: map[string]string{"t": "u@ OK"},
		}, "accepted: 250 2.1.5 Ok", true},
		{"OK for a sender", mailcore.Restrictions{
			Relay: "check_sender_access t, reject_unauth_destination", Tables: map[string]string{"t": "<> OK"},
		}, "accepted: 250 2.1.5 Ok", true},
	} {
		mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
			if err := (mailcore.Config{Hostname: "mx.panel.test", Restrictions: tt.restrictions}).Check(); err == nil {
				t.Errorf("%s: our loader takes it", tt.name)
			}
			srv := lab.Server(mailcore.Config{})
			if err := srv.LoadUnchecked(tt.restrictions); err != nil {
				t.Fatal(err)
			}
			found, err := srv.OpenRelays(t.Context())
			if err != nil || !strings.Contains(strings.Join(found, "\n"), "RCPT TO:<u@relay-test.invalid> from 192.0.2.66: "+tt.found) {
				t.Errorf("%s: found %q, %v", tt.name, found, err)
			}
			got := dialogue(t, lab, 25, "EHLO c.test", "MAIL FROM:<>", "RCPT TO:<u@remote.test>")[3]
			if relays := strings.HasPrefix(got, "2"); relays != tt.relays {
				t.Errorf("%s: %s", tt.name, got)
			}
		})
	}
}
