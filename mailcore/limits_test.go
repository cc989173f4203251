package mailcore_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/mailtest"
)

// TestLimitsHoldAtTheListenersExceptForNetworksThatMayRelay has a client that sends
// MAIL twice where once is allowed.
func TestLimitsHoldAtTheListenersExceptForNetworksThatMayRelay(t *testing.T) {
	anywhere := []netip.Prefix{netip.MustParsePrefix("203.0.0.0/8")}
	for _, tt := range []struct {
		name    string
		relay   []netip.Prefix
		exempt  []netip.Prefix
		limited bool
	}{
		{"nobody is exempt", nil, nil, true},
		{"who may relay is exempt", anywhere, nil, false},
		{"unless others are named", anywhere, []netip.Prefix{}, true},
		{"who is named is exempt", nil, anywhere, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mailtest.Test(t, func(t *testing.T, lab *mailtest.Lab) {
				lab.Server(mailcore.Config{
					RelayNetworks: tt.relay,
					Limits:        mailcore.Limits{MessageRate: 1, ExemptNetworks: tt.exempt},
				})
				got := strings.Join(dialogue(t, lab, 25, "EHLO c.example", "MAIL FROM:<>", "RSET", "MAIL FROM:<>"), "\n")
				if limited := strings.Contains(got, "450 4.7.1 Error: too much mail from "); limited != tt.limited {
					t.Errorf("limited: %v\n%s", limited, got)
				}
			})
		})
	}
}

func TestAnImpossibleLimitIsNamed(t *testing.T) {
	err := mailcore.Config{Hostname: "mail.example.test", Limits: mailcore.Limits{
		Connections: -1, AuthRate: -1, RateUnit: -1, ErrorSleep: -1, MinRate: -1, ExemptNetworks: []netip.Prefix{{}},
	}}.Check()
	want := `mailcore: configuration: Limits.Connections cannot be negative
Limits.AuthRate cannot be negative
Limits.RateUnit cannot be negative
a network of Limits.ExemptNetworks is not valid`
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}
