package smtpclient

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestEachMechanismSaysWhatItsServersExpect(t *testing.T) {
	const user, secret, digest = "tim", "tanstaaftanstaaf", "b913a602c7eda7a495b4e6e7334d3890"
	token := "user=tim\x01auth=Bearer " + secret + "\x01\x01"
	for name, test := range map[string]struct {
		mechanism sasl.Client
		script    string
		code      int // of the refusal; 0: none
	}{
		"LOGIN, with the name at once": {NewLogin(user, secret),
			"C: AUTH LOGIN " + b64(user) + "\nS: 334 " + b64("Password:") + "\nC: " + b64(secret) + "\nS: 235 ok", 0},
		"LOGIN, where both are asked for": {NewLogin(user, secret),
			"C: AUTH LOGIN " + b64(user) + "\nS: 334 " + b64("User Name\x00") + "\nC: " + b64(user) + "\nS: 334 " + b64("Passwort") + "\nC: " + b64(secret) + "\nS: 235 ok", 0},
		"LOGIN, the password once alone": {NewLogin(user, secret),
			"C: AUTH LOGIN " + b64(user) + "\nS: 334 \nC: " + b64(secret) + "\nS: 334 \nC: *\nS: 501 cancelled", -1},
		"CRAM-MD5, as in RFC 2195": {NewCRAMMD5(user, secret),
			"C: AUTH CRAM-MD5\nS: 334 " + b64("<1896.697170952@postoffice.reston.mci.net>") + "\nC: " + b64("tim "+digest) + "\nS: 235 ok " + digest, 0},
		"XOAUTH2": {NewXOAuth2(user, secret),
			"C: AUTH XOAUTH2 " + b64(token) + "\nS: 235 ok", 0},
		"XOAUTH2, refused in two steps": {NewXOAuth2(user, secret),
			"C: AUTH XOAUTH2 " + b64(token) + "\nS: 334 " + b64(`{"status":"401"}`) + "\nC: \nS: 535 5.7.8 no: " + b64(token)[:40], 535},
	} {
		t.Run(name, func(t *testing.T) {
			p, c := start(t, hello+test.script)
			err := c.Auth(context.Background(), test.mechanism, secret)
			var refused *Refusal
			switch {
			case test.code == 0 && err != nil, test.code < 0 && !errors.Is(err, sasl.ErrUnexpectedServerChallenge):
				t.Errorf("got %v", err)
			case test.code > 0 && (!errors.As(err, &refused) || refused.Reply.Code != test.code):
				t.Errorf("got %v", err)
			}
			shown := c.Transcript()
			if err != nil {
				shown += err.Error()
			}
			for _, leak := range []string{secret, b64(secret), digest, b64(token)[:40]} {
				if strings.Contains(shown, leak) {
					t.Errorf("%q is shown in %s", leak, shown)
				}
			}
			p.end(t)
		})
	}
}
