package mailcore_test

import (
	"context"
	"encoding/base64"
	"testing"

	"github.com/panelmail/panelmail/mailcore"
)

// TestAPanicOfTheAuthenticatorGivesItsTurnBack has one turn, and a client after the
// one whose login made the Authenticator panic.
func TestAPanicOfTheAuthenticatorGivesItsTurnBack(t *testing.T) {
	config := mailcore.Config{
		Guard: mailcore.Guard{Checks: 1},
		Authenticator: mailcore.AuthenticatorFunc(func(_ context.Context, name, _ string) (mailcore.Identity, error) {
			if name == "broken" {
				panic("no such map")
			}
			return mailcore.Identity{Login: name}, nil
		}),
	}
	auth := func(name string) string {
		return "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+name+"\x00secret"))
	}
	behind(t, config, mailcore.Listener{Kind: mailcore.SMTP, ClearAuth: true}, func(_ *mailcore.Server, dial func() *caller) {
		if got := last(dial().say("EHLO c.test", auth("broken"))); got != "421 4.3.0 mail.panel.test Error: internal error" {
			t.Errorf("after the panic: %q", got)
		}
		if got := last(dial().say("EHLO c.test", auth("shop"))); got != "235 2.7.0 Authentication successful" {
			t.Errorf("afterwards: %q", got)
		}
	})
}
