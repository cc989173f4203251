package main

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore"
)

func TestEveryLimitOfClientsHasAKey(t *testing.T) {
	fields := reflect.TypeFor[mailcore.Limits]().NumField()
	keys := reflect.TypeFor[ClientLimits]().NumField()
	if fields != keys {
		t.Errorf("the library has %d limits, the file %d", fields, keys)
	}
	l := newLab(t)
	l.configure("[limits]", "connections = 1", "connections_per_client = 2", "connection_rate = 3", "message_rate = 4",
		"recipient_rate = 5", "auth_rate = 6", "tls_rate = 7", `rate_unit = "8s"`, `exempt_networks = ["192.0.2.9"]`,
		"soft_errors = 10", "max_errors = 11", `error_sleep = "12s"`, "max_junk = 13", "max_auth_failures = 14",
		`timeout = "15s"`, `handshake_timeout = "16s"`, "min_rate = 17")
	want := mailcore.Limits{
		Connections: 1, ConnectionsPerClient: 2, ConnectionRate: 3, MessageRate: 4, RecipientRate: 5, AuthRate: 6, TLSRate: 7,
		RateUnit: 8 * time.Second, ExemptNetworks: []netip.Prefix{netip.MustParsePrefix("192.0.2.9/32")},
		SoftErrors: 10, MaxErrors: 11, ErrorSleep: 12 * time.Second, MaxJunk: 13, MaxAuthFailures: 14,
		Timeout: 15 * time.Second, HandshakeTimeout: 16 * time.Second, MinRate: 17,
	}
	if diff := cmp.Diff(want, limitsOf(t, l), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	l.configure("[limits]", `error_sleep = "0s"`, "min_rate = 0", "exempt_networks = []")
	if got := limitsOf(t, l); got.ErrorSleep >= 0 || got.MinRate >= 0 || got.ExemptNetworks == nil {
		t.Errorf("none of it: %+v", got)
	}
}

// limitsOf reads the configuration of a lab.
func limitsOf(t *testing.T, l *lab) mailcore.Limits {
	t.Helper()
	a := &app{data: l.data}
	if err := a.load(); err != nil {
		t.Fatal(err)
	}
	c, err := a.library()
	if err != nil {
		t.Fatal(err)
	}
	return c.Limits
}

func TestALimitThatIsNoneIsNamed(t *testing.T) {
	l := newLab(t)
	keys := []string{"connections", "connections_per_client", "connection_rate", "message_rate", "recipient_rate", "auth_rate",
		"tls_rate", "soft_errors", "max_errors", "max_junk", "max_auth_failures", "min_rate"}
	lines := []string{"[limits]"}
	for _, key := range keys {
		lines = append(lines, key+" = -1")
	}
	lines = append(lines, `rate_unit = "0s"`, `timeout = "0s"`, `handshake_timeout = "0s"`, `exempt_networks = ["x"]`)
	l.configure(lines...)
	got := l.run("", "config", "check")
	for i, key := range append(keys, "rate_unit", "timeout", "handshake_timeout", "exempt_networks") {
		if want := fmt.Sprintf(":%d: limits.%s: ", i+2, key); !strings.Contains(got.Stdout, want) {
			t.Errorf("no %q in %s", want, got.Stdout)
		}
	}
}
