package main

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/panelmail/panelmail/mailcore"
)

// authOf reads the configuration of a lab.
func authOf(t *testing.T, l *lab) mailcore.Config {
	t.Helper()
	a := &app{data: l.data}
	if err := a.load(); err != nil {
		t.Fatal(err)
	}
	c, err := a.library()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheTableAuthReachesTheLibrary(t *testing.T) {
	l := newLab(t)
	l.configure("[auth]", `realm = "shop.example"`, `dovecot_socket = "/run/auth"`, `from = "strict"`, "show_login = true", "hide_client = true",
		"client_failures = 1", "login_failures = 0", `failure_window = "3s"`, "checks = 4", `exempt_networks = ["192.0.2.0/24"]`)
	c := authOf(t, l)
	want := mailcore.Guard{ClientFailures: 1, LoginFailures: -1, Window: 3 * time.Second, Checks: 4,
		Exempt: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	if !reflect.DeepEqual(c.Guard, want) {
		t.Errorf("%+v, want %+v", c.Guard, want)
	}
	dovecot, ok := c.Authenticator.(*mailcore.DovecotAuth)
	if !ok || dovecot.Socket != "/run/auth" || c.Realm != "shop.example" || c.FromPolicy != mailcore.FromStrict || !c.ShowLogin || !c.HideClient {
		t.Errorf("%v, %q, %q, %v, %v", c.Authenticator, c.Realm, c.FromPolicy, c.ShowLogin, c.HideClient)
	}
	l.configure()
	if c := authOf(t, l); c.Authenticator != nil || c.Guard.ClientFailures != 10 || c.Guard.LoginFailures != 20 || c.FromPolicy != mailcore.FromHosted {
		t.Errorf("by default: %+v", c)
	}
}

func TestWhatIsWrongInTheTableAuthIsNamed(t *testing.T) {
	l := newLab(t)
	lines := []string{"[auth]", `realm = "a b"`, `dovecot_socket = "auth"`, `from = "x"`, "client_failures = -1", "login_failures = -1",
		`failure_window = "0s"`, "checks = -1", `exempt_networks = ["x"]`}
	l.configure(lines...)
	got := l.run("", "config", "check")
	for i, line := range lines[1:] {
		key, _, _ := strings.Cut(line, " ")
		if want := fmt.Sprintf(":%d: auth.%s: ", i+2, key); !strings.Contains(got.Stdout, want) {
			t.Errorf("no %q in %s", want, got.Stdout)
		}
	}
}
